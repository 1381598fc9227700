// The files that go along with the next message: chosen, dropped or pasted; each is uploaded at once.

import { button, make } from "./dom.js";
import { isPicture, size } from "./text.js";

export class Attachments {
  constructor(app) {
    this.app = app;
    this.places = new Map();
    this.onChange = () => {};
    this.list = make("ul", { class: "attachments", "aria-label": "Attached files" });
    this.input = make("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-label": "Files to attach" });
    this.input.addEventListener("change", () => {
      this.add(this.input.files);
      this.input.value = "";
    });
    this.open = button("Attach", () => this.input.click(), { class: "attach", title: "Attach files; they can be dropped and pasted, too" });
  }

  // Takes what is dropped on an element, or pasted into it.
  listen(element) {
    const files = ({ dataTransfer, clipboardData }) => [...((dataTransfer ?? clipboardData)?.files ?? [])];
    const isOver = (event, over) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      element.classList.toggle("dropping", over);
    };
    element.addEventListener("dragover", (event) => isOver(event, true));
    element.addEventListener("dragleave", (event) => isOver(event, false));
    element.addEventListener("drop", (event) => {
      isOver(event, false);
      this.add(files(event));
    });
    element.addEventListener("paste", (event) => {
      if (!files(event).length) return;
      event.preventDefault();
      this.add(files(event));
    });
  }

  // Those of a place are kept while another one is open.
  show(place) {
    this.place = place;
    if (!this.places.has(place)) this.places.set(place, []);
    this.draw();
  }

  get here() {
    return this.places.get(this.place) ?? [];
  }

  add(files) {
    const { flow } = this.app;
    for (const file of flow ? files : []) {
      const one = { name: file.name, size: file.size, file, state: "uploading" };
      this.here.push(one);
      one.done = this.upload(flow.id, one);
    }
    this.draw();
  }

  async upload(flow, one) {
    try {
      one.path = (await this.app.api.upload(flow, one.file)).file_path;
      one.state = "";
      this.app.say(`${one.name} is attached.`);
    } catch (error) {
      one.state = this.app.sentence(error);
    }
    this.draw();
  }

  // Waits for the uploads of a place; gives the paths of those that worked, which are taken from the list, and how many
  // did not. Meanwhile some may be removed, others added, and another place be opened.
  async take(place) {
    const there = () => this.places.get(place) ?? [];
    while (there().some((one) => one.state === "uploading")) await Promise.all(there().map((one) => one.done));
    const paths = there().flatMap((one) => (one.path ? [one.path] : []));
    const left = there().filter((one) => !one.path);
    this.places.set(place, left);
    this.draw();
    return { paths, failed: left.length };
  }

  // Puts back what went along with a text that did not reach the server.
  give(place, paths) {
    const back = paths.map((path) => ({ name: path.split("/").at(-1), path, state: "" }));
    this.places.set(place, [...back, ...(this.places.get(place) ?? [])]);
    this.draw();
  }

  draw() {
    this.list.replaceChildren(...this.here.map((one) => this.row(one)));
    this.list.hidden = !this.here.length;
    this.onChange();
  }

  row(one) {
    const remove = () => {
      this.places.set(this.place, this.here.filter((other) => other !== one));
      this.draw();
    };
    if (one.file && isPicture(one.name)) one.preview ??= URL.createObjectURL(one.file);
    return make(
      "li",
      { class: one.path || one.state === "uploading" ? "" : "failed" },
      one.preview && make("img", { src: one.preview, alt: "" }),
      make("span", { class: "title" }, one.name),
      make("span", { class: "note" }, [size(one.size), one.state].filter(Boolean).join(", ")),
      button("Remove", remove, { "aria-label": `Remove ${one.name}` }),
    );
  }
}
