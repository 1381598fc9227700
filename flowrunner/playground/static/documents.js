// What is indexed: the collections of the vector store and the documents in them.

import { announce, ask, button, make } from "./dom.js";
import { count } from "./text.js";

const AT_ONCE = 200;

export async function start(host, app) {
  const page = new Documents(host, app);
  await page.load();
}

class Documents {
  constructor(host, app) {
    this.app = app;
    this.note = make("p", { class: "note" });
    this.list = make("div", { class: "collections" });
    host.replaceChildren(
      make("div", { class: "head" }, make("h2", {}, "Documents"), button("Reload", () => this.load())),
      make("p", {}, "Indexed documents, by collection. A flow searches a collection by its name."),
      this.note,
      this.list,
    );
  }

  async load() {
    this.note.textContent = "Loading…";
    try {
      this.show(await this.app.api.json("collections/"));
    } catch (error) {
      this.list.replaceChildren();
      this.note.textContent = error.status === 404 ? "This site does not show the collections of its vector store." : error.message;
      if (error.code !== "not_allowed" && error.status !== 404) this.app.report(error, { quiet: true });
    }
  }

  show(found) {
    const chunks = found.reduce((sum, one) => sum + one.chunks, 0);
    this.note.textContent = found.length ? `${count(found.length, "collection")}, ${count(chunks, "chunk")}` : "Nothing is indexed yet. Run a flow with a vector store, or flowrunner ingest.";
    this.list.replaceChildren(...found.map((one) => this.row(one)));
  }

  row(collection) {
    const body = make("div", { class: "inside" });
    const remove = button("Delete", () => this.removeAll(collection), { class: "danger", "aria-label": `Delete the collection ${collection.name}` });
    const facts = `${count(collection.documents, "document")}, ${count(collection.chunks, "chunk")}, ${collection.dimensions} dimensions`;
    const details = make("details", {}, make("summary", {}, make("span", { class: "title" }, collection.name), make("span", { class: "note" }, ` ${facts}`)), body);
    details.addEventListener("toggle", () => details.open && !body.childElementCount && this.fill(body, collection));
    return make("section", { class: "collection", "aria-label": collection.name }, details, remove);
  }

  async fill(body, collection) {
    body.replaceChildren(make("p", { class: "note" }, "Loading…"));
    try {
      const documents = await this.app.api.json("collections/documents", { query: { collection: collection.name } });
      const filter = make("input", { type: "search", "aria-label": `Filter the documents of ${collection.name}`, placeholder: "Filter" });
      const table = make("tbody", {});
      const more = button("More", () => grow(), {});
      const note = make("p", { class: "note" });
      let meant, there;
      const grow = () => {
        table.append(...meant.slice(there, there + AT_ONCE).map((one) => this.documentRow(collection, one)));
        there = Math.min(meant.length, there + AT_ONCE);
        more.hidden = there === meant.length;
        note.textContent = meant.length > there ? `${there} of ${meant.length} are shown.` : meant.length ? "" : "No document name contains this text.";
      };
      const begin = () => {
        const word = filter.value.trim().toLowerCase();
        meant = documents.filter(({ name }) => name.toLowerCase().includes(word));
        there = 0;
        table.replaceChildren();
        grow();
      };
      filter.addEventListener("input", begin);
      const heads = ["Document", "Chunks", ""].map((word) => make("th", { scope: "col" }, word || make("span", { class: "unseen" }, "Delete")));
      const parts = [make("table", { class: "plain" }, make("thead", {}, make("tr", {}, ...heads)), table), note, more];
      body.replaceChildren(...(documents.length > 20 ? [filter, ...parts] : parts));
      begin();
    } catch (error) {
      body.replaceChildren(make("p", { class: "notice failed" }, this.app.sentence(error)));
    }
  }

  documentRow(collection, { name, chunks }) {
    const shown = name || "(without a name)";
    const remove = button("Delete", () => this.removeOne(collection, name, chunks), { class: "small", "aria-label": `Delete ${shown}` });
    return make("tr", {}, make("th", { scope: "row" }, shown), make("td", {}, String(chunks)), make("td", {}, remove));
  }

  async removeAll({ name, documents, chunks }) {
    const text = `${count(documents, "document")} with ${count(chunks, "chunk")} will be gone, and no flow finds them any more. The files themselves stay.`;
    await this.remove(`Delete the collection ${name}?`, text, { collection: name });
  }

  async removeOne({ name }, document, chunks) {
    const text = `${count(chunks, "chunk")} of ${document || "it"} will be gone from ${name}. The file itself stays.`;
    await this.remove(`Delete ${document || "the documents without a name"}?`, text, { collection: name, document });
  }

  async remove(title, text, query) {
    if (!(await ask({ title, text, action: "Delete", danger: true }))) return;
    try {
      // An empty name is a name here, so that the address is made by hand.
      const { deleted } = await this.app.api.json(`collections/?${new URLSearchParams(query)}`, { method: "DELETE" });
      announce(`${count(deleted, "chunk")} deleted.`);
      await this.load();
    } catch (error) {
      this.app.report(error);
    }
  }
}
