import assert from "node:assert/strict";
import test from "node:test";

const { ago, count, decider, duration, excerpt, fileName, newSessionId, placeKey, portions, readPlace, readTime, segment, shown, spent, writePlace } =
  await import(process.env.MODULES + "/text.js");

test("durations", () => {
  assert.deepEqual([0.0001, 0.0123, 1.26, 75, undefined, NaN].map(duration), ["<1 ms", "12 ms", "1.3 s", "1 min 15 s", "", ""]);
});

test("both forms of a timestamp are read", () => {
  const expected = Date.UTC(2026, 0, 31, 12, 0, 0, 123);
  assert.equal(readTime("2026-01-31 12:00:00.123456 UTC").getTime(), expected);
  assert.equal(readTime("2026-01-31T12:00:00.123Z").getTime(), expected);
  for (const bad of ["", "soon", null, undefined, 7]) assert.equal(readTime(bad), null);
});

test("how long ago", () => {
  const now = Date.UTC(2026, 0, 31, 12);
  const at = (seconds) => new Date(now - seconds * 1000).toISOString();
  assert.deepEqual([1, 120, 7200, 90000].map((s) => ago(at(s), now)), ["just now", "2 min ago", "2 h ago", "2026-01-30"]);
  assert.equal(ago("soon"), "");
});

test("what an answer took", () => {
  const usage = { total_tokens: 1100, cached_tokens: 800, reasoning_tokens: 60, cost: 0.0016 };
  const timing = { time_to_first_token: 0.4, seconds: 2 };
  assert.equal(spent({ usage, timing }), "1100 tokens (800 cached, 60 thought), 400 ms to the first, 2.0 s, $0.0016");
  assert.equal(spent({ usage: { total_tokens: 1 } }), "1 token");
  for (const none of [{}, { usage: null, timing: null }, { usage: "x" }, undefined]) assert.equal(spent(none), "");
});

test("counts", () => assert.deepEqual([count(1, "message"), count(2, "message")], ["1 message", "2 messages"]));

test("a segment stays one segment, and dots are refused", () => {
  assert.equal(segment("a/b ?#%"), "a%2Fb%20%3F%23%25");
  assert.equal(segment("."), null);
  assert.equal(segment(".."), null);
});

test("file names hold nothing but letters", () => {
  assert.equal(fileName("../../etc/passwd"), "_.._etc_passwd.json");
  assert.equal(fileName("..."), "session.json");
  assert.equal(fileName("a b"), "a_b.json");
});

test("places go to the address and back", () => {
  for (const place of [{ flow: "a&b=c#d", session: "x/y?z %" }, { flow: "f", session: "" }]) {
    assert.deepEqual(readPlace(writePlace(place)), place);
  }
});

test("a flow and a session together have one name, whatever stands in them", () => {
  assert.equal(placeKey("f", "s"), placeKey("f", "s"));
  assert.notEqual(placeKey("a:b", "c"), placeKey("a", "b:c"));
});

test("session ids are fresh", () => assert.notEqual(newSessionId(), newSessionId()));

test("values are shown as text, and cut", () => {
  assert.equal(shown({ a: 1 }), '{\n  "a": 1\n}');
  assert.equal(shown("x".repeat(10), 4), "xxxx…");
  assert.equal(shown(undefined), "");
});

test("who decided, in words", () => {
  assert.match(decider({ source: "component", component: "v1" }), /setting of v1/);
  assert.equal(decider(null), "");
});

test("an excerpt stands around the first word that is there", () => {
  assert.deepEqual(excerpt("the Cat\nsat", "sat cat"), ["the ", "Cat", " sat"]);
  assert.deepEqual(excerpt("a".repeat(100) + "B" + "c".repeat(300), "b", 10), ["…" + "a".repeat(10), "B", "c".repeat(20) + "…"]);
  assert.deepEqual(excerpt("nothing of it", "zzz"), ["", "", "nothing of it"]);
  assert.deepEqual(excerpt("", " "), ["", "", ""]);
});

test("what is rendered together is neither too many texts nor too long", () => {
  const cut = (lengths) => portions(lengths, (length) => length, 3, 10);
  assert.deepEqual(cut([]), []);
  assert.deepEqual(cut([1, 1, 1, 1, 5, 4, 1]), [[1, 1, 1], [1, 5, 4], [1]]);
  assert.deepEqual(cut([11, 10, 1, 9, 30]), [[11], [10], [1, 9], [30]]);
});
