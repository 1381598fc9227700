// The flow drawn, lit up as it runs, and the same facts as a list.

import { button, make } from "./dom.js";
import { fillWindow } from "./full.js";
import { Stage } from "./stage.js";
import { count, decider, duration, shown } from "./text.js";
import { reason, Trace, WORDS } from "./trace.js";

const LONGEST = 2000;

class Graph extends HTMLElement {
  start(app) {
    this.app = app;
    this.problem = make("div", {});
    this.stage = new Stage({ onPick: (number, how) => this.pick(number, how), onFull: () => this.fill() });
    this.drawer = new Drawer(() => this.close());
    this.stage.element.append(this.drawer.element);
    this.list = make("ol", { class: "facts-list" });
    this.told = make("p", { class: "note" });
    this.append(this.problem, this.stage.element, make("h2", { class: "small" }, "Components"), this.told, this.list);
    app.on("flow", () => {
      this.ready = this.open();
    });
    app.on("place", () => this.arrive());
    app.on("run-begins", (run) => this.reset(run));
    app.on("vertex", (event) => this.light(event));
    app.on("run-ends", (run) => this.finish(run));
  }

  async open() {
    const { flow } = this.app;
    this.stage.clear();
    this.close();
    this.list.replaceChildren();
    this.problem.replaceChildren();
    this.app.plan = this.plan = this.rows = this.edges = this.trace = null;
    if (!flow) return;
    try {
      const [plan, drawing] = await Promise.all([this.app.api.plan(flow.id, this.app.place.session), this.app.api.drawing(flow.id)]);
      if (flow !== this.app.flow) return;
      this.app.emit("author", true);
      this.app.plan = this.plan = plan;
      this.draw(drawing);
      this.tell(plan);
      await this.showPlace();
    } catch (error) {
      if (error.code === "not_allowed") {
        this.app.emit("author", false);
        this.problem.replaceChildren(make("p", { class: "note" }, error.message));
      } else this.app.report(error);
    }
  }

  // What is known of the run that the address names, else of the open session's last one, and of no other session's.
  async showPlace() {
    const { flow, place } = this.app;
    this.shown = place;
    if (this.isUnderWay) {
      this.show(new Trace(this.plan));
      this.live.events.forEach((event) => this.trace.take(event, event.now));
      this.show(this.trace);
      return;
    }
    if (this.trace?.id !== place.run || !place.run) this.show(new Trace(this.plan, { status: "" }));
    const { live } = this;
    const asked = { flow_id: flow.id, session_id: place.session, limit: 1 };
    const { items } = place.run ? { items: [{ id: place.run }] } : await this.app.api.runs(asked);
    // A run that began meanwhile, or another place, has been shown since.
    if (items.length && place === this.app.place && live === this.live) await this.showRun(items[0].id);
  }

  // Whether a run of the open session is shown while it happens.
  get isUnderWay() {
    return Boolean(this.live && !this.live.over && this.isOpen(this.live.run));
  }

  isOpen(run) {
    return run.flow === this.app.flow?.id && run.session === this.app.place.session;
  }

