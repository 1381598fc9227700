// The messages of a session, and the field to write the next one.

import { button, make } from "./dom.js";
import { Log } from "./log.js";
import { Run } from "./run.js";
import { decider } from "./text.js";

class Conversation extends HTMLElement {
  start(app) {
    this.app = app;
    this.runs = new Map();
    this.heading = make("h2", { class: "session-id" });
    this.log = new Log(app, this);
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
    return this.runs.get(this.session);
  }

  get draftName() {
    return `flowrunner:draft:${this.app.place.flow}:${this.session}`;
  }

  keepDraft() {
    if (this.text.value) sessionStorage.setItem(this.draftName, this.text.value);
    else sessionStorage.removeItem(this.draftName);
  }

  async open() {
    const { session } = this.app.place;
    const flow = this.app.flow?.id;
    if (!flow || (this.session === session && this.flow === flow)) return;
    this.session = session;
    this.flow = flow;
    this.heading.textContent = session;
    this.facts.textContent = "";
    this.text.value = sessionStorage.getItem(this.draftName) ?? "";
    this.showBusy();
    await this.log.open(session, flow);
    Run.resume(this, session, flow);
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
    this.runs.set(run.session, run);
    this.showBusy();
    run.go().finally(() => {
      this.runs.delete(run.session);
      this.showBusy();
      this.app.emit("changed", run.session);
    });
  }

  // Gives a text back that did not reach the server: nothing typed is lost.
  giveBack(session, text) {
    if (session === this.session && !this.text.value) {
      this.text.value = text;
      this.keepDraft();
    } else if (session !== this.session) {
      sessionStorage.setItem(`flowrunner:draft:${this.app.place.flow}:${session}`, text);
    } else {
      this.text.value += `\n${text}`;
      this.keepDraft();
    }
  }

  showBusy() {
    const busy = Boolean(this.run);
    this.send.textContent = busy ? "Stop" : "Send";
    this.send.classList.toggle("danger", busy);
    this.log.element.setAttribute("aria-busy", String(busy));
  }

  // Which session the run really used, and who decided that.
  showSession(session, run) {
    if (!session || run.session !== this.session) return;
    this.facts.replaceChildren(`Session ${session.id}: ${decider(session)}. `);
    if (session.id !== run.session) {
      this.facts.append(button("Open that session", () => this.app.go({ session: session.id })));
    }
  }
}

customElements.define("fr-conversation", Conversation);
