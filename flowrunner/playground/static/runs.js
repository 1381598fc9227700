// The last runs of the flow, or of the session that is open.

import { button, make } from "./dom.js";
import { arrivals, listed, valueRows } from "./graph.js";
import { ago, decider, duration, shown } from "./text.js";
import { reason, WORDS } from "./trace.js";

const MOST_STEPS = 100;

class Runs extends HTMLElement {
  start(app) {
    this.app = app;
    this.only = make("input", { id: "only", type: "checkbox" });
    this.list = make("ol", { class: "runs-list" });
    this.note = make("p", { class: "note" });
    this.further = button("More", () => this.more(), { hidden: true });
    this.append(make("label", { class: "check", for: "only" }, this.only, "Only this session"), this.list, this.note, this.further);
    this.only.addEventListener("change", () => this.reload());
    app.on("flow", () => this.reload());
    app.on("place", () => this.only.checked && this.reload());
    app.on("run-ends", async (run) => {
      if (!this.hidden && run.id) await app.api.recorded(run.flow, run.id).catch(() => false);
      this.reload();
    });
    app.on("tab", (name) => name === "runs" && this.reload());
  }

  async reload() {
    this.cursor = null;
    if (this.hidden || !this.app.flow) return;
    this.list.replaceChildren();
    await this.more();
  }

  async more() {
    const { flow, place } = this.app;
    const query = { flow_id: flow.id, session_id: this.only.checked ? place.session : "", cursor: this.cursor };
    const round = (this.round = (this.round ?? 0) + 1);
    try {
      const { items, cursor } = await this.app.api.runs(query);
      if (round !== this.round) return;
      this.cursor = cursor;
      this.list.append(...items.map((run) => this.row(run)));
      this.further.hidden = !cursor;
      this.note.textContent = this.list.children.length ? "" : "No runs yet.";
    } catch (error) {
      this.app.report(error);
    }
  }

  row(run) {
    const body = make("div", { class: "run" });
    const details = make(
      "details",
      {},
      make(
        "summary",
        {},
        make("span", { class: "lamp", "aria-hidden": "true" }),
        make("span", { class: "title" }, run.status),
        make("span", { class: "note" }, ` ${[duration(run.duration), ago(run.started_at)].filter(Boolean).join(" · ")}`),
      ),
      body,
    );
    details.addEventListener("toggle", () => details.open && this.fill(body, run.id));
    return make("li", { "data-state": run.status }, details);
  }

  async fill(body, id) {
    if (body.childElementCount) return;
    try {
      const run = await this.app.api.run(id);
      const { steps } = await this.app.api.steps(id);
      const { plan } = this.app;
      const arriving = (vertex) => (plan?.flow_id === run.flow_id ? arrivals(plan, vertex) : []);
      body.replaceChildren(...partsOf(run, steps, arriving, () => this.app.go({ session: run.session.id }), () => this.app.go({ run: id })));
    } catch (error) {
      body.replaceChildren(make("p", { class: "notice failed" }, this.app.sentence(error)));
    }
  }
}

function partsOf(run, steps, arriving, open, follow) {
  const parts = [make("p", { class: "note" }, `Run ${run.id}`), make("p", {}, button("Timeline", follow))];
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

customElements.define("fr-runs", Runs);
