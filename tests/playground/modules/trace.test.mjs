import assert from "node:assert/strict";
import test from "node:test";

const { momentOf, reason, stepOf, Trace } = await import(process.env.MODULES + "/trace.js");

const plan = (vertices, edges) => ({
  vertices: vertices.split("").map((id) => ({ id, name: id.toUpperCase() })),
  edges: edges.map((edge) => {
    const [source, output, target] = edge.split(" ");
    return { source, output, target, input: "value" };
  }),
});
const router = plan("abcde", ["a out b", "b yes c", "b no d", "d out e"]);
const at = (second) => `2026-01-31T12:00:0${second}.000000Z`;
const step = (vertex_id, from, to, more = {}) => ({ vertex_id, status: "success", started_at: at(from), ended_at: at(to), duration: to - from, ...more });
const states = (trace) => Object.fromEntries(trace.states());

test("moments keep what a Date would drop", () => {
  assert.equal(momentOf("2026-01-31T12:00:00.000250Z") - momentOf("2026-01-31T12:00:00.000000Z"), 0.25);
  assert.equal(momentOf("2026-01-31 12:00:00.5 UTC"), Date.parse("2026-01-31T12:00:00.500Z"));
  for (const text of ["", null, undefined, "yesterday", "12:00"]) assert.equal(momentOf(text), null);
});

test("a branch that was not taken is left out, with all that follows it", () => {
  const run = { id: "r", status: "success", started_at: at(0), ended_at: at(3) };
  const trace = Trace.of(router, run, [step("a", 0, 1), step("b", 1, 2, { untaken: ["no"] }), step("c", 2, 3)]);
  assert.deepEqual(states(trace), { a: "success", b: "success", c: "success", d: "skipped", e: "skipped" });
});

test("what an error kept from running is not run, and what no branch led to is left out all the same", () => {
  const run = { id: "r", status: "error", started_at: at(0), ended_at: at(3) };
  const trace = Trace.of(router, run, [step("a", 0, 1), step("b", 1, 2, { untaken: ["no"] }), step("c", 2, 3, { status: "error", error: "no" })]);
  assert.deepEqual(states(trace), { a: "success", b: "success", c: "error", d: "skipped", e: "skipped" });
  const early = Trace.of(router, run, [step("a", 0, 1, { status: "error", error: "no" })]);
  assert.deepEqual(states(early), { a: "error", b: "missed", c: "missed", d: "missed", e: "missed" });
});

for (const status of ["cancelled", "lost"]) {
  test(`a run that ended as ${status} shows what was at work as stopped`, () => {
    const run = { id: "r", status, started_at: at(0), ended_at: at(3) };
    assert.deepEqual(states(Trace.of(router, run, [step("a", 0, 1)])), { a: "success", b: "stopped", c: "missed", d: "missed", e: "missed" });
    const told = Trace.of(router, run, [step("a", 0, 1), step("b", 1, 3, { status: "cancelled" })]);
    assert.deepEqual(states(told), { a: "success", b: "stopped", c: "missed", d: "missed", e: "missed" });
  });
}

test("where one is known to have been stopped no other is taken for it", () => {
  const fork = plan("abc", ["a out b", "a out c"]);
  const run = { id: "r", status: "cancelled", started_at: at(0), ended_at: at(3) };
  const trace = Trace.of(fork, run, [step("a", 0, 1), step("b", 1, 3, { status: "cancelled" })]);
  assert.deepEqual(states(trace), { a: "success", b: "stopped", c: "missed" });
});

