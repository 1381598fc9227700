// The sessions of a flow, latest first; more come as one scrolls.

import { ask, button, make } from "./dom.js";
import { saveAs } from "./files.js";
import { Search } from "./search.js";
import { ago, count, fileName, newSessionId, writePlace } from "./text.js";

class Sessions extends HTMLElement {
  start(app) {
    this.app = app;
    this.rows = new Map();
    this.filter = make("input", { id: "filter", type: "search", placeholder: "Search texts and ids", autocomplete: "off" });
    this.list = make("ul", { class: "sessions" });
    this.note = make("p", { class: "note" });
    this.search = new Search(app);
    this.scroller = make("div", { class: "scroller" }, this.list, this.note, this.search.element);
    this.append(
      make(
        "div",
        { class: "head" },
        make("h2", {}, "Sessions"),
        button("New", () => this.app.go({ session: newSessionId() }), { id: "new", "aria-label": "New session" }),
      ),
      make("label", { class: "unseen", for: "filter" }, "Search the texts and ids of sessions"),
      this.filter,
      this.scroller,
    );
    let timer;
    this.filter.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.reload(), 200);
    });
    this.scroller.addEventListener("scroll", () => this.fill(), { passive: true });
    app.on("flow", () => this.reload());
    app.on("place", () => this.mark());
    app.on("changed", () => this.refresh());
    app.on("back", () => this.unfinished && this.rename(...this.unfinished));
  }

  query(more = {}) {
    return { flow_id: this.app.flow?.id, q: this.filter.value.trim(), ...more };
  }

  // From the beginning: another flow or filter.
  async reload() {
    this.round = (this.round ?? 0) + 1;
    this.rows.clear();
    this.list.replaceChildren();
    this.cursor = undefined;
    this.loading = false;
    this.note.textContent = "";
    if (!this.app.flow) return;
    await Promise.all([this.more(true), this.search.look(this.filter.value.trim())]);
  }

  async more(first = false) {
    if (this.loading || !this.app.flow || (!first && !this.cursor)) return;
    const round = this.round;
    this.loading = true;
    try {
      const { items, cursor } = await this.app.api.sessions(this.query({ cursor: this.cursor }));
      if (round !== this.round) return;
      this.cursor = cursor;
      for (const item of items) this.list.append(this.row(item));
      this.tell();
    } catch (error) {
      this.app.report(error);
    } finally {
      if (round === this.round) this.loading = false;
    }
    this.fill();
  }

  // More are asked for when the end comes near.
  fill() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const near = scrollHeight - scrollTop - clientHeight < 600;
    if (this.cursor && !this.loading && clientHeight && near) this.more();
  }

  // What is new goes to the top, what is gone goes away, and what else was loaded stays.
  async refresh() {
    if (!this.app.flow) return;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const round = this.round;
    try {
      const { items, cursor } = await this.app.api.sessions(this.query());
      if (round !== this.round || turn !== this.turn) return;
      const isOther = this.rows.size && !items.some((item) => this.rows.has(item.session_id));
      if (!this.rows.size) this.cursor = cursor;
      this.dropAbsent(items, cursor);
      this.arrange(items.map((item) => this.row(item)));
      this.tell();
      // In a site another person may have logged in meanwhile.
      if (isOther) await this.app.renew();
    } catch (error) {
      this.app.report(error);
    }
  }

  // The newest sessions are known now: who would stand among them and does not, is gone.
  dropAbsent(items, cursor) {
    const there = new Set(items.map((item) => item.session_id));
    const oldest = cursor ? items.at(-1).last_at : "";
    const rows = [...this.list.children];
    // The list is in the order of append, which the times need not be in.
    const end = cursor ? rows.indexOf(this.rows.get(items.at(-1).session_id)) : rows.length;
    for (const [id, row] of [...this.rows]) {
      const above = rows.indexOf(row) < end && row.querySelector("time").dateTime > oldest;
      if (above && !there.has(id)) this.forget(id);
    }
  }

  // Moves only rows that stand elsewhere, and leaves the keyboard where it was.
  arrange(rows) {
    const focused = document.activeElement;
    rows.forEach((row, number) => {
      const there = this.list.children[number];
      if (there !== row) this.list.insertBefore(row, there ?? null);
    });
    if (focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  tell() {
    const wanted = this.filter.value.trim();
    const nothing = wanted ? `No session id contains “${wanted}”.` : "No sessions yet.";
    this.note.textContent = this.rows.size ? "" : nothing;
    this.mark();
  }

  row({ session_id: id, title, count: number, last_at: last }) {
    const row = this.rows.get(id) ?? make("li", {}, linkOf(id));
    this.rows.set(id, row);
    const time = row.querySelector("time");
    row.querySelector("a").href = writePlace({ flow: this.app.place.flow, session: id });
    row.querySelector(".title").textContent = title || id;
    row.querySelector(".count").textContent = `${count(number, "message")} · `;
    time.dateTime = last;
    time.textContent = ago(last);
    return row;
  }

  mark() {
    const { session } = this.app.place;
    const current = this.rows.get(session);
    if (this.current && this.current !== current) {
      this.current.querySelector("a")?.removeAttribute("aria-current");
      this.current.querySelector(".actions")?.remove();
    }
    this.current = current;
    if (!current) return;
    current.querySelector("a").setAttribute("aria-current", "true");
    if (current.querySelector(".actions")) return;
    current.append(
      make(
        "div",
        { class: "actions" },
        button("Title", () => this.entitle(session)),
        button("Rename", () => this.rename(...(this.unfinished?.[0] === session ? this.unfinished : [session]))),
        button("Export", () => this.export(session)),
        button("Delete", () => this.remove(session)),
      ),
    );
  }

  async entitle(id) {
    const value = this.rows.get(id)?.querySelector(".title").textContent ?? "";
    const title = await ask({ title: "Title of the session", text: "Lists show the title instead of the first words. Leave it empty to remove it. The id does not change.", label: "Title", value, action: "Save", optional: true });
    if (title === null) return;
    await this.attempt(async () => {
      await this.app.api.titleSession(id, title);
      this.app.emit("changed");
      this.app.say(title ? "The title was set." : "The title was removed.");
    });
  }

  // `name` is what was typed before, where it came to nothing.
  async rename(id, name = id) {
    const text = "If a session with the new id exists, the two are merged. Messages of other flows in this session are moved too.";
    const to = await ask({ title: "Rename the session", text, label: "New id", value: name, action: "Rename" });
    this.unfinished = null;
    if (!to || to === id) return;
    this.unfinished = [id, to];
    await this.attempt(async () => {
      try {
        await this.app.api.renameSession(id, to);
      } catch (error) {
        // Only a lost connection or login is worth asking again for, once it is back.
        const mayPass = error instanceof TypeError || [401, 403].includes(error.status);
        if (!mayPass) this.unfinished = null;
        throw error;
      }
      this.unfinished = null;
      this.forget(id);
      this.app.go({ session: to });
      this.app.emit("changed");
      this.app.say("The session was renamed.");
    });
  }

  async remove(id) {
    const text = `${id}: all its messages are deleted, including those of other flows.`;
    const sure = await ask({ title: "Delete the session?", text, action: "Delete", danger: true });
    if (!sure) return;
    await this.attempt(async () => {
      await this.app.api.deleteSession(id);
      this.forget(id);
      this.app.go({ session: newSessionId() });
      this.app.emit("changed");
      this.app.say("The session was deleted.");
    });
  }

  async export(id) {
    await this.attempt(async () => {
      let all = [];
      let cursor;
      do {
        const page = await this.app.api.messages({ session_id: id, flow_id: this.app.flow.id, limit: 200, cursor });
        all = [...page.items, ...all];
        cursor = page.cursor;
      } while (cursor);
      const text = JSON.stringify({ session_id: id, flow_id: this.app.flow.id, messages: all }, null, 2);
      saveAs(new Blob([text], { type: "application/json" }), fileName(id));
    });
  }

  forget(id) {
    this.rows.get(id)?.remove();
    this.rows.delete(id);
  }

  async attempt(work) {
    try {
      await work();
    } catch (error) {
      this.app.report(error);
    }
  }
}

function linkOf(id) {
  const note = make("span", { class: "note" }, make("span", { class: "count" }), make("time", {}));
  return make("a", {}, make("span", { class: "title" }), note, make("span", { class: "id" }, id));
}

customElements.define("fr-sessions", Sessions);
