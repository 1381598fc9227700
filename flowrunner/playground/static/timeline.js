// What the components of a run did in time: when each began, how long it took, and what it waited for.

import { button, make } from "./dom.js";
import { fillWindow } from "./full.js";
import { duration } from "./text.js";
import { reason, stepOf, WORDS } from "./trace.js";

const NS = "http://www.w3.org/2000/svg";
// Marks of a component that runs again and again; the table says how often it did.
const MOST_BARS = 300;

export class Timeline {
  constructor(host, app) {
    this.app = app;
    this.note = make("p", { class: "note" });
    this.body = make("tbody", {});
    const heads = ["Component", "When", "Took", "Waited for"].map((word) => make("th", { scope: "col" }, word));
    this.axis = heads[1];
    this.table = make("table", { class: "timeline" }, make("caption", { class: "unseen" }, "Components of the run, by start time"), make("thead", {}, make("tr", {}, ...heads)), this.body);
    const frame = make("div", { class: "frame", tabindex: "0", role: "group", "aria-label": "Timeline" });
    const full = button("Full screen", () => fillWindow(frame, "Timeline", full, frame), { class: "small" });
    frame.append(make("div", { class: "head" }, this.note, full), this.table);
    host.replaceChildren(frame);
  }

  show(trace) {
    this.trace = trace;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    const { trace } = this;
    if (!trace || trace.start === null) {
      this.note.textContent = trace?.id && !trace.isOpen ? "There is no record of the steps of this run." : trace?.id ? "The run has not started." : "No run of this session yet.";
      this.table.hidden = true;
      return;
    }
    const end = trace.isOpen ? Math.max(trace.latest(), trace.now()) : trace.latest();
    const length = Math.max(end - trace.start, 1e-3);
    const notes = [trace.id && `Run ${trace.id}`, trace.isOpen ? trace.status : { success: "done", error: "failed", cancelled: "stopped" }[trace.status] ?? trace.status, duration(length / 1000)];
    this.note.textContent = notes.filter(Boolean).join(", ") + (trace.isOther ? ". The flow has been changed since." : trace.more ? ". The run has more steps than are shown here." : "");
    this.table.hidden = false;
    this.axis.replaceChildren("When", ruler(length));
    const states = trace.states();
    const names = new Map(trace.plan.vertices.map(({ id, name }) => [id, name]));
    const begun = ({ id }) => trace.spans.get(id)?.[0].start ?? Infinity;
    const order = trace.plan.vertices.filter(({ id }) => states.get(id) !== "idle").sort((one, other) => begun(one) - begun(other) || 0);
    this.body.replaceChildren(...order.map((vertex) => this.row(vertex, states.get(vertex.id), names, length, end)));
    // What runs grows while somebody looks.
    clearTimeout(this.timer);
    if (trace.isOpen && this.table.checkVisibility()) this.timer = setTimeout(() => this.show(trace), 250);
  }

  row({ id, name }, state, names, length, end) {
    const { trace } = this;
    const spans = trace.spans.get(id) ?? [];
    const facts = trace.facts(id);
    const waited = trace.waited(id);
    const begins = spans.length ? `+${span(spans[0].start - trace.start)}` : "";
    const took = spans.length && spans.at(-1).end === null ? span(end - spans.at(-1).start) : spans.length ? span(facts.duration * 1000) : "";
    const times = spans.length > 1 ? ` (${spans.length} times)` : "";
    const last = waited[0];
    const gap = last && spans.length ? spans[0].start - last.end : null;
    const held = last ? `${names.get(last.source)}${gap !== null && gap >= 1 ? `, then ${span(gap)}` : ""}${waited.length > 1 ? `; before it ${waited.slice(1).map(({ source }) => names.get(source)).join(", ")}` : ""}` : "";
    // Where nothing tells when it was stopped, it was at work until the run ended.
    const drawn = !spans.length && state === "stopped" ? [{ start: last?.end ?? trace.start, end, status: "cancelled" }] : spans;
    const chart = bars(drawn, trace, length, end, state, last);
    const words = WORDS[state] + (facts.error ? `: ${reason(facts.error)}` : "");
    return make(
      "tr",
      { "data-state": state, tabindex: "-1" },
      make("th", { scope: "row" }, make("span", { class: "lamp", "aria-hidden": "true" }), make("span", { class: "title" }, name), make("span", { class: "note" }, ` ${words}`)),
      make("td", { class: "when" }, chart, make("span", { class: "note" }, begins)),
      make("td", {}, took + times),
      make("td", {}, held),
    );
  }
}

function bars(spans, trace, length, end, state, last) {
  const svg = element("svg", { class: "bars", "aria-hidden": "true", preserveAspectRatio: "none", viewBox: "0 0 1000 10" });
  const at = (moment) => ((moment - trace.start) / length) * 1000;
  if (spans.length && last && spans[0].start > last.end) svg.append(element("rect", { class: "gap", x: at(last.end), width: at(spans[0].start) - at(last.end), y: 4.5, height: 1 }));
  for (const one of spans.slice(0, MOST_BARS)) {
    const from = Math.min(at(one.start), 996);
    const failed = one.status === "error" ? "error" : one.end === null ? state : one.status === "cancelled" ? "stopped" : "success";
    svg.append(element("rect", { "data-state": failed, x: from, width: Math.max(4, at(one.end ?? end) - from), y: 1, height: 8 }));
  }
  return svg;
}

function ruler(length) {
  const svg = element("svg", { class: "ruler", "aria-hidden": "true" });
  const step = stepOf(length, 3);
  for (let at = 0; at <= length * 1.0001; at += step) {
    const x = (at / length) * 100;
    const text = element("text", { x: `${x}%`, y: 10, "text-anchor": x < 5 ? "start" : x > 92 ? "end" : "middle" });
    text.textContent = at ? span(at) : "0";
    svg.append(text);
  }
  return svg;
}

function span(milliseconds) {
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  return duration(milliseconds / 1000);
}

function element(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
