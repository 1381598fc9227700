// What was said, found by its words: in all sessions of all flows, the newest first.

import { button, make } from "./dom.js";
import { ago, excerpt, writePlace } from "./text.js";

const AT_ONCE = 20;

export class Search {
  constructor(app) {
    this.app = app;
    this.list = make("ol", { class: "hits", "aria-label": "Messages that were found" });
    this.note = make("p", { class: "note", role: "status" });
    this.further = button("More", () => this.more(), { hidden: true });
    this.element = make("div", { class: "search", hidden: true }, make("h2", { class: "small" }, "In messages"), this.list, this.note, this.further);
  }

  async look(words) {
    this.words = words;
    this.round = (this.round ?? 0) + 1;
    this.cursor = null;
    this.list.replaceChildren();
    this.note.textContent = "";
    this.further.hidden = true;
    this.element.hidden = !words;
    if (words) await this.more();
  }

  async more() {
    const { round, words } = this;
    try {
      const { items, cursor } = await this.app.api.messages({ q: words, limit: AT_ONCE, cursor: this.cursor });
      if (round !== this.round) return;
      this.cursor = cursor;
      // A page is oldest first.
      this.list.append(...items.reverse().map((message) => this.row(message)));
      this.note.textContent = this.list.childElementCount ? "" : "No message has all these words.";
      this.further.hidden = !cursor;
    } catch (error) {
      this.app.report(error);
    }
  }

  row({ id, text, session_id: session, sender_name: who, timestamp, flow_id: flow }) {
    const [before, hit, after] = excerpt(text, this.words);
    const known = this.app.find(flow);
    const elsewhere = flow !== this.app.flow?.id && known?.name;
    const place = { flow: known?.endpoint_name || known?.id || this.app.place.flow, session, message: id };
    const facts = [who, ago(timestamp), elsewhere].filter(Boolean).join(" · ");
    return make(
      "li",
      {},
      make("a", { href: writePlace(place) }, make("span", { class: "said" }, before, make("mark", {}, hit), after), make("span", { class: "note" }, facts), make("span", { class: "id" }, session)),
    );
  }
}
