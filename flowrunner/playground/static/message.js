// One message of a conversation as an element.

import { codeBlock, copyText } from "./code.js";
import { ask, button, copyOf, make } from "./dom.js";
import { filesOf, pathsOf } from "./files.js";
import { clock, duration, shown, spent } from "./text.js";

export class MessageView {
  constructor(message, actions) {
    this.actions = actions;
    this.who = make("strong", { class: "who" });
    this.marks = make("span", { class: "marks" });
    this.time = make("time", {});
    this.body = make("div", { class: "body" });
    this.files = make("div", { class: "files" });
    this.blocks = make("div", { class: "blocks" });
    this.foot = make("div", { class: "foot" });
    this.spent = make("div", { class: "note spent" });
    this.element = make(
      "article",
      { class: "message" },
      make("header", {}, this.who, this.marks, this.time),
      this.body,
      this.files,
      this.blocks,
      this.spent,
      this.foot,
    );
    this.update(message);
    const begun = message.id && actions?.editOf(message.id);
    if (begun) this.edit(begun);
  }

  update(message) {
    const before = this.message;
    message = { ...message, facts: message.facts ?? before?.facts };
    this.message = message;
    const mine = message.sender === "User";
    const failed = message.error || message.category === "error";
    this.element.className = `message ${mine ? "mine" : "theirs"}${failed ? " failed" : ""}`;
    this.element.dataset.id = message.id ?? "";
    this.who.textContent = message.sender_name || message.sender || "";
    this.time.textContent = clock(message.timestamp);
    this.time.dateTime = message.timestamp ?? "";
    this.marks.textContent = marksOf(message).join(", ");
    this.spent.textContent = [spent(message.properties), message.facts].filter(Boolean).join(", ");
    // Only what a run writes at this moment has a cursor.
    this.element.classList.toggle("partial", Boolean(message.run) && message.properties?.state === "partial");
    if (!before || before.text !== message.text) this.showText(message.text);
    this.showBlocks(message.content_blocks ?? []);
    this.showFiles(message.files ?? []);
    if (Boolean(message.id) !== Boolean(before?.id) || !before) this.showActions(mine);
  }

  get rendered() {
    return this.body.classList.contains("rendered");
  }

  showText(text) {
    this.body.className = "body plain";
    this.body.textContent = text;
  }

  grow(piece) {
    this.message = { ...this.message, text: this.message.text + piece };
    if (this.editing) return;
    if (this.rendered) this.showText(this.message.text);
    else this.body.append(piece);
  }

  showRendered(html, text) {
    if (html === null || text !== this.message.text || this.editing) return;
    this.body.className = "body rendered";
    this.body.replaceChildren(copyOf(html, codeBlock));
  }

  showBlocks(blocks) {
    const shape = JSON.stringify(blocks);
    if (shape === this.shape) return;
    this.shape = shape;
    this.blocks.replaceChildren(...blocks.map(blockOf));
  }

  showFiles(files) {
    const shape = JSON.stringify(pathsOf(files));
    if (shape === this.filesShape || !this.actions) return;
    this.filesShape = shape;
    this.files.replaceChildren(...filesOf(files, this.actions));
  }

  showActions(mine) {
    const name = mine ? "your message" : "the answer";
    const all = [button("Copy", () => this.copy(), { "aria-label": `Copy ${name}` })];
    if (this.message.id && this.actions) {
      all.push(button("Edit", () => this.edit(), { "aria-label": `Edit ${name}` }));
      const word = mine ? "Run again" : "Regenerate";
      all.push(button(word, () => this.actions.again(this), { title: "In a copy of the session up to here; this one stays" }));
      all.push(button("Link", () => this.actions.link(this.message.id), { "aria-label": `Copy a link to ${name}` }));
      all.push(button("Delete", () => this.remove(), { "aria-label": `Delete ${name}` }));
    }
    this.foot.replaceChildren(...all);
  }

  copy() {
    return copyText(this.message.text, this.body);
  }

  // `begun` is what was typed before the message was taken from view.
  edit(begun = "") {
    if (this.editing) return;
    this.editing = true;
    const { id } = this.message;
    const field = make("textarea", { "aria-label": "Text of the message", rows: 4 });
    field.value = begun || this.message.text;
    field.addEventListener("input", () => this.actions.keepEdit(id, field.value));
    const close = () => {
      this.editing = false;
      this.actions.keepEdit(id, "");
      this.showText(this.message.text);
      this.actions.render([this]);
      this.foot.querySelector("button")?.focus();
    };
    const save = async () => {
      const changed = await this.actions.save(id, field.value);
      if (!changed) return;
      this.update({ ...this.message, ...changed });
      close();
    };
    field.addEventListener("keydown", (event) => event.key === "Escape" && close());
    const fork = () => {
      const { value } = field;
      close();
      this.actions.again(this, value);
    };
    const again = this.message.sender === "User" && button("Run from here", fork, { title: "In a copy of the session up to here; this one stays" });
    const actions = make("div", { class: "actions" }, button("Cancel", close), again, button("Save", save, { class: "main" }));
    this.body.className = "body editing";
    this.body.replaceChildren(field, actions);
    if (!begun) field.focus();
  }

  async remove() {
    const sure = await ask({ title: "Delete this message?", text: shown(this.message.text, 200), action: "Delete", danger: true });
    if (sure) await this.actions.remove(this.message.id);
  }
}

function marksOf({ edit, properties, category, id, pending, run }) {
  const found = [];
  if (edit || properties?.edited) found.push("edited");
  if (properties?.state === "partial") found.push(id && !run ? "stopped before its end" : "being written");
  if (category === "error") found.push("error");
  if (properties?.refusal) found.push("refused");
  if (properties?.finish_reason) found.push(`ended early: ${properties.finish_reason}`);
  if (pending) found.push(pending);
  return found;
}

function blockOf(block) {
  const title = typeof block.title === "string" && block.title ? block.title : "Steps";
  const contents = Array.isArray(block.contents) ? block.contents : [];
  return make("details", { class: "block" }, make("summary", {}, title), ...contents.map(stepOf));
}

function stepOf(step) {
  if (!step || typeof step !== "object") return make("pre", {}, shown(step));
  const heading = step.header?.title || step.name || step.type || "";
  const parts = [make("div", { class: "step-name" }, String(heading), make("span", { class: "note" }, step.duration ? ` ${duration(step.duration / 1000)}` : ""))];
  for (const name of ["text", "tool_input", "output", "error", "reason", "solution", "code", "data", "json"]) {
    const value = step[name];
    if (value === null || value === undefined || value === "") continue;
    if (name !== "text") parts.push(make("div", { class: "note" }, name.replace("_", " ")));
    parts.push(make("pre", {}, shown(value)));
  }
  return make("div", { class: "step" }, ...parts);
}