  draw(text) {
    const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    if (drawn.localName !== "svg") return;
    const svg = document.importNode(drawn, true);
    const { vertices, edges } = this.plan;
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `The flow as a graph: ${vertices.length} components, ${edges.length} edges. The list below has the same information as text.`);
    ({ edges: this.edges } = this.stage.take(svg, vertices));
  }

  tell(plan) {
    const notes = [plan.problem && `This flow cannot run: ${plan.problem}`, ...plan.warnings].filter(Boolean);
    this.problem.replaceChildren(...notes.map((text) => make("p", { class: "notice" }, text)));
    const names = plan.vertices.map((vertex) => vertex.name);
    const isShared = (name) => names.indexOf(name) !== names.lastIndexOf(name);
    this.rows = plan.vertices.map((vertex) => new Row(vertex, isShared(vertex.name), arrivals(plan, vertex.id)));
    this.list.replaceChildren(...this.rows.map((row) => row.element));
  }

  async arrive() {
    const { flow, place } = this.app;
    if (!flow || !this.plan || this.plan.flow_id !== flow.id) return;
    const { session, run } = this.shown ?? {};
    if (session !== place.session || (run !== place.run && place.run)) {
      await this.showPlace().catch((error) => this.app.report(error));
    }
    await this.foresee();
  }

  // Who would decide each session in the one that is open.
  async foresee() {
    const { flow, place } = this.app;
    try {
      const plan = await this.app.api.plan(flow.id, place.session);
      if (flow === this.app.flow && this.rows) plan.vertices.forEach((vertex, number) => this.rows[number]?.foresee(vertex));
    } catch {
      // The graph stays as it is; whatever else is asked for will say what is wrong.
    }
  }

  pick(number, { focus = true } = {}) {
    const row = this.rows?.[number];
    if (!row) return;
    this.picked = number;
    this.stage.choose(number);
    this.drawer.show(row, { focus });
  }

  close() {
    if (this.picked === undefined) return;
    this.picked = undefined;
    this.stage.choose(-1);
    const had = this.drawer.element.contains(document.activeElement);
    this.drawer.hide();
    if (had) this.stage.canvas.focus({ preventScroll: true });
  }

  fill() {
    const { element, full, canvas } = this.stage;
    fillWindow(element, `Graph of ${this.app.flow?.name ?? "the flow"}`, full, canvas);
  }

  reset(run) {
    // While a run that began elsewhere goes on, one that was sent from here waits for its turn.
    this.waiting = this.isUnderWay && this.live.run.isFollowed ? run : null;
    if (!this.waiting) this.begin(run);
  }

  begin(run) {
    // What happens while the drawing is still on its way is shown when it is there.
    this.live = { run, events: [] };
    if (this.isOpen(run) && this.plan) this.show(new Trace(this.plan));
  }

  light({ run, ...event }) {
    if (run === this.waiting) {
      this.waiting = null;
      this.begin(run);
    }
    if (run !== this.live?.run) return;
    this.live.events.push({ ...event, now: Date.now() });
    if (!this.isOpen(run) || !this.trace?.isOpen) return;
    this.trace.id ||= run.id;
    this.trace.take(event);
    this.paint();
  }

  // One look at everything a frame, however many components finish in it.
  paint() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.trace) this.show(this.trace);
    });
  }

  show(trace) {
    this.trace = trace;
    const states = trace.states();
    const untaken = (id) => trace.spans.get(id)?.at(-1).untaken ?? [];
    this.plan.vertices.forEach(({ id }, number) => {
      this.rows[number].update(states.get(id), trace.facts(id));
      this.stage.mark(number, states.get(id));
    });
    this.edges?.forEach((edge) => {
      const { source, target, output } = this.plan.edges[Number(edge.dataset.edge)];
      const [from, to] = [states.get(source), states.get(target)];
      const left = from === "skipped" || untaken(source).includes(output);
      edge.dataset.state = left || to === "skipped" ? "untaken" : from === "success" && !["idle", "waiting", "missed"].includes(to) ? "taken" : "";
    });
    if (this.picked !== undefined) this.drawer.update();
    this.told.textContent = trace.more ? "The run has more steps than are shown here." : "";
    this.app.emit("trace", trace);
  }

  // The record of a run is written a moment after its end, maybe by another worker.
  async finish(run) {
    if (this.live?.run === run) this.live.over = true;
    // The next one may have begun.
    if (!this.isOpen(run) || this.isUnderWay) return;
    try {
      await this.ready;
      const isRecorded = run.id && (await this.app.api.recorded(run.flow, run.id));
      // Another session may have been opened meanwhile.
      if (!this.isOpen(run)) return;
      if (isRecorded) await this.showRun(run.id);
      else if (this.trace?.isOpen) {
        this.trace.finish(run.stopped ? "cancelled" : "error");
        this.show(this.trace);
      }
    } catch (error) {
      this.app.report(error);
    }
  }

  async showRun(id) {
    const { flow, place } = this.app;
    if (!id || !flow || !this.rows) return;
    try {
      const [run, { steps, more }] = await Promise.all([this.app.api.run(id), this.app.api.steps(id)]);
      if (flow !== this.app.flow || place.session !== this.app.place.session || run.flow_id !== flow.id || !this.rows || this.isUnderWay) return;
      const sessions = new Map(run.vertices.map((vertex) => [vertex.id, vertex.session]));
      const trace = Trace.of(this.plan, run, steps.map((step) => ({ ...step, session: sessions.get(step.vertex_id) })));
      trace.more = more;
      trace.isOther = Boolean(run.content_hash && this.plan.content_hash && run.content_hash !== this.plan.content_hash);
      this.show(trace);
    } catch (error) {
      if ([404, 422].includes(error.status) && this.app.place.run === id) this.problem.append(make("p", { class: "notice" }, `The run ${id} no longer exists.`));
      else this.app.report(error);
    }
  }
}

