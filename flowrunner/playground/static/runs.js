// The last runs of the flow, or of the session that is open.

import { openCompare } from "./compare.js";
import { announce, button, make } from "./dom.js";
import { arrivals, listed, valueRows } from "./graph.js";
import { ago, decider, duration, shown } from "./text.js";
import { reason, WORDS } from "./trace.js";

const MOST_STEPS = 100;

const STATES = { success: "done", error: "failed", cancelled: "stopped" };
const OPEN = new Set(["queued", "running"]);
// How often runs that have not ended are looked at again, and how many of them at a time.
const PAUSE = 2000;
const MOST_WATCHED = 10;

class Runs extends HTMLElement {
  start(app) {
    this.app = app;
    this.only = make("input", { id: "only", type: "checkbox" });
    const states = ["queued", "running", "success", "error", "cancelled", "lost"];
    this.status = choice("run-state", [["", "any"], ...states.map((state) => [state, STATES[state] ?? state])]);
    this.scope = choice("run-flows", [["", "this one"], ["all", "all"]]);
    this.list = make("ol", { class: "runs-list" });
    this.note = make("p", { class: "note" });
    this.further = button("More", () => this.more(), { hidden: true });
    const filters = make(
      "div",
      { class: "filters" },
      make("label", { for: "run-state" }, "State", this.status),
      make("label", { for: "run-flows" }, "Flow", this.scope),
      make("label", { class: "check", for: "only" }, this.only, "Only this session"),
    );
    this.append(filters, this.list, this.note, this.further);
    for (const one of [this.only, this.status, this.scope]) one.addEventListener("change", () => this.reload());
    app.on("flow", () => this.reload());
    app.on("place", () => this.only.checked && this.reload());
    app.on("run-begins", (run) => this.expect(run));
    app.on("run-ends", async (run) => {
      run.over = true;
      if (!this.hidden && run.id) await app.api.recorded(run.flow, run.id).catch(() => false);
      this.reload();
    });
    app.on("tab", (name) => name === "runs" && this.reload());
  }

  async reload() {
    this.cursor = null;
    if (this.hidden || !this.app.flow) return;
    this.rows = new Map();
    this.list.replaceChildren();
    await this.more();
  }

  async more() {
    const { flow, place } = this.app;
    const query = {
      flow_id: this.scope.value ? "" : flow.id,
      session_id: this.only.checked ? place.session : "",
      status: this.status.value,
      cursor: this.cursor,
    };
    const round = (this.round = (this.round ?? 0) + 1);
    try {
      const { items, cursor } = await this.app.api.runs(query);
      if (round !== this.round) return;
      this.cursor = cursor;
      for (const run of items) {
        const row = this.row(run);
        this.rows.set(run.id, { run, row });
        this.list.append(row);
      }
      this.further.hidden = !cursor;
      this.note.textContent = this.list.children.length ? "" : query.status || query.session_id ? "No run matches." : "No runs yet.";
      this.watch();
    } catch (error) {
      this.app.report(error);
    }
  }

  // A run stands in the list a moment after it has begun.
  expect(run, tries = 6) {
    setTimeout(() => {
      if (this.hidden || run.over || this.rows?.has(run.id) || !tries) return;
      this.reload();
      this.expect(run, tries - 1);
    }, 700);
  }

  // What has not ended is looked at again from time to time, as long as somebody looks.
  watch() {
    clearTimeout(this.timer);
    const going = [...(this.rows?.values() ?? [])].filter(({ run }) => OPEN.has(run.status)).slice(0, MOST_WATCHED);
    if (!going.length) return;
    this.timer = setTimeout(async () => {
      if (this.checkVisibility() && document.visibilityState === "visible") await Promise.all(going.map(({ run }) => this.look(run.id)));
      this.watch();
    }, PAUSE);
  }

  async look(id) {
    const run = await this.app.api.run(id).catch(() => null);
    const known = this.rows.get(id);
    if (!run || !known || run.status === known.run.status) return;
    const row = this.row(run);
    const before = known.row.querySelector("details");
    known.row.replaceWith(row);
    this.rows.set(id, { run, row });
    if (before.open) row.querySelector("details").open = true;
  }

  async stop(run, control) {
    control.disabled = true;
    try {
      await this.app.api.stop(run.id);
      announce("Stopping.");
    } catch (error) {
      if (error.status !== 409) this.app.report(error);
    }
    await this.look(run.id);
    this.watch();
  }

