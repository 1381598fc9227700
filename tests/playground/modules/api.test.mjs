import assert from "node:assert/strict";
import test from "node:test";

const { Api, ApiError } = await import(process.env.MODULES + "/api.js");

class Storage extends Map {
  getItem(name) {
    return this.get(name) ?? null;
  }
  setItem(name, value) {
    this.set(name, value);
  }
  removeItem(name) {
    this.delete(name);
  }
}

function api(answer) {
  const calls = [];
  const fetch = async (address, options) => {
    calls.push({ address, ...options });
    return answer(address, options);
  };
  return { calls, api: new Api("/pre/api/v1/", { fetch, storage: new Storage() }) };
}

const json = (value, init) => new Response(JSON.stringify(value), init);

test("a key goes with every call, and is kept in the storage alone", async () => {
  const { api: one, calls } = api(() => json([]));
  await one.flows();
  assert.equal(calls[0].headers["x-api-key"], undefined);
  one.key = "sk-1";
  await one.flows();
  assert.equal(calls[1].headers["x-api-key"], "sk-1");
  assert.equal(calls[1].address, "/pre/api/v1/flows/?header_flows=true");
  one.key = "";
  assert.equal(one.key, "");
});

test("a refusal tells its status, code and request", async () => {
  const { api: one } = api(() => json({ detail: "No", code: "not_allowed" }, { status: 403, headers: { "X-Request-Id": "r1" } }));
  const refused = [];
  one.onRefused = (error) => refused.push(error);
  await assert.rejects(one.flows(), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.shown, "No (status 403, not_allowed, request r1)");
    return true;
  });
  assert.equal(refused.length, 1);
});

test("wrong members are named, and an answer that is no JSON is said as it is", async () => {
  const { api: one } = api(() => json({ detail: [{ loc: ["body", "x"], msg: "bad" }] }, { status: 422 }));
  await assert.rejects(one.flows(), /body\.x: bad/);
  const { api: two } = api(() => new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
  await assert.rejects(two.flows(), /Bad Gateway/);
});

test("a run has one key, however often it is sent", async () => {
  let tries = 0;
  const { api: one, calls } = api(() => {
    tries += 1;
    if (tries === 1) throw new TypeError("fetch failed");
    const body = `id: r:1\nevent: ${tries === 2 ? "token" : "end"}\ndata: {}\n\n`;
    return new Response(body);
  });
  for (let run = 0; run < 2; run += 1) {
    for await (const event of one.follow("f", { input_value: "hi" }, {})) assert.ok(event);
  }
  const keys = calls.map(({ headers }) => headers["Idempotency-Key"]);
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.equal(keys[1], keys[0]);
  assert.deepEqual([keys[2], calls[2].headers["Last-Event-ID"]], [undefined, "r:1"]);
  assert.notEqual(keys[3], keys[0]);
});

test("a lost connection is told", async () => {
  const { api: one } = api(() => {
    throw new TypeError("fetch failed");
  });
  let lost = 0;
  one.onLost = () => (lost += 1);
  await assert.rejects(one.flows(), TypeError);
  assert.equal(lost, 1);
});

test("ids stay what they are, wherever they go", async () => {
  const { api: one, calls } = api(() => json({}));
  await one.renameSession("a/b?c", "d&e");
  assert.equal(calls[0].address, "/pre/api/v1/monitor/messages/session/a%2Fb%3Fc?new_session_id=d%26e");
  await one.deleteSession("..");
  assert.equal(calls[1].body, '[".."]');
  await assert.rejects(async () => one.renameSession("..", "x"), ApiError);
  assert.equal(calls.length, 2);
});

test("steps are read page by page, and not without end", async () => {
  const { api: one, calls } = api((address) => {
    const after = new URLSearchParams(address.split("?")[1]).get("after");
    return json(after === null ? { steps: [{ number: 0 }, { number: 1 }], cursor: 1 } : { steps: [{ number: 2 }], cursor: null });
  });
  const { steps, more } = await one.steps("r");
  assert.deepEqual([steps.map(({ number }) => number), more], [[0, 1, 2], false]);
  assert.equal(calls[1].address, "/pre/api/v1/runs/r/steps?after=1&limit=200");
  const { api: endless, calls: asked } = api(() => json({ steps: Array.from({ length: 200 }, () => ({})), cursor: 1 }));
  assert.equal((await endless.steps("r")).more, true);
  assert.equal(asked.length, 10);
});

test("who may only talk sees no steps, and any other refusal is told", async () => {
  const refuse = (code, status) => api(() => json({ detail: "No", code }, { status })).api;
  assert.deepEqual(await refuse("not_allowed", 403).steps("r"), { steps: [], more: false });
  await assert.rejects(refuse("not_found", 404).steps("r"), ApiError);
});
