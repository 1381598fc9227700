import assert from "node:assert/strict";
import test from "node:test";

const { Api, ApiError, joinRecords } = await import(process.env.MODULES + "/api.js");

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

test("pages of transactions are asked for until those of a run are found", async () => {
  const builds = { v: [{ job_id: "run", build_id: "7", data: {} }], w: [{ job_id: "other", build_id: "1", data: {} }] };
  const pages = [[{ id: "9" }], [{ id: "7", inputs: { a: 1 } }], [{ id: "1" }]];
  const { api: one, calls } = api((address) => {
    if (address.includes("/builds")) return json({ vertex_builds: builds });
    const page = Number(new URLSearchParams(address.split("?")[1]).get("page"));
    return json({ items: pages[page - 1], pages: pages.length });
  });
  const found = await one.records("f", "run");
  assert.deepEqual([...found], [["v", { inputs: { a: 1 }, outputs: {}, error: undefined }]]);
  assert.equal(calls.length, 3);
  assert.equal((await one.records("f", "gone")).size, 0);
  assert.equal(calls.length, 4);
});

test("what went in and came out belongs to one run", () => {
  const builds = {
    v: [
      { job_id: "other", build_id: "1", data: { outputs: { o: { message: "no" } } } },
      { job_id: "run", build_id: "2", params: null, data: { outputs: { o: { message: "yes", type: "text" } } } },
    ],
    w: [{ job_id: "other", build_id: "3" }],
  };
  const found = joinRecords(builds, [{ id: "2", inputs: { a: 1 } }], "run");
  assert.deepEqual([...found], [["v", { inputs: { a: 1 }, outputs: { o: "yes" }, error: null }]]);
});
