// The flow drawn, lit up as it runs, and the same facts as a list.

import { make } from "./dom.js";
import { decider, duration, shown } from "./text.js";

const STATES = { running: "running", success: "done", error: "failed", skipped: "not run", idle: "" };

class Graph extends HTMLElement {
  start(app) {
    this.app = app;
    this.problem = make("div", {});
    this.canvas = make("div", { class: "canvas" });
    this.list = make("ol", { class: "facts-list" });
    this.append(this.problem, this.canvas, make("h2", { class: "small" }, "Components"), this.list);
    app.on("flow", () => {
      this.ready = this.open();
    });
    app.on("place", () => this.foresee());
    app.on("run-begins", (run) => this.reset(run));
    app.on("vertex", (event) => this.light(event));
    app.on("run-ends", (run) => this.finish(run));
  }

  async open() {
    const { flow } = this.app;
    this.canvas.replaceChildren();
    this.list.replaceChildren();
    this.problem.replaceChildren();
    this.app.plan = this.plan = this.rows = this.numbers = this.boxes = this.edges = null;
    if (!flow) return;
    try {
      const [plan, drawing] = await Promise.all([this.app.api.plan(flow.id, this.app.place.session), this.app.api.drawing(flow.id)]);
      if (flow !== this.app.flow) return;
      this.app.plan = this.plan = plan;
      this.draw(drawing);
      this.tell(plan);
      if (this.live?.run.flow === flow.id && !this.live.over) {
        this.live.events.forEach((event) => this.apply(event));
        return;
      }
      const { items } = await this.app.api.runs({ flow_id: flow.id, limit: 1 });
      if (items.length && flow === this.app.flow) await this.showRun(items[0].id);
    } catch (error) {
      if (error.code === "not_allowed") this.problem.replaceChildren(make("p", { class: "note" }, error.message));
      else this.app.report(error);
    }
  }

  draw(text) {
    const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    if (drawn.localName !== "svg") return;
    const svg = document.importNode(drawn, true);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "The flow as a graph. The list below says the same in words.");
    this.boxes = [...svg.querySelectorAll("[data-vertex]")];
    this.edges = [...svg.querySelectorAll("[data-edge]")];
    this.boxes.forEach((box) => box.addEventListener("click", () => this.show(Number(box.dataset.vertex))));
    this.canvas.replaceChildren(svg);
  }

  tell(plan) {
    const notes = [plan.problem && `This flow cannot run: ${plan.problem}`, ...plan.warnings].filter(Boolean);
    this.problem.replaceChildren(...notes.map((text) => make("p", { class: "notice" }, text)));
    const names = plan.vertices.map((vertex) => vertex.name);
    const isShared = (name) => names.indexOf(name) !== names.lastIndexOf(name);
    this.rows = plan.vertices.map((vertex) => new Row(vertex, isShared(vertex.name), arrivals(plan, vertex.id)));
    this.numbers = new Map(plan.vertices.map((vertex, number) => [vertex.id, number]));
    this.list.replaceChildren(...this.rows.map((row) => row.element));
  }

  // Who would decide each session in the one that is open.
  async foresee() {
    const { flow, place } = this.app;
    if (!flow || !this.plan) return;
    try {
      const plan = await this.app.api.plan(flow.id, place.session);
      if (flow === this.app.flow && this.rows) plan.vertices.forEach((vertex, number) => this.rows[number]?.foresee(vertex));
    } catch {
      // The graph stays as it is; whatever else is asked for will say what is wrong.
    }
  }

  show(number) {
    const row = this.rows?.[number];
    if (!row) return;
    row.details.open = true;
    row.details.querySelector("summary").focus();
  }

  reset(run) {
    // What happens while the drawing is still on its way is shown when it is there.
    this.live = { run, events: [] };
    if (run.flow === this.app.flow?.id) this.rows?.forEach((row, number) => this.set(number, { status: "idle" }));
  }

  light(event) {
    if (event.run !== this.live?.run) return;
    this.live.events.push(event);
    this.apply(event);
  }

  apply({ id, run, ...facts }) {
    const number = run.flow === this.app.flow?.id ? this.numbers?.get(id) : undefined;
    if (number !== undefined) this.set(number, facts);
  }

  set(number, facts) {
    const row = this.rows[number];
    row.update(facts);
    if (this.boxes?.[number]) this.boxes[number].dataset.state = facts.status;
    this.edges?.forEach((edge) => {
      const states = [edge.dataset.source, edge.dataset.target].map((end) => this.rows[Number(end)]?.status);
      const [from, to] = states;
      const left = this.rows[Number(edge.dataset.source)]?.untaken?.includes(this.plan.edges[Number(edge.dataset.edge)]?.output);
      edge.dataset.state = left || to === "skipped" ? "untaken" : from === "success" && to !== "idle" ? "taken" : "";
    });
  }

  // The record of a run is written a moment after its end, maybe by another worker.
  async finish(run) {
    if (this.live?.run === run) this.live.over = true;
    if (!run.id || run.flow !== this.app.flow?.id) return;
    try {
      await this.ready;
      if (await this.app.api.recorded(run.flow, run.id)) await this.showRun(run.id);
    } catch (error) {
      this.app.report(error);
    }
  }

  async showRun(id) {
    const { flow } = this.app;
    if (!id || !flow || !this.rows) return;
    try {
      const [run, records] = await Promise.all([this.app.api.run(id), this.app.api.records(flow.id, id)]);
      if (flow !== this.app.flow || run.flow_id !== flow.id || !run.vertices || !this.rows) return;
      const known = new Map(run.vertices.map((vertex) => [vertex.id, vertex]));
      this.plan.vertices.forEach((vertex, number) => {
        const found = known.get(vertex.id);
        const status = found?.status ?? (run.status === "running" ? "idle" : "skipped");
        this.set(number, { ...found, status, record: records.get(vertex.id), untaken: this.live?.run.id === id ? this.rows[number].untaken : undefined });
      });
    } catch (error) {
      this.app.report(error);
    }
  }
}

