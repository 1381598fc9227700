// What the components of a run did, and when: from the events of a run that streams, or from its record. No DOM here.

// The states of a component, in words. "left out" stands on a branch that was not taken; "not run" was never reached.
export const WORDS = {
  idle: "",
  waiting: "waiting",
  running: "running",
  success: "done",
  error: "failed",
  stopped: "stopped",
  skipped: "left out",
  missed: "not run",
};

// What the API keeps for its clients before a component's own words says nothing to a reader.
export function reason(text) {
  return (text ?? "").replace(/^(Error running graph: )?Error building Component /, "");
}

const OPEN = new Set(["queued", "running"]);

// Milliseconds, with the fractions that a Date would drop.
export function momentOf(text) {
  const found = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?/.exec(text ?? "");
  return found ? Date.parse(`${found[1].replace(" ", "T")}Z`) + Number(`0${found[2] ?? ""}`) * 1000 : null;
}

export class Trace {
  // A status of "" stands for no run at all.
  constructor(plan, { id = "", status = "running", started_at: start, ended_at: end } = {}) {
    Object.assign(this, { plan, id, status, start: momentOf(start), end: momentOf(end), more: false });
    this.spans = new Map();
    ({ order: this.order, feeding: this.feeding } = sorted(plan));
  }

  static of(plan, run, steps) {
    const made = new Trace(plan, run);
    for (const step of steps) made.add(step.vertex_id, { ...step, start: momentOf(step.started_at), end: momentOf(step.ended_at) });
    return made;
  }

  get isOpen() {
    return OPEN.has(this.status);
  }

  add(vertex, span) {
    this.start = Math.min(this.start ?? span.start, span.start);
    if (!this.spans.has(vertex)) this.spans.set(vertex, []);
    this.spans.get(vertex).push(span);
  }

  // An event of a stream: its server's clock where it says the time, else ours.
  take({ id, at, status, ...facts }, now = Date.now()) {
    const moment = momentOf(at) ?? now;
    this.skew = Math.min(this.skew ?? Infinity, now - moment);
    if (status === "running") {
      this.add(id, { status, start: moment, end: null });
      return;
    }
    const span = this.spans.get(id)?.findLast((one) => one.end === null);
    const start = span?.start ?? moment - (facts.duration ?? 0) * 1000;
    if (span) Object.assign(span, facts, { status, end: moment });
    else this.add(id, { ...facts, status, start, end: moment });
  }

  // Our clock as the server's, as far as one can tell: an event may come late, but never before it happened.
  now(ours = Date.now()) {
    const isWrong = this.skew < 0 || this.skew > 3_600_000;
    return isWrong && this.skew !== Infinity ? ours - this.skew : ours;
  }

  finish(status, now = this.now()) {
    this.status = status;
    this.end ??= Math.max(now, this.latest());
  }

  latest() {
    let found = this.end ?? this.start ?? 0;
    for (const spans of this.spans.values()) for (const { start, end } of spans) found = Math.max(found, end ?? start);
    return found;
  }

  // The state of each component, by its id.
  states() {
    const found = new Map();
    const isStopped = this.status === "cancelled" || this.status === "lost";
    const told = [...this.spans.values()].some((spans) => spans.some(({ end, status }) => end === null || status === "stopped" || status === "cancelled"));
    for (const id of this.order) {
      const last = this.spans.get(id)?.at(-1);
      const ways = this.feeding.get(id).map((edge) => this.way(edge, found.get(edge.source)));
      let state;
      if (last) state = stateOf(last, this.isOpen);
      else if (!this.status) state = "idle";
      else if (ways.every((way) => way !== "open") && ways.includes("dead")) state = "skipped";
      else if (this.isOpen) state = this.start === null ? "idle" : "waiting";
      else if (this.status === "success") state = "skipped";
      // Whatever had all that it waits for was at work, or next, when the run was stopped.
      else state = isStopped && !told && ways.every((way) => way === "live") ? "stopped" : "missed";
      found.set(id, state);
    }
    return found;
  }

  way({ source, output }, state) {
    if (state === "skipped") return "dead";
    if (state !== "success") return "open";
    return this.spans.get(source).at(-1).untaken?.includes(output) ? "dead" : "live";
  }

  // What a component waited for: those that feed it and ran, the last one to end first.
  waited(id) {
    const ends = new Map();
    for (const { source } of this.feeding.get(id) ?? []) {
      const end = this.spans.get(source)?.at(-1).end;
      if (end !== undefined && end !== null) ends.set(source, end);
    }
    return [...ends].sort((one, other) => other[1] - one[1]).map(([source, end]) => ({ source, end }));
  }

  // What each component gave last, as the record has it.
  facts(id) {
    const spans = this.spans.get(id) ?? [];
    const seconds = spans.reduce((sum, { start, end }) => sum + (end === null ? 0 : end - start), 0) / 1000;
    const last = spans.at(-1);
    return last ? { ...last, times: spans.length, duration: spans.length > 1 ? seconds : last.duration } : {};
  }
}

// Each component after all that feed it, and the edges into each but for those that lead back: they wait for nothing
// the first time.
function sorted({ vertices, edges }) {
  const feeding = new Map(vertices.map(({ id }) => [id, []]));
  const leaving = new Map(vertices.map(({ id }) => [id, []]));
  const fed = new Set();
  for (const edge of edges) {
    if (edge.source === edge.target || !leaving.has(edge.source) || !feeding.has(edge.target)) continue;
    leaving.get(edge.source).push(edge);
    fed.add(edge.target);
  }
  const order = [];
  const seen = new Map();
  const roots = [...vertices.filter(({ id }) => !fed.has(id)), ...vertices];
  for (const { id: root } of roots) {
    const path = seen.has(root) ? [] : [[root, 0]];
    while (path.length) {
      const step = path.at(-1);
      const [id, number] = step;
      seen.set(id, "open");
      const edge = leaving.get(id)[number];
      if (!edge) {
        seen.set(id, "closed");
        order.push(id);
        path.pop();
        continue;
      }
      step[1] += 1;
      if (seen.get(edge.target) === "open") continue;
      feeding.get(edge.target).push(edge);
      if (!seen.has(edge.target)) path.push([edge.target, 0]);
    }
  }
  return { order: order.reverse(), feeding };
}

function stateOf({ status, end }, isOpen) {
  if (end === null) return isOpen ? "running" : "stopped";
  return status === "cancelled" ? "stopped" : status;
}

// A round number of milliseconds for the marks of an axis: 1, 2 or 5 times a power of ten, at most `most` of them.
export function stepOf(length, most = 5) {
  const least = Math.max(length, 1e-3) / most;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least * 0.999999);
}
