// Calls of the public API. The key stays in this tab's sessionStorage.

import { follow, pause } from "./stream.js";
import { randomWord, segment } from "./text.js";

const KEY = "flowrunner:key";
// A run that loops may have done any number of things.
const MOST_STEPS = 2000;

export class ApiError extends Error {
  constructor(message, { status = 0, code = "", requestId = "" } = {}) {
    super(message);
    Object.assign(this, { status, code, requestId });
  }

  get shown() {
    const facts = [this.status && `status ${this.status}`, this.code, this.requestId && `request ${this.requestId}`];
    const known = facts.filter(Boolean).join(", ");
    return known ? `${this.message} (${known})` : this.message;
  }
}

export class Api {
  constructor(base, { fetch = (...all) => globalThis.fetch(...all), storage = globalThis.sessionStorage } = {}) {
    this.base = base;
    this.fetch = fetch;
    this.storage = storage;
    this.onLost = () => {};
    this.onRefused = () => {};
  }

  get key() {
    return this.storage.getItem(KEY) || "";
  }

  set key(value) {
    if (value) this.storage.setItem(KEY, value);
    else this.storage.removeItem(KEY);
  }

  address(path, query = {}) {
    const words = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const asked = words.length ? `?${new URLSearchParams(words)}` : "";
    return `${this.base}${path}${asked}`;
  }

  // Returns a good response, or throws an ApiError; a TypeError where the server cannot be reached.
  async call(path, { method = "GET", query, body, form, signal, headers = {} } = {}) {
    const sent = { "X-Flowrunner": "playground", ...headers };
    if (this.key) sent["x-api-key"] = this.key;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const options = { method, headers: sent, signal, body: form ?? (body === undefined ? undefined : JSON.stringify(body)) };
    let response;
    try {
      response = await this.fetch(this.address(path, query), options);
    } catch (error) {
      if (error instanceof TypeError) this.onLost();
      throw error;
    }
    if (response.ok) return response;
    const error = await refusal(response);
    if (response.status === 401 || response.status === 403) this.onRefused(error);
    throw error;
  }

  async json(path, options) {
    return (await this.call(path, options)).json();
  }

  flows() {
    return this.json("flows/", { query: { header_flows: true } });
  }

  plan(flow, session) {
    return this.json(`flows/${segment(flow)}/plan`, { query: { session_id: session } });
  }

  async drawing(flow) {
    return (await this.call(`flows/${segment(flow)}/graph.svg`)).text();
  }

  async sessions(query) {
    const { sessions, cursor } = await this.json("monitor/messages/sessions", {
      query: { view: "summary", limit: 100, ...query },
    });
    return { items: sessions, cursor };
  }

  async messages(query) {
    const response = await this.call("monitor/messages", { query: { limit: 100, ...query } });
    return { items: await response.json(), cursor: response.headers.get("X-Next-Cursor") };
  }

  editMessage(id, text) {
    return this.json(`monitor/messages/${segment(id)}`, { method: "PUT", body: { text } });
  }

  deleteMessage(id) {
    return this.call("monitor/messages", { method: "DELETE", body: [id] });
  }

  upload(flow, file) {
    const form = new FormData();
    form.append("file", file);
    return this.json(`files/upload/${segment(flow)}`, { method: "POST", form });
  }

  async file(path) {
    const [flow, ...name] = path.split("/");
    return (await this.call(`files/download/${segment(flow)}/${segment(name.join("/"))}`)).blob();
  }

  // A new session with what was said before a message.
  fork(session, message) {
    return this.json("monitor/messages/sessions/fork", { method: "POST", body: { session_id: session, message_id: message } });
  }

  titleSession(id, title) {
    return this.json("monitor/messages/sessions", { method: "PATCH", body: { session_id: id, title } });
  }

  renameSession(id, newId) {
    const part = segment(id);
    if (part === null) throw new ApiError(`Browsers cannot open the session ${id}: its id cannot be part of an address.`);
    return this.json(`monitor/messages/session/${part}`, { method: "PATCH", query: { new_session_id: newId } });
  }

  // By a list in the body: there every id stands as it is.
  deleteSession(id) {
    return this.call("monitor/messages/sessions", { method: "DELETE", body: [id] });
  }

  async render(texts) {
    return (await this.json("render", { method: "POST", body: { texts } })).html;
  }

  runs(query) {
    return this.json("runs", { query: { limit: 20, ...query } });
  }

  run(id) {
    return this.json(`runs/${segment(id)}`);
  }

  // Waits until a run that is over stands in the log; gives false where it never does.
  async recorded(flow, id) {
    for (let tries = 0; tries < 20; tries += 1) {
      const { items } = await this.runs({ flow_id: flow, limit: 50 });
      const found = items.find((run) => run.id === id);
      // How it ended is committed with its last message; what its components did is written a moment later.
      if (found && found.status !== "running" && (await this.run(id)).vertices?.length !== 0) return true;
      await pause(150 + 50 * tries);
    }
    return false;
  }

  // What the components of a run did, in the order in which they ended; nothing for who may only talk.
  async steps(run) {
    const steps = [];
    try {
      for (let after; steps.length < MOST_STEPS; ) {
        const page = await this.json(`runs/${segment(run)}/steps`, { query: { after, limit: 200 } });
        steps.push(...page.steps);
        if (page.cursor === null) return { steps, more: false };
        after = page.cursor;
      }
    } catch (error) {
      if (error.code !== "not_allowed") throw error;
      return { steps, more: false };
    }
    return { steps, more: true };
  }

  stop(run) {
    return this.call(`runs/${segment(run)}/cancel`, { method: "POST", body: {} });
  }

  // The id of the run that is on its way in a session, if there is one.
  async running(flow, session) {
    const { items } = await this.runs({ flow_id: flow, session_id: session, status: "running", limit: 1 });
    return items[0]?.id ?? "";
  }

  // The events of a run that is there already, from its beginning.
  followRun(id, { signal, onCut }) {
    const open = (last) => this.call(`runs/${segment(id)}/events`, { signal, headers: last ? { "Last-Event-ID": last } : {} });
    return follow(open, { signal, onCut });
  }

  // Runs a flow. The run has a key, so that it is one run however often it is sent.
  follow(flow, body, { signal, onCut }) {
    const key = randomWord();
    const open = (last) =>
      this.call(`run/${segment(flow)}`, {
        method: "POST",
        query: { stream: "sse", vertices: true },
        body,
        signal,
        headers: last ? { "Last-Event-ID": last } : { "Idempotency-Key": key },
      });
    return follow(open, { signal, onCut });
  }
}

async function refusal(response) {
  const known = await response.json().catch(() => ({}));
  const { detail } = known;
  const said = typeof detail === "string" ? detail : Array.isArray(detail) ? places(detail) : detail && JSON.stringify(detail);
  const requestId = response.headers.get("X-Request-Id") || "";
  return new ApiError(said || response.statusText || "The server refused the request.", {
    status: response.status,
    code: known.code || "",
    requestId,
  });
}

function places(entries) {
  return entries.map((entry) => `${(entry.loc || []).join(".")}: ${entry.msg || ""}`).join("; ");
}