  row(run) {
    const body = make("div", { class: "run" });
    const facts = [this.scope.value && run.flow_name, duration(run.duration), ago(run.started_at ?? run.accepted_at)].filter(Boolean).join(" · ");
    const stop = OPEN.has(run.status) && button("Stop", () => this.stop(run, stop), { class: "small", "aria-label": `Stop the run ${run.id}` });
    const details = make(
      "details",
      {},
      make("summary", {}, make("span", { class: "lamp", "aria-hidden": "true" }), make("span", { class: "title" }, STATES[run.status] ?? run.status), make("span", { class: "note" }, ` ${facts}`)),
      body,
    );
    details.addEventListener("toggle", () => details.open && this.fill(body, run.id));
    const compare = button("Compare", () => this.compare(run.id, compare), { class: "small", "aria-pressed": "false", "aria-label": `Compare the run ${run.id}` });
    return make("li", { "data-state": run.status }, make("div", { class: "acts" }, stop, compare), details);
  }

  // The first is kept until there is a second one.
  compare(id, control) {
    const chosen = this.chosen?.control.isConnected ? this.chosen : null;
    const pressed = chosen?.id !== id;
    control.setAttribute("aria-pressed", String(pressed));
    this.chosen = pressed ? { id, control } : null;
    if (!chosen || !pressed) {
      announce(pressed ? "Choose another run to compare with." : "Nothing is selected.");
      return;
    }
    for (const one of [chosen.control, control]) one.setAttribute("aria-pressed", "false");
    this.chosen = null;
    openCompare(this.app, [chosen.id, id]);
  }

  async fill(body, id) {
    if (body.childElementCount) return;
    try {
      const run = await this.app.api.run(id);
      const { steps } = await this.app.api.steps(id);
      const { plan } = this.app;
      const arriving = (vertex) => (plan?.flow_id === run.flow_id ? arrivals(plan, vertex) : []);
      const flow = this.app.find(run.flow_id);
      const place = { flow: flow?.endpoint_name || run.flow_id, ...(run.session ? { session: run.session.id } : {}) };
      body.replaceChildren(...partsOf(run, steps, arriving, () => this.app.go(place), () => this.app.go({ ...place, run: id })));
    } catch (error) {
      body.replaceChildren(make("p", { class: "notice failed" }, this.app.sentence(error)));
    }
  }
}

function partsOf(run, steps, arriving, open, follow) {
  const copy = button("Copy id", () => navigator.clipboard?.writeText(run.id).then(() => announce("Copied."), () => {}), { class: "small" });
  // By its id the run is found in the log of the server.
  const parts = [make("p", { class: "note" }, `Run ${run.id}`), make("p", { class: "tools" }, button("Timeline", follow, { class: "small" }), copy)];
  if (run.session) parts.push(make("p", {}, `Session ${run.session.id}: ${decider(run.session)}. `, button("Open", open)));
  if (run.error) parts.push(make("p", { class: "notice failed" }, `${reason(run.error.message)} (${run.error.code})`));
  for (const warning of run.warnings ?? []) parts.push(make("p", { class: "notice" }, warning));
  if (run.messages.length) parts.push(make("h2", { class: "small" }, "Messages"));
  for (const message of run.messages) {
    parts.push(make("p", { class: "said" }, make("strong", {}, message.sender_name ?? ""), `: ${shown(message.text, 600)}`));
  }
  if (steps.length) parts.push(make("h2", { class: "small" }, "Components"));
  // A component that ran in a loop is there once for each time, so that only the first of them are shown.
  for (const step of steps.slice(0, MOST_STEPS)) {
    const values = [...(step.error ? [["Error", reason(step.error)]] : []), ...arriving(step.vertex_id), ...valueRows("Input", step.inputs), ...valueRows("Output", step.outputs)];
    const note = ` ${step.vertex_id}, ${[WORDS[step.status] ?? step.status, duration(step.duration)].filter(Boolean).join(", ")}`;
    const summary = make("summary", {}, make("span", { class: "title" }, step.name), make("span", { class: "note" }, note));
    parts.push(make("details", {}, summary, make("dl", {}, ...listed(values))));
  }
  if (steps.length > MOST_STEPS) parts.push(make("p", { class: "note" }, `And ${steps.length - MOST_STEPS} more; the timeline has them.`));
  return parts;
}

function choice(id, options) {
  return make("select", { id }, ...options.map(([value, word]) => make("option", { value }, word)));
}

customElements.define("fr-runs", Runs);
