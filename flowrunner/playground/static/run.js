// One run: what is sent, what comes back, how it is stopped or taken up again after a reload.

import { announce } from "./dom.js";
import { MessageView } from "./message.js";
import { placeKey } from "./text.js";

const RUNNING = "flowrunner:running";

export class Run {
  constructor(conversation, { session, flow, text = null, files = [], id = "" }) {
    Object.assign(this, { conversation, session, flow, text, files, id });
    this.app = conversation.app;
    this.controller = new AbortController();
    this.stored = this.isFollowed;
    this.said = new Set();
    // What the run has said so far, by id: what is shown may be taken away and built again.
    this.messages = new Map();
  }

  // A run that went on while the page was loaded again, or that somebody began elsewhere.
  static async resume(conversation, session, flow) {
    const key = placeKey(flow, session);
    const id = remembered()[key] ?? (await conversation.app.api.running(flow, session).catch(() => ""));
    if (id && !conversation.runs.has(key) && !conversation.follows.has(key)) conversation.begin(new Run(conversation, { session, flow, id }));
  }

  // Nothing was sent here: what a run does that is there already is only looked at.
  get isFollowed() {
    return this.text === null;
  }

  get visible() {
    return this.conversation.session === this.session && this.conversation.flow === this.flow;
  }

  get log() {
    return this.conversation.log;
  }

  async go() {
    if (!this.isFollowed) this.showPending();
    this.app.emit("run-begins", this);
    try {
      const body = { input_value: this.text ?? "", session_id: this.session, input_type: "chat", output_type: "chat" };
      if (this.files.length) body.files = this.files;
      const options = { signal: this.controller.signal, onCut: (cut) => this.app.showLost(cut) };
      const { api } = this.app;
      const frames = this.id ? api.followRun(this.id, options) : api.follow(this.flow, body, options);
      for await (const frame of frames) this.take(frame);
    } catch (error) {
      this.fail(error);
    } finally {
      this.forget();
      this.pending?.element.remove();
      // Nothing is being written any more, however it ended.
      for (const message of this.messages.values()) this.tell({ ...message, run: false });
      this.app.emit("run-ends", this);
    }
  }

  showPending() {
    const message = { text: this.text, sender: "User", sender_name: "You", pending: "being sent" };
    this.pending = new MessageView(message, null);
    // While files were on their way, another session may have been opened.
    if (!this.visible) return;
    this.log.append(this.pending.element);
    this.log.toEnd();
  }

  take({ event, data, id }) {
    const run = id.split(":")[0];
    if (run && run !== this.id) this.id = run;
    if (this.id && !this.isFollowed) this.remember();
    this[`on_${event}`]?.(data);
  }

  on_add_message(data) {
    const message = data.data ?? data;
    if (message.sender === "User") this.settle();
    if (!message.id) return;
    const view = this.tell({ ...message, run: true });
    if (message.properties?.state === "partial") return;
    if (message.sender !== "User") this.said.add(message.text);
    if (view) this.log.render([view]);
  }

  on_token({ chunk, id }) {
    const follow = this.visible && this.log.isAtEnd;
    const before = this.messages.get(id) ?? { id, text: "", sender: "Machine", sender_name: "AI", run: true };
    const message = { ...before, text: before.text + chunk };
    const view = this.visible && this.log.views.get(id);
    if (view && view.message.text.length === before.text.length) {
      this.messages.set(id, message);
      view.grow(chunk);
    } else this.tell(message);
    if (follow) this.log.toEnd();
  }

  // Keeps what the run says, and shows it where its session is open.
  tell(message) {
    this.messages.set(message.id, message);
    return this.visible ? this.log.put(message) : null;
  }

  // Shows all of it again: its session was left and is open once more.
  show() {
    if (!this.visible) return;
    const views = [...this.messages.values()].map((message) => this.log.put(message));
    if (this.pending && !this.stored) this.log.append(this.pending.element);
    this.log.render(views.filter(({ message: { properties } }) => properties && properties.state !== "partial"));
  }

  on_vertex_started(data) {
    this.app.emit("vertex", { ...data, status: "running", run: this });
  }

  on_vertex_finished(data) {
    this.app.emit("vertex", { ...data, run: this });
  }

  on_end({ result }) {
    this.settle();
    this.conversation.showSession(result?.session, this);
    const texts = [...this.said].length ? [...this.said] : resultTexts(result ?? {});
    if (!this.said.size && this.visible) {
      texts.forEach((text) => this.log.append(new MessageView({ text, sender: "Machine", sender_name: "Result", pending: "not kept" }, null).element));
    }
    announce(texts.length ? `Answer: ${texts.join(" ").slice(0, 500)}` : "The run is finished.");
  }

  on_error(data) {
    if (typeof data.error !== "string") {
      this.settle();
      const message = data.data ?? data;
      if (message.id) this.tell(message);
      this.failed = message;
      return;
    }
    if (data.code === "run_cancelled") {
      this.stopped = true;
      this.giveBack();
      announce("The run was stopped.");
      if (this.visible) this.log.notice(data.error, "stopped");
      return;
    }
    this.giveBack();
    // What the API keeps for its clients before the component's own words says nothing to a reader.
    const said = data.error.replace(/^Error running graph: Error building Component /, "");
    const facts = [data.code, this.id && `run ${this.id}`].filter(Boolean).join(", ");
    // A conversation that has the error as a message needs no notice that says it again.
    if (this.failed?.id) this.tell({ ...this.failed, facts });
    else if (this.visible) this.log.notice(`${said} (${facts})`);
  }

  // The message is with the server: what was typed need not be given back.
  settle() {
    this.stored = true;
    this.pending?.element.remove();
  }

  // Nothing of a run that ended too early stands in the conversation: what was typed is given back.
  giveBack() {
    if (!this.stored) this.conversation.giveBack(this);
    this.settle();
  }

  async stop() {
    announce("Stopping.");
    try {
      if (!this.id) throw new Error("nothing to stop by name yet");
      await this.app.api.stop(this.id);
      // A run whose process is gone says nothing any more.
      setTimeout(() => this.leave(), 4000);
    } catch {
      this.leave();
    }
  }

  // The run's id is kept in the tab, to take it up again when the page is loaded anew.
  remember() {
    const all = remembered();
    const key = placeKey(this.flow, this.session);
    if (all[key] === this.id) return;
    sessionStorage.setItem(RUNNING, JSON.stringify({ ...all, [key]: this.id }));
  }

  // Another run of the same session may be kept there by now.
  forget() {
    const { [placeKey(this.flow, this.session)]: id, ...others } = remembered();
    if (id && id === this.id) sessionStorage.setItem(RUNNING, JSON.stringify(others));
  }

  leave() {
    this.controller.abort(new DOMException("stopped", "AbortError"));
  }

  fail(error) {
    if (error.name === "AbortError") {
      this.stopped = true;
      this.giveBack();
      if (this.visible) this.log.notice("The run was stopped.", "stopped");
      return;
    }
    if (this.isFollowed && error.status === 404) return;
    this.giveBack();
    if (this.visible) this.log.notice(this.app.sentence(error));
    this.app.report(error, { quiet: true });
  }
}

export function resultTexts(result) {
  const found = [];
  for (const part of result.outputs ?? []) {
    for (const output of part.outputs ?? []) {
      for (const value of Object.values(output.outputs ?? {})) {
        if (typeof value?.message === "string" && value.message) found.push(value.message);
      }
    }
  }
  return found;
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(RUNNING)) ?? {};
  } catch {
    return {};
  }
}
