// The list of messages: the newest first, older ones as one scrolls up.

import { copyText } from "./code.js";
import { announce, make } from "./dom.js";
import { pathsOf } from "./files.js";
import { MessageView } from "./message.js";
import { portions, writePlace } from "./text.js";

const NEAR = 120;
const EDIT = "flowrunner:edit:";

export class Log {
  // `running` gives the runs of the session that is open.
  constructor(app, running) {
    this.app = app;
    this.running = running;
    this.views = new Map();
    this.list = make("div", { class: "messages" });
    this.element = make(
      "div",
      { class: "scroller log", role: "log", "aria-live": "off", "aria-label": "Conversation", tabindex: "0" },
      this.list,
    );
    this.actions = {
      say: (text) => app.say(text),
      file: (path) => app.api.file(path),
      grown: () => this.isAtEnd && this.toEnd(),
      again: (view, text) => app.emit("again", { ...this.questionOf(view), ...(text ? { text } : {}) }),
      link: (id) => this.link(id),
      save: (id, text) => this.save(id, text),
      remove: (id) => this.remove(id),
      render: (views) => this.render(views),
      editOf: (id) => sessionStorage.getItem(EDIT + id),
      keepEdit: (id, text) => (text ? sessionStorage.setItem(EDIT + id, text) : sessionStorage.removeItem(EDIT + id)),
    };
    this.element.addEventListener("scroll", () => this.fill(), { passive: true });
  }

  async open(session, flow) {
    this.round = (this.round ?? 0) + 1;
    this.query = { session_id: session, flow_id: flow };
    this.views.clear();
    this.list.replaceChildren();
    this.cursor = null;
    this.loading = false;
    await this.older(true);
    for (const run of this.running()) run.show();
    this.toEnd();
    this.fill();
  }

  // Older messages are asked for when the beginning comes near.
  fill() {
    if (this.cursor && !this.loading && this.element.scrollTop < 600) this.older();
  }

  async older(first = false) {
    if (this.loading || (!first && !this.cursor) || !this.query?.session_id) return;
    const round = this.round;
    this.loading = true;
    try {
      const { items, cursor } = await this.app.api.messages({ ...this.query, cursor: this.cursor });
      if (round !== this.round) return;
      this.cursor = cursor;
      const fresh = items.filter((item) => !this.views.has(item.id)).map((item) => this.make(item));
      const height = this.element.scrollHeight - this.element.scrollTop;
      // A page is one box to the browser: those out of sight cost no layout.
      this.list.prepend(make("div", { class: "page" }, ...fresh.map((view) => view.element)));
      this.element.scrollTop = this.element.scrollHeight - height;
      this.loading = false;
      if (!first) this.fill();
      await this.render(fresh);
    } catch (error) {
      if (round === this.round) this.loading = false;
      this.app.report(error);
    }
  }

  // Brings what is shown up to date with what the server keeps; what a run says now the run knows better.
  async sync() {
    if (!this.query?.session_id) return;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const round = this.round;
    await this.attempt(async () => {
      const { items, cursor } = await this.app.api.messages(this.query);
      if (round !== this.round || turn !== this.turn) return;
      // Nothing was loaded, or all of it is far back or somebody else's: one begins anew.
      if (cursor && !items.some((item) => this.views.has(item.id))) {
        await this.open(this.query.session_id, this.query.flow_id);
        return;
      }
      const kept = new Set(items.map((item) => item.id));
      const live = new Set(this.running().flatMap((run) => [...run.messages.keys()]));
      if (!cursor) for (const id of [...this.views.keys()]) if (!kept.has(id) && !live.has(id)) this.forget(id);
      const views = items.filter((item) => !live.has(item.id)).map((item) => this.put(item));
      await this.render(views.filter((view) => !view.rendered && !view.editing));
    });
  }

  // What is to be asked again: of an answer the question before it.
  questionOf(view) {
    const all = [...this.list.querySelectorAll("article[data-id]")];
    const upto = all.slice(0, all.indexOf(view.element) + 1);
    const { id } = upto.findLast((one) => one.dataset.id && one.classList.contains("mine"))?.dataset ?? {};
    const { message } = this.views.get(id) ?? view;
    return { id: message.id, text: message.text, files: pathsOf(message.files), isQuestion: Boolean(id) };
  }

  async link(id) {
    const { flow, session } = this.app.place;
    await copyText(new URL(writePlace({ flow, session, message: id }), location.href).href, this.views.get(id).element);
  }

  // Brings a message into view, looking for it among the older ones as far as need be.
  async find(id) {
    const round = this.round;
    while (!this.views.has(id) && this.cursor && round === this.round) await this.older();
    if (round !== this.round) return;
    const view = this.views.get(id);
    if (!view) {
      this.notice("The message in the link is not in this session.");
      return;
    }
    view.element.scrollIntoView({ block: "center" });
    view.element.classList.add("linked");
    view.element.tabIndex = -1;
    view.element.focus({ preventScroll: true });
  }

  make(message) {
    const view = new MessageView(message, this.actions);
    if (message.id) this.views.set(message.id, view);
    return view;
  }

  // Shows a message, or what became of it.
  put(message) {
    const known = this.views.get(message.id);
    if (known) {
      if (!known.editing) known.update(message);
      return known;
    }
    const view = this.make(message);
    this.append(view.element);
    return view;
  }

  append(element) {
    const follow = this.isAtEnd;
    this.list.append(element);
    if (follow) this.toEnd();
  }

  get isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  notice(text, kind = "failed") {
    this.append(make("p", { class: `notice ${kind}`, role: "alert" }, text));
  }

  // Markdown is made by the server; until it answers, and where it cannot, the text stands as it is.
  async render(views) {
    const wanted = views.filter((view) => view.message.text && view.message.category !== "error");
    for (const part of portions(wanted, ({ message }) => message.text.length)) {
      const texts = part.map((view) => view.message.text);
      try {
        const html = await this.app.api.render(texts);
        const follow = this.isAtEnd;
        part.forEach((view, number) => view.showRendered(html[number], texts[number]));
        if (follow) this.toEnd();
      } catch {
        return;
      }
    }
  }

  // What a person changed is no longer as the run said it.
  async save(id, text) {
    const changed = await this.attempt(() => this.app.api.editMessage(id, text));
    if (changed) this.leave(id);
    return changed;
  }

  async remove(id) {
    const done = await this.attempt(() => this.app.api.deleteMessage(id));
    if (!done) return;
    this.leave(id);
    this.forget(id);
    announce("The message was deleted.");
    this.app.emit("changed");
    this.element.focus();
  }

  // What the runs said of a message counts no more.
  leave(id) {
    for (const run of this.running()) run.messages.delete(id);
  }

  forget(id) {
    this.views.get(id)?.element.remove();
    this.views.delete(id);
  }

  async attempt(work) {
    try {
      return (await work()) ?? true;
    } catch (error) {
      this.app.report(error);
      return null;
    }
  }
}
