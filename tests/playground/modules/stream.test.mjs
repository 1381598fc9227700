import assert from "node:assert/strict";
import test from "node:test";

const { Frames, follow, isLast } = await import(process.env.MODULES + "/stream.js");

const frame = (id, event, data) => `id: r:${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const answer = (...pieces) => ({ body: new Blob(pieces).stream() });
const broken = (...pieces) => ({
  body: new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
    },
    pull(controller) {
      controller.error(new TypeError("network error"));
    },
  }),
});
const now = async () => {};
const collect = async (events) => {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
};

test("events are whole however they are cut", () => {
  const text = `retry: 500\n\n${frame(1, "token", { chunk: "a\n\nb: é" })}: heartbeat\n\n${frame(2, "end", { result: {} })}`;
  for (const size of [1, 3, 7, 1000]) {
    const frames = new Frames();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...frames.push(text.slice(at, at + size)));
    assert.deepEqual(found.map(({ id, event }) => [id, event]), [["r:1", "token"], ["r:2", "end"]]);
    assert.equal(found[0].data.chunk, "a\n\nb: é");
  }
});

test("plain lines are read too", () => {
  const [found] = new Frames().push('{"event":"token","data":{"chunk":"x"}}\n\n');
  assert.deepEqual(found, { id: "", event: "token", data: { chunk: "x" } });
});

test("what ends a stream", () => {
  assert.ok(isLast({ event: "end", data: {} }));
  assert.ok(isLast({ event: "error", data: { error: "it broke" } }));
  assert.ok(!isLast({ event: "error", data: { error: true, text: "a message of the conversation" } }));
});

test("a cut stream goes on after the last event", async () => {
  const asked = [];
  const cuts = [];
  const open = async (last) => {
    asked.push(last);
    if (asked.length === 1) return broken(frame(1, "token", { chunk: "a" }));
    if (asked.length === 2) throw new TypeError("fetch failed");
    return answer(frame(2, "token", { chunk: "b" }), frame(3, "end", {}));
  };
  const found = await collect(follow(open, { onCut: (cut) => cuts.push(cut), wait: now }));
  assert.deepEqual(asked, ["", "r:1", "r:1"]);
  assert.deepEqual(found.map((event) => event.id), ["r:1", "r:2", "r:3"]);
  assert.deepEqual(cuts, [true, true, false]);
});

test("a stream that never began is asked for a few times more, each time as at first", async () => {
  const asked = [];
  const open = async (last) => {
    asked.push(last);
    throw new TypeError("fetch failed");
  };
  await assert.rejects(collect(follow(open, { wait: now })), TypeError);
  assert.deepEqual(asked, ["", "", "", "", "", ""]);
});

test("a run that is under way is waited for", async () => {
  let tries = 0;
  const waits = [];
  const open = async () => {
    tries += 1;
    if (tries === 1) throw new TypeError("fetch failed");
    if (tries < 30) throw Object.assign(new Error("under way"), { code: "idempotency_in_flight" });
    return answer(frame(1, "end", {}));
  };
  const found = await collect(follow(open, { wait: async (time) => waits.push(time) }));
  assert.deepEqual([found.length, tries, waits.length, waits.at(-1)], [1, 30, 29, 1000]);
});

test("a refusal is not tried again", async () => {
  let tries = 0;
  const open = async () => {
    tries += 1;
    if (tries > 1) throw new Error("404");
    return answer(frame(1, "token", { chunk: "a" }));
  };
  await assert.rejects(collect(follow(open, { wait: now })), /404/);
  assert.equal(tries, 2);
});

test("it gives up at last", async () => {
  let tries = 0;
  const open = async () => {
    tries += 1;
    if (tries > 1) throw new TypeError("fetch failed");
    return answer(frame(1, "token", {}));
  };
  await assert.rejects(collect(follow(open, { wait: now, tries: 3 })), TypeError);
  assert.equal(tries, 4);
});

test("a run that is there already is read from where one says", async () => {
  const asked = [];
  const open = async (last) => {
    asked.push(last);
    return answer(frame(1, "end", {}));
  };
  await collect(follow(open, { from: "r:0" }));
  assert.deepEqual(asked, ["r:0"]);
});