test("a run that streams", () => {
  const trace = new Trace(router);
  assert.deepEqual(new Set(trace.states().values()), new Set(["idle"]));
  trace.take({ id: "a", status: "running", at: at(0) });
  assert.deepEqual(states(trace), { a: "running", b: "waiting", c: "waiting", d: "waiting", e: "waiting" });
  trace.take({ id: "a", status: "success", duration: 1, at: at(1) });
  trace.take({ id: "b", status: "running", at: at(1) });
  trace.take({ id: "b", status: "success", untaken: ["yes"], at: at(2) });
  trace.take({ id: "d", status: "running", at: at(2) });
  assert.deepEqual(states(trace), { a: "success", b: "success", c: "skipped", d: "running", e: "waiting" });
  trace.finish("cancelled", momentOf(at(4)));
  assert.deepEqual(states(trace), { a: "success", b: "success", c: "skipped", d: "stopped", e: "missed" });
  assert.equal(trace.end, momentOf(at(4)));
});

test("where there is no run nothing is said of any component", () => {
  assert.deepEqual(new Set(new Trace(router, { status: "" }).states().values()), new Set(["idle"]));
});

test("a clock of ours that is wrong is seen through, and an event that comes late is none", () => {
  const server = momentOf(at(5));
  for (const [ours, expected] of [[server - 90_000, server], [server + 7_200_000, server], [server + 30_000, server + 30_000]]) {
    const trace = new Trace(router);
    trace.take({ id: "a", status: "running", at: at(5) }, ours);
    assert.equal(trace.now(ours), expected);
  }
  assert.equal(new Trace(router).now(5), 5);
});

test("an event without a time, of a server that says none, is taken as it comes", () => {
  const trace = new Trace(router);
  trace.take({ id: "a", status: "success", duration: 2 }, 5000);
  assert.deepEqual(trace.spans.get("a").map(({ start, end }) => [start, end]), [[3000, 5000]]);
});

test("what a component waited for, the last first", () => {
  const join = plan("abcd", ["a out c", "b out c", "d out c"]);
  const run = { id: "r", status: "success", started_at: at(0), ended_at: at(5) };
  const trace = Trace.of(join, run, [step("a", 0, 1), step("b", 0, 3), step("c", 3, 4)]);
  assert.deepEqual(trace.waited("c").map(({ source }) => source), ["b", "a"]);
  assert.deepEqual(trace.waited("a"), []);
});

test("a component in a loop ran as often as it did", () => {
  const loop = plan("abc", ["a item b", "b out a", "a done c"]);
  const run = { id: "r", status: "success", started_at: at(0), ended_at: at(6) };
  const trace = Trace.of(loop, run, [step("a", 0, 1), step("b", 1, 2), step("b", 2, 4), step("a", 4, 5), step("c", 5, 6)]);
  assert.deepEqual(states(trace), { a: "success", b: "success", c: "success" });
  assert.equal(trace.facts("b").times, 2);
  assert.equal(trace.facts("b").duration, 3);
});

test("circles, edges from nowhere and a long chain do no harm", () => {
  const odd = plan("ab", ["a out b", "b out a", "a out a", "x out a", "a out y"]);
  assert.deepEqual(states(new Trace(odd)), { a: "idle", b: "idle" });
  const ids = Array.from({ length: 3000 }, (_, number) => `v${number}`);
  const chain = { vertices: ids.map((id) => ({ id, name: id })), edges: ids.slice(1).map((id, number) => ({ source: ids[number], output: "o", target: id })) };
  for (const order of [chain, { ...chain, vertices: [...chain.vertices].reverse() }]) {
    const trace = new Trace(order, { status: "cancelled", started_at: at(0), ended_at: at(1) });
    assert.equal(trace.states().get("v0"), "stopped");
    assert.equal(trace.states().get("v2999"), "missed");
  }
});

test("marks of an axis are round", () => {
  assert.deepEqual([0.9, 7, 1000, 4321].map((length) => stepOf(length, 5)), [0.2, 2, 200, 1000]);
  assert.ok(stepOf(0) > 0);
});

test("an error says what the component says", () => {
  assert.equal(reason("Error running graph: Error building Component Broken: no"), "Broken: no");
  assert.equal(reason(null), "");
});
