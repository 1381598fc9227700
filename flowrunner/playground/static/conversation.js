// The messages of a session, and the field to write the next one.

import { button, make } from "./dom.js";
import { Log } from "./log.js";
import { Run } from "./run.js";
import { decider, placeKey } from "./text.js";

class Conversation extends HTMLElement {
  start(app) {
    this.app = app;
    this.runs = new Map();
    this.heading = make("h2", { class: "session-id" });
    this.log = new Log(app, () => this.run);
    this.facts = make("p", { class: "note facts" });
    this.text = make("textarea", { id: "text", rows: 3, placeholder: "Write a message" });
    this.send = make("button", { class: "main" }, "Send");
    const form = make(
      "form",
      { class: "composer", onsubmit: (event) => this.onSubmit(event) },
      make("label", { class: "unseen", for: "text" }, "Message"),
      this.text,
      this.send,
    );
    this.append(make("div", { class: "head" }, this.heading), this.log.element, this.facts, form);
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.onSubmit(event);
      if (event.key === "Escape") this.run?.stop();
    });
    this.text.addEventListener("input", () => this.keepDraft());
    app.on("place", () => this.open());
    app.on("flow", () => this.open());
    app.on("back", () => this.log.sync());
    app.on("changed", (session) => session && session === this.session && this.log.sync());
  }

  get run() {
    return this.runs.get(placeKey(this.flow, this.session));
  }

  keepDraft() {
    writeDraft(this, this.text.value);
  }

  async open() {
    const { session } = this.app.place;
    const flow = this.app.flow?.id;
    if (!flow || (this.session === session && this.flow === flow)) return;
    const carried = this.takeUnsent();
    this.session = session;
    this.flow = flow;
    this.heading.textContent = session;
    this.facts.textContent = "";
    this.text.value = joined(readDraft(this), carried);
    this.keepDraft();
    this.showBusy();
    await this.log.open(session, flow);
    Run.resume(this, session, flow);
  }

  // What was typed for a flow that is gone goes along to the next one: there is no way back to it.
  takeUnsent() {
    if (this.app.find(this.flow)) return "";
    const text = this.text.value;
    writeDraft(this, "");
    return text;
  }

  onSubmit(event) {
    event.preventDefault();
    if (this.run) {
      // Enter stops nothing: only the button does, and Escape.
      if (event.type === "submit") this.run.stop();
      return;
    }
    const text = this.text.value;
    if (!text.trim() || !this.app.flow) return;
    this.text.value = "";
    this.keepDraft();
    this.begin(new Run(this, { session: this.session, flow: this.flow, text }));
  }

  begin(run) {
    const key = placeKey(run.flow, run.session);
    this.runs.set(key, run);
    this.showBusy();
    run.go().finally(() => {
      this.runs.delete(key);
      this.showBusy();
      this.app.emit("changed", run.session);
    });
  }

  // Gives a text back that did not reach the server: nothing typed is lost.
  giveBack(run) {
    const text = joined(readDraft(run), run.text);
    writeDraft(run, text);
    if (run.visible) this.text.value = text;
  }

  showBusy() {
    const busy = Boolean(this.run);
    this.send.textContent = busy ? "Stop" : "Send";
    this.send.classList.toggle("danger", busy);
    this.log.element.setAttribute("aria-busy", String(busy));
  }

  // Which session the run really used, and who decided that.
  showSession(session, run) {
    if (!session || !run.visible) return;
    const id = make("span", { class: "session-id", title: session.id }, session.id);
    this.facts.replaceChildren("Session ", id, `: ${decider(session)}. `);
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
