// The memory page: how conversations are kept, how many there are, what retention would remove, and a search.

import { announce, button, make } from "./dom.js";
import { ago, clock, count, readTime, shown, writePlace } from "./text.js";

const FLAGS = [
  ["durable", "Survives a restart", "Lost at a restart"],
  ["shared", "Shared by all workers", "Each worker has its own"],
  ["searches", "Searches with an index", "Searches without an index"],
  ["locks", "Turns across all hosts", "Turns on this host only"],
];

export async function start(host, app) {
  const page = new Memory(host, app);
  await page.load();
}

class Memory {
  constructor(host, app) {
    this.app = app;
    this.facts = make("div", { class: "cards" });
    this.sessions = new Sessions(app);
    this.search = new Search(app);
    const head = make("div", { class: "head" }, make("h2", {}, "Memory"), button("Reload", () => this.load()));
    host.replaceChildren(head, this.facts, this.search.element, this.sessions.element);
  }

  async load() {
    try {
      const facts = await this.app.api.json("memory");
      const cards = [sizeCard(facts), facts.backend && backendCard(facts.backend), facts.retention && new Retention(this.app, facts.retention).element];
      this.facts.replaceChildren(...cards.filter(Boolean));
    } catch (error) {
      this.facts.replaceChildren(make("p", { class: "notice failed" }, this.app.sentence(error)));
    }
    await this.sessions.load();
  }
}

function card(title, ...parts) {
  return make("section", { class: "card", "aria-label": title }, make("h3", {}, title), ...parts);
}

function list(entries) {
  return make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function number(value) {
  return value.toLocaleString("en");
}

function sizeCard({ sessions, messages, more, every_owner: everyone }) {
  const than = more ? "more than " : "";
  return card(everyone ? "Conversations of all users" : "Your conversations", list([["Sessions", than + number(sessions)], ["Messages", than + number(messages)]]));
}

function backendCard(backend) {
  const rows = FLAGS.map(([name, yes, no]) => make("li", {}, backend[name] ? `✓ ${yes}` : `– ${no}`));
  const more = [backend.place && ["Place", backend.place], backend.bytes !== null && ["On disk", (backend.bytes_more ? "more than " : "") + size(backend.bytes)]].filter(Boolean);
  return card("Backend", make("p", {}, make("strong", {}, backend.name)), make("ul", { class: "flags" }, ...rows), more.length ? list(more) : null);
}

function size(bytes) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let power = 0;
  let shownSize = bytes;
  while (shownSize >= 1000 && power < units.length - 1) {
    shownSize /= 1000;
    power += 1;
  }
  return `${power ? shownSize.toFixed(1) : bytes} ${units[power]}`;
}

// What the rules would remove, part by part, until all sessions were looked at or somebody stops it.
class Retention {
  constructor(app, { rules, every }) {
    this.app = app;
    const said = rules.length ? list(rules.map((rule, place) => [`Rule ${place + 1}`, rule])) : make("p", {}, "Everything is kept: no rule is set.");
    const when = rules.length ? make("p", { class: "note" }, every ? `Purged every ${every} seconds.` : "No automatic purge.") : null;
    this.field = make("input", { id: "rules", placeholder: rules.join("; ") || "age=90d", spellcheck: "false", autocomplete: "off" });
    this.go = make("button", {}, "What would be removed?");
    this.stop = button("Stop", () => (this.stopped = true), { hidden: true });
    this.note = make("p", { class: "note", role: "status" });
    this.found = make("tbody", {});
    const heads = ["Rule", "Messages", "Sessions"].map((word) => make("th", { scope: "col" }, word));
    this.table = make("table", { class: "plain", hidden: true }, make("thead", {}, make("tr", {}, ...heads)), this.found);
    const form = make("form", { class: "filters" }, make("label", { for: "rules" }, "Try other rules", this.field), this.go, this.stop);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.preview();
    });
    this.element = card("Retention", said, when, form, this.note, this.table);
  }

  async preview() {
    this.stopped = false;
    this.go.disabled = true;
    this.stop.hidden = false;
    this.found.replaceChildren();
    const sum = new Map();
    let looked = 0;
    let more = false;
    let body = { rules: this.field.value || null };
    try {
      while (body && !this.stopped && this.element.isConnected) {
        const part = await this.app.api.json("memory/purge/preview", { method: "POST", body });
        part.rules.forEach((rule, place) => {
          const before = sum.get(place) ?? { messages: 0, sessions: 0 };
          sum.set(place, { rule: rule.rule, messages: before.messages + rule.messages, sessions: before.sessions + rule.sessions });
        });
        looked += part.looked_at ?? 0;
        more ||= part.more;
        body = part.after_session === null ? null : { ...body, after_session: part.after_session, after_owner: part.after_owner };
        this.show([...sum.values()], more || Boolean(body));
        this.note.textContent = body ? `${count(looked, "session")} looked at…` : "";
      }
      this.note.textContent = this.stopped ? `Stopped after ${count(looked, "session")}; there may be more.` : `Nothing was removed.${looked ? ` ${count(looked, "session")} looked at.` : ""}`;
    } catch (error) {
      this.note.textContent = this.app.sentence(error);
    } finally {
      this.go.disabled = false;
      this.stop.hidden = true;
    }
  }

  show(rows, more) {
    const than = (value) => (more && value ? "at least " : "") + number(value);
    this.table.hidden = false;
    this.found.replaceChildren(
      ...rows.map(({ rule, messages, sessions }) => make("tr", {}, make("th", { scope: "row" }, rule), make("td", {}, than(messages)), make("td", {}, than(sessions)))),
    );
  }
}