// What went into a component and came out of it, beside the graph.
class Drawer {
  constructor(onClose) {
    this.title = make("h3", { id: "drawer-title", tabindex: "-1" });
    this.state = make("p", { class: "note" });
    this.body = make("dl", {});
    const head = make("div", { class: "head" }, this.title, button("Close", onClose));
    this.element = make("aside", { class: "drawer", "aria-labelledby": "drawer-title", hidden: true }, head, this.state, this.body);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      onClose();
    });
  }

  show(row, { focus }) {
    this.row = row;
    this.said = null;
    this.element.hidden = false;
    this.update();
    if (focus) this.title.focus({ preventScroll: true });
  }

  hide() {
    this.element.hidden = true;
    this.row = null;
  }

  update() {
    const entries = this.row.entries();
    const said = JSON.stringify([this.row.words, entries.map(([name, value]) => [name, value])]);
    // What somebody reads or unfolds stays as it is until it changes.
    if (said === this.said) return;
    this.said = said;
    this.title.textContent = this.row.vertex.name;
    this.state.textContent = this.row.words;
    this.body.replaceChildren(...listed(entries));
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
    this.details.addEventListener("toggle", () => this.fill());
    this.element = make("li", {}, this.details);
    this.fill();
  }

  foresee(vertex) {
    this.vertex = vertex;
    this.fill();
  }

  update(status, facts) {
    this.status = status;
    this.facts = facts;
    this.fill();
  }

  get words() {
    const { facts = {} } = this;
    return [WORDS[this.status] ?? this.status, duration(facts.duration), facts.times > 1 && `${facts.times} times`, facts.used_frozen_result && "kept from before"].filter(Boolean).join(", ");
  }

  fill() {
    this.element.dataset.state = this.status;
    this.state.textContent = this.words;
    // What is folded away is written when it is unfolded.
    if (this.details.open) this.body.replaceChildren(...listed(this.entries()));
  }

  entries() {
    const { vertex, facts = {} } = this;
    const rows = [["Type", vertex.type], ["Id", vertex.id]];
    if (facts.session) rows.push(["Session", `${facts.session.id} (${decider(facts.session)})`]);
    else if (vertex.decided_by) rows.push(["Session", `${vertex.session?.id ?? "not known yet"} (decided by ${vertex.decided_by})`]);
    const does = [vertex.reads && "reads the history", vertex.writes && "writes messages"].filter(Boolean).join(", ");
    if (does) rows.push(["Memory", does]);
    const { usage } = facts;
    if (usage) rows.push(["Model", [usage.model, `${count(usage.total_tokens, "token")} (${usage.input_tokens} in, ${usage.output_tokens} out)`].filter(Boolean).join(", ")]);
    if (facts.error) rows.push(["Error", reason(facts.error)]);
    if (facts.untaken?.length && this.status === "success") rows.push(["Branch not taken", facts.untaken.join(", ")]);
    rows.push(...this.arriving, ...valueRows("Input", facts.inputs), ...valueRows("Output", facts.outputs));
    return rows;
  }
}

// What came over an edge stands in no record of its own: it is the output of another component.
export function arrivals(plan, id) {
  const names = new Map(plan.vertices.map((vertex) => [vertex.id, vertex.name]));
  return plan.edges
    .filter((edge) => edge.target === id)
    .map(({ input, output, source }) => [`Input ${input}`, `from ${output ? `${output} of ` : ""}${names.get(source) ?? source} (${source})`]);
}

// Names and values that are to be shown as they are.
export function valueRows(word, values) {
  if (!values || typeof values !== "object") return [];
  return Object.entries(values)
    .filter(([, value]) => value !== null && value !== "" && value !== undefined)
    .map(([name, value]) => [`${word} ${name}`, { value }]);
}

export function listed(entries) {
  return entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...(typeof value === "object" ? long(value.value) : [value]))]);
}

function long(value) {
  const text = shown(value, Infinity);
  const block = make("pre", {}, shown(text, LONGEST));
  if (text.length <= LONGEST) return [block];
  const all = button(`Show all ${text.length} characters`, () => {
    block.textContent = text;
    all.remove();
  });
  return [block, all];
}

customElements.define("fr-graph", Graph);