class Row {
  constructor(vertex, shared, arriving) {
    this.vertex = vertex;
    this.arriving = arriving;
    this.status = "idle";
    this.lamp = make("span", { class: "lamp", "aria-hidden": "true" });
    this.state = make("span", { class: "note" });
    this.body = make("dl", {});
    this.details = make(
      "details",
      {},
      make("summary", {}, this.lamp, make("span", { class: "title" }, vertex.name), shared && make("span", { class: "note" }, ` ${vertex.id}`), " ", this.state),
      this.body,
    );
    this.element = make("li", {}, this.details);
    this.fill();
  }

  foresee(vertex) {
    this.vertex = vertex;
    this.fill();
  }

  update(facts) {
    this.status = facts.status ?? this.status;
    this.facts = facts;
    this.untaken = facts.untaken;
    this.fill();
  }

  fill() {
    const { vertex, facts = {} } = this;
    this.element.dataset.state = this.status;
    this.state.textContent = [STATES[this.status] ?? this.status, duration(facts.duration)].filter(Boolean).join(", ");
    const rows = [["Type", vertex.type], ["Id", vertex.id]];
    if (facts.session) rows.push(["Session", `${facts.session.id} (${decider(facts.session)})`]);
    else if (vertex.decided_by) rows.push(["Session", `${vertex.session?.id ?? "not known yet"} (decided by ${vertex.decided_by})`]);
    const does = [vertex.reads && "reads the history", vertex.writes && "writes messages"].filter(Boolean).join(", ");
    if (does) rows.push(["Memory", does]);
    if (facts.error || facts.record?.error) rows.push(["Error", facts.error || facts.record.error]);
    if (facts.untaken?.length) rows.push(["Branch not taken", facts.untaken.join(", ")]);
    rows.push(...this.arriving, ...valueRows("Input", facts.record?.inputs), ...valueRows("Output", facts.record?.outputs));
    this.body.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }
}

// What came over an edge stands in no record of its own: it is the output of another component.
export function arrivals(plan, id) {
  const names = new Map(plan.vertices.map((vertex) => [vertex.id, vertex.name]));
  return plan.edges
    .filter((edge) => edge.target === id)
    .map(({ input, output, source }) => [`Input ${input}`, `from ${output ? `${output} of ` : ""}${names.get(source) ?? source} (${source})`]);
}

export function valueRows(word, values) {
  if (!values || typeof values !== "object") return [];
  return Object.entries(values)
    .filter(([, value]) => value !== null && value !== "" && value !== undefined)
    .map(([name, value]) => [`${word} ${name}`, make("pre", {}, shown(value, 2000))]);
}

customElements.define("fr-graph", Graph);