// Sessions of all flows, page by page.
class Sessions {
  constructor(app) {
    this.app = app;
    this.body = make("tbody", {});
    this.note = make("p", { class: "note" });
    this.further = button("More", () => this.more(), { hidden: true });
    const heads = ["Session", "Messages", "First", "Last"].map((word) => make("th", { scope: "col" }, word));
    const table = make("table", { class: "plain" }, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.element = make("section", { "aria-label": "Sessions" }, make("h3", {}, "Sessions, latest first"), table, this.note, this.further);
  }

  async load() {
    this.cursor = null;
    this.body.replaceChildren();
    await this.more();
  }

  async more() {
    try {
      const { items, cursor } = await this.app.api.sessions({ cursor: this.cursor });
      this.cursor = cursor;
      this.body.append(...items.map((one) => this.row(one)));
      this.further.hidden = !cursor;
      this.note.textContent = this.body.childElementCount ? "" : "No conversations yet.";
    } catch (error) {
      this.note.textContent = this.app.sentence(error);
    }
  }

  row(one) {
    const flow = one.flow_ids.map((id) => this.app.find(id)).find(Boolean);
    const name = one.title || one.session_id;
    // Conversations of others are the admin's to list, and not to open as one's own.
    const title = flow && !one.owner ? make("a", { href: writePlace({ flow: flow.endpoint_name || flow.id, session: one.session_id }) }, name) : make("span", {}, name);
    const id = make("span", { class: "session-id" }, ` ${one.session_id}${one.owner ? `, of ${one.owner}` : ""}`);
    return make("tr", {}, make("th", { scope: "row" }, title, id), make("td", {}, String(one.count)), make("td", {}, day(one.first_at)), make("td", {}, ago(one.last_at)));
  }
}

// Messages that contain all the words, newest first, page by page.
class Search {
  constructor(app) {
    this.app = app;
    this.field = make("input", { id: "memory-search", type: "search", autocomplete: "off" });
    this.list = make("ol", { class: "found" });
    this.note = make("p", { class: "note", role: "status" });
    this.further = button("More", () => this.more(), { hidden: true });
    const form = make("form", { class: "filters", role: "search" }, make("label", { for: "memory-search" }, "Search all messages", this.field), make("button", {}, "Search"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    this.element = make("section", { "aria-label": "Search" }, form, this.note, this.list, this.further);
  }

  async begin() {
    this.words = this.field.value.trim();
    this.cursor = null;
    this.list.replaceChildren();
    this.further.hidden = true;
    this.note.textContent = "";
    if (this.words) await this.more();
  }

  async more() {
    const round = (this.round = (this.round ?? 0) + 1);
    this.note.textContent = "Searching…";
    try {
      const { items, cursor } = await this.app.api.messages({ q: this.words, cursor: this.cursor, order: "DESC", limit: 50 });
      if (round !== this.round) return;
      this.cursor = cursor;
      this.list.append(...items.map((one) => this.row(one)));
      this.further.hidden = !cursor;
      const there = this.list.childElementCount;
      this.note.textContent = there ? `${cursor ? "More than " : ""}${count(there, "message")} with “${this.words}”.` : `No message contains “${this.words}”.`;
      announce(this.note.textContent);
    } catch (error) {
      this.note.textContent = this.app.sentence(error);
    }
  }

  row(message) {
    const flow = this.app.find(message.flow_id);
    const place = flow && !message.owner ? { flow: flow.endpoint_name || flow.id, session: message.session_id, message: message.id } : null;
    const when = `${day(message.timestamp)} ${clock(message.timestamp)}`;
    const facts = make("span", { class: "note" }, `${message.sender_name}, ${when}, ${message.session_id}${message.owner ? `, of ${message.owner}` : ""}`);
    const text = shown(around(message.text, this.words), 300);
    return make("li", {}, place ? make("a", { href: writePlace(place) }, text) : make("p", {}, text), " ", facts);
  }
}

function day(text) {
  return readTime(text)?.toISOString().slice(0, 10) ?? "";
}

// The part of a text in which the first of the words stands.
function around(text, words) {
  const place = text.toLowerCase().indexOf(words.toLowerCase().split(/\s+/)[0]);
  return place > 120 ? `…${text.slice(place - 80)}` : text;
}
