// A chat box as an element: <flowrunner-chat flow="support" api="/assistant/api/v1" look="…/chatbox.css">.
// Whatever a person or a model says is shown as text and never as HTML.

const WORDS = {
  heading: "Chat",
  greeting: "",
  placeholder: "Write a message",
  send: "Send",
  stop: "Stop",
  fresh: "New conversation",
  failed: "This did not work. Please try again.",
};
// Milliseconds before a lost connection is tried again, and how often it is.
const WAIT = 500;
const MOST_LOST = 5;
const HEADERS = { "Content-Type": "application/json", "X-Flowrunner": "chatbox" };

// A word that nobody else has: randomUUID is only there on https and localhost, random values are there everywhere.
function randomWord() {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(octets, (o) => o.toString(16).padStart(2, "0")).join("");
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

class Conversation {
  // The id of the visitor's session, kept in their browser: it names a conversation and opens none.
  constructor(element) {
    this.place = `flowrunner:${element.getAttribute("api")}:${element.getAttribute("flow")}`;
    this.fixed = element.getAttribute("session-id");
    this.inPage = null;
  }

  get id() {
    if (this.fixed) return this.fixed;
    return this.read() || this.begin();
  }

  get known() {
    return Boolean(this.fixed || this.read());
  }

  begin() {
    this.inPage = `chat-${randomWord()}`;
    try {
      localStorage.setItem(this.place, this.inPage);
    } catch {
      // Storage is switched off: the conversation then lasts as long as the page.
    }
    return this.inPage;
  }

  read() {
    try {
      return localStorage.getItem(this.place) || this.inPage;
    } catch {
      return this.inPage;
    }
  }
}

async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.trim()) yield JSON.parse(line);
  }
}

// The answers of a run that stores none of them.
function textsOf(result) {
  const outputs = (result?.outputs ?? []).flatMap((part) => part.outputs ?? []);
  const values = outputs.flatMap((output) => Object.values(output.outputs ?? {}));
  return values.map((value) => value?.message).filter((text) => typeof text === "string" && text);
}

