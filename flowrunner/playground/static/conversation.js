// The messages of a session, and the field to write the next one.

import { Attachments } from "./attachments.js";
import { button, make } from "./dom.js";
import { Log } from "./log.js";
import { Run } from "./run.js";
import { decider, placeKey } from "./text.js";
import { openUse } from "./use.js";

class Conversation extends HTMLElement {
  start(app) {
    this.app = app;
    // What was sent from here, and what is only followed, by flow and session: one of each at a time.
    this.runs = new Map();
    this.follows = new Map();
    this.uploading = new Set();
    this.heading = make("h2", { class: "session-id" });
    this.log = new Log(app, () => [this.followed, this.run].filter(Boolean));
    this.facts = make("p", { class: "note facts" });
    this.text = make("textarea", { id: "text", rows: 3, placeholder: "Write a message" });
    this.send = make("button", { class: "main" }, "Send");
    this.attachments = new Attachments(app);
    this.empty = make("section", { class: "empty", "aria-label": "About the flow" });
    this.log.element.prepend(this.empty);
    const form = make(
      "form",
      { class: "composer", onsubmit: (event) => this.onSubmit(event) },
      make("label", { class: "unseen", for: "text" }, "Message"),
      this.text,
      this.send,
    );
    const attaching = make("div", { class: "attaching" }, this.attachments.open, this.attachments.input, this.attachments.list);
    const use = button("Use in code", () => app.flow && openUse(app), { id: "use" });
    this.append(make("div", { class: "head" }, this.heading, use), this.log.element, this.facts, attaching, form);
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.onSubmit(event);
      if (event.key === "Escape") this.stoppable?.stop();
    });
    this.text.addEventListener("input", () => {
      this.keepDraft();
      this.showBusy();
    });
    this.attachments.onChange = () => this.showBusy();
    this.attachments.listen(this);
    app.on("again", (question) => this.again(question));
    app.on("place", () => this.open());
    app.on("flow", () => this.open());
    app.on("back", () => this.log.sync());
    app.on("changed", (session) => session && session === this.session && this.log.sync());
  }

  get run() {
    return this.runs.get(placeKey(this.flow, this.session));
  }

  get followed() {
    return this.follows.get(placeKey(this.flow, this.session));
  }

  // A run that is only followed keeps nobody from sending: the session takes its turns one after the other.
  get stoppable() {
    return this.run ?? (this.isWritten ? undefined : this.followed);
  }

  get isWritten() {
    return Boolean(this.text.value.trim() || this.attachments.here.length);
  }

  keepDraft() {
    writeDraft(this, this.text.value);
  }

  async open() {
    const { session } = this.app.place;
    const flow = this.app.flow?.id;
    if (!flow) return;
    if (this.session === session && this.flow === flow) {
      this.find();
      return;
    }
    const carried = this.takeUnsent();
    this.session = session;
    this.flow = flow;
    this.heading.textContent = session;
    this.facts.textContent = "";
    this.text.value = joined(readDraft(this), carried);
    this.keepDraft();
    this.attachments.show(placeKey(flow, session));
    this.empty.replaceChildren();
    this.showBusy();
    await this.log.open(session, flow);
    if (session !== this.session || flow !== this.flow) return;
    this.showEmpty();
    if (this.next?.session === session) this.begin(new Run(this, { ...this.next, flow }));
    else Run.resume(this, session, flow);
    this.next = null;
    this.find();
  }

  find() {
    const { message } = this.app.place;
    if (message) this.log.find(message);
  }

  // A session in which nothing was said says what the flow is for.
  showEmpty() {
    const { name, description, examples = [] } = this.app.flow;
    const tries = examples.map((text) => make("li", {}, button(text, () => this.propose(text))));
    this.empty.replaceChildren(
      make("h2", {}, name),
      description && make("p", {}, description),
      tries.length && make("p", { class: "note" }, "Try one of these:"),
      tries.length && make("ul", { class: "examples" }, ...tries),
    );
  }

  propose(text) {
    this.text.value = text;
    this.keepDraft();
    this.showBusy();
    this.text.focus();
  }

  // Asks a question again in a copy of the session up to it; both are kept.
  async again({ id, text, files, isQuestion }) {
    const from = this.session;
    if (!isQuestion) {
      this.app.say("There is no question before this answer.");
      return;
    }
    try {
      const { session_id: session } = await this.app.api.fork(from, id);
      this.next = { session, text, files };
      this.app.go({ session });
      this.origin = { session, from };
    } catch (error) {
      this.app.report(error);
    }
  }

  // What was typed for a flow that is gone goes along to the next one: there is no way back to it.
  takeUnsent() {
    if (this.app.find(this.flow)) return "";
    const text = this.text.value;
    writeDraft(this, "");
    return text;
  }

  async onSubmit(event) {
    event.preventDefault();
    if (this.stoppable) {
      // Enter stops nothing: only the button does, and Escape.
      if (event.type === "submit") this.stoppable.stop();
      return;
    }
    const text = this.text.value;
    const { session, flow } = this;
    const place = placeKey(flow, session);
    if (!this.isWritten || !this.app.flow) return;
    if (this.uploading.has(place)) {
      this.app.say("The files of the last message are still being uploaded.");
      return;
    }
    this.text.value = "";
    this.keepDraft();
    this.uploading.add(place);
    const { paths: files, failed } = await this.attachments.take(place);
    this.uploading.delete(place);
    const run = new Run(this, { session, flow, text, files });
    if (failed || !(text.trim() || files.length)) {
      // One of them could not be uploaded: it is said there, and nothing goes without it.
      this.giveBack(run);
      this.showBusy();
      return;
    }
    this.begin(run);
  }

  begin(run) {
    const key = placeKey(run.flow, run.session);
    const runs = run.isFollowed ? this.follows : this.runs;
    runs.set(key, run);
    this.showBusy();
    run.go().finally(() => {
      runs.delete(key);
      this.showBusy();
      this.app.emit("changed", run.session);
    });
  }

  // Gives a text back that did not reach the server: nothing typed is lost.
  giveBack(run) {
    const text = joined(readDraft(run), run.text);
    writeDraft(run, text);
    if (run.visible) this.text.value = text;
    if (run.files.length) this.attachments.give(placeKey(run.flow, run.session), run.files);
  }

  showBusy() {
    const stops = Boolean(this.stoppable);
    this.send.textContent = stops ? "Stop" : "Send";
    this.send.classList.toggle("danger", stops);
    this.log.element.setAttribute("aria-busy", String(Boolean(this.run ?? this.followed)));
  }

  // Which session the run really used, and who decided that.
  showSession(session, run) {
    if (!session || !run.visible) return;
    const id = make("span", { class: "session-id", title: session.id }, session.id);
    this.facts.replaceChildren("Session ", id, `: ${decider(session)}. `);
    const { from } = this.origin?.session === run.session ? this.origin : {};
    if (from) this.facts.append("It goes on from another one: ", button("Open that one", () => this.app.go({ session: from })));
    if (session.id !== run.session) {
      this.facts.append(button("Open that session", () => this.app.go({ session: session.id })));
    }
  }
}

function joined(...texts) {
  return texts.filter(Boolean).join("\n");
}

// What is typed and not sent is kept in the tab, for each flow and session.
function draftName({ flow, session }) {
  return `flowrunner:draft:${placeKey(flow, session)}`;
}

function readDraft(place) {
  return sessionStorage.getItem(draftName(place)) ?? "";
}

function writeDraft(place, text) {
  if (text) sessionStorage.setItem(draftName(place), text);
  else sessionStorage.removeItem(draftName(place));
}

customElements.define("fr-conversation", Conversation);