class FlowrunnerChat extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    this.conversation = new Conversation(this);
    this.build();
    this.showEarlier();
  }

  disconnectedCallback() {
    this.running?.abort();
  }

  word(name) {
    return this.getAttribute(name) ?? WORDS[name];
  }

  build() {
    const root = this.attachShadow({ mode: "open" });
    const make = (tag, attributes = {}, text = "", parent = root) => {
      const made = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      made.textContent = text;
      parent.append(made);
      return made;
    };
    const look = { rel: "stylesheet", href: this.getAttribute("look") };
    if (this.nonce) look.nonce = this.nonce;
    make("link", look);
    const box = make("section", { class: "box", part: "box", "aria-label": this.word("heading") });
    const head = make("div", { class: "head", part: "head" }, "", box);
    make("span", { class: "heading", part: "heading" }, this.word("heading"), head);
    // Where the page names the session there is no other one to begin.
    if (!this.conversation.fixed) {
      const fresh = make("button", { type: "button", class: "fresh", part: "fresh" }, this.word("fresh"), head);
      fresh.addEventListener("click", () => this.startAfresh());
    }
    this.log = make("div", { class: "log", part: "log", role: "log", "aria-live": "polite", tabindex: "0" }, "", box);
    const form = make("form", { part: "form" }, "", box);
    const label = make("label", { class: "unseen", for: "text" }, this.word("placeholder"), form);
    label.htmlFor = "text";
    this.text = make("textarea", { id: "text", rows: "2", placeholder: this.word("placeholder"), part: "text" }, "", form);
    this.button = make("button", { class: "send", part: "send" }, this.word("send"), form);
    form.addEventListener("submit", (event) => this.onSubmit(event));
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.onSubmit(event);
    });
    this.greet();
  }

  greet() {
    if (this.word("greeting")) this.show("answered", this.word("greeting"));
  }

  startAfresh() {
    this.stop();
    this.conversation.begin();
    this.log.replaceChildren();
    this.greet();
    this.text.focus();
  }

  show(kind, text) {
    const made = document.createElement("div");
    made.className = `message ${kind}`;
    made.setAttribute("part", `message ${kind}`);
    made.textContent = text;
    this.log.append(made);
    this.log.scrollTop = this.log.scrollHeight;
    return made;
  }

  async showEarlier() {
    if (!this.conversation.known) return;
    const query = new URLSearchParams({ session_id: this.conversation.id, limit: "200" });
    try {
      const response = await fetch(`${this.getAttribute("api")}/monitor/messages?${query}`, { headers: HEADERS });
      if (!response.ok) return;
      for (const message of await response.json()) {
        if (message.category !== "error") this.show(message.sender === "User" ? "asked" : "answered", message.text);
      }
    } catch {
      // The next message will say that the server cannot be reached.
    }
  }

  async onSubmit(event) {
    event.preventDefault();
    if (this.running) {
      this.stop();
      return;
    }
    const text = this.text.value.trim();
    if (!text) return;
    this.text.value = "";
    this.show("asked", text);
    this.setRunning(new AbortController());
    try {
      await this.ask(text, this.running.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.show("failed", error.shown || this.word("failed"));
    } finally {
      this.setRunning(null);
    }
  }

  setRunning(controller) {
    this.running = controller;
    this.button.textContent = this.word(controller ? "stop" : "send");
    this.toggleAttribute("busy", Boolean(controller));
  }

  // A run goes on for a while when its reader leaves, so who stops it says so.
  stop() {
    if (!this.running) return;
    this.running.abort();
    if (!this.runId) return;
    const address = `${this.getAttribute("api")}/runs/${encodeURIComponent(this.runId)}/cancel`;
    fetch(address, { method: "POST", headers: HEADERS, body: "{}", keepalive: true }).catch(() => {});
  }

  // A lost connection is tried again with the same key, so that what was asked is asked once.
  async ask(text, signal) {
    const body = JSON.stringify({ input_value: text, session_id: this.conversation.id });
    const headers = { ...HEADERS, "Idempotency-Key": randomWord() };
    for (let lost = 0; ; ) {
      const shown = new Map();
      try {
        const response = await this.send(body, headers, signal);
        if (response) return await this.read(response, shown);
        await pause(WAIT, signal);
      } catch (error) {
        if (!(error instanceof TypeError) || signal.aborted || ++lost > MOST_LOST) throw error;
        shown.forEach((element) => element.remove());
        await pause(WAIT * lost, signal);
      }
    }
  }

  // Gives the answer; nothing where the same question is still being answered.
  async send(body, headers, signal) {
    this.runId = "";
    const address = `${this.getAttribute("api")}/run/${encodeURIComponent(this.getAttribute("flow"))}?stream=true`;
    const response = await fetch(address, { method: "POST", headers, body, signal });
    this.runId = response.headers.get("X-Run-Id") ?? "";
    if (response.ok) return response;
    const refused = await this.refusal(response);
    if (refused.code === "idempotency_in_flight") return null;
    throw refused;
  }

  async read(response, shown) {
    for await (const { event, data } of readEvents(response)) {
      if (event === "token") this.grow(shown, data.id, data.chunk);
      else if (event === "add_message" && data.sender !== "User") this.place(shown, data.id, data.text);
      else if (event === "end") {
        if (!shown.size) textsOf(data.result).forEach((said) => this.show("answered", said));
        return;
      } else if (event === "error") throw Object.assign(new Error(data.error), { shown: this.word("failed") });
    }
    throw new TypeError("the stream ended early");
  }

  async refusal(response) {
    const known = await response.json().catch(() => ({}));
    const said = response.status < 500 && typeof known.detail === "string" ? known.detail : this.word("failed");
    return Object.assign(new Error(said), { shown: said, code: known.code });
  }

  grow(shown, id, piece) {
    const element = shown.get(id) || this.show("answered", "");
    shown.set(id, element);
    element.textContent += piece;
    this.log.scrollTop = this.log.scrollHeight;
  }

  place(shown, id, text) {
    if (!shown.has(id) && !text) return;
    const element = shown.get(id) || this.show("answered", "");
    shown.set(id, element);
    if (text) element.textContent = text;
  }
}

customElements.define("flowrunner-chat", FlowrunnerChat);
