// The page: which flow and session are open, who signs in, what is said when something goes wrong.

import { Api } from "./api.js";
import "./conversation.js";
import { announce, ask, button, make } from "./dom.js";
import "./graph.js";
import { startPages } from "./pages.js";
import "./runs.js";
import "./sessions.js";
import { newSessionId, readPlace, writePlace } from "./text.js";

const element = (id) => document.getElementById(id);

class App {
  constructor() {
    this.api = new Api(new URL("api/v1/", document.baseURI).pathname);
    this.api.onLost = () => this.showLost(true);
    this.api.onRefused = (error) => this.onRefused(error);
    this.listeners = new Map();
    this.flows = [];
    this.place = readPlace(location.hash);
  }

  on(name, listener) {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]);
  }

  emit(name, value) {
    for (const listener of this.listeners.get(name) ?? []) listener(value);
  }

  async start() {
    for (const name of ["fr-sessions", "fr-conversation", "fr-graph", "fr-runs"]) document.querySelector(name).start(this);
    element("flow").addEventListener("change", (event) => this.go({ flow: event.target.value, session: newSessionId() }));
    element("sign").addEventListener("click", () => (this.api.key ? this.signOut() : this.signIn()));
    addEventListener("hashchange", () => this.arrive());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.flow && this.emit("changed", this.place.session));
    // The address says which flow and session are open, so this link must not change it.
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      element("text").focus();
    });
    addViews();
    addTabs(this);
    startPages(this);
    await this.load();
  }

  async readFlows() {
    return (await this.api.flows()).filter((flow) => !flow.is_component);
  }

  async load() {
    try {
      this.flows = await this.readFlows();
    } catch (error) {
      this.report(error);
      return;
    }
    element("sign").hidden = !this.api.key;
    this.offerFlows();
    if (!this.flows.length) this.banner("There are no flows that you may use.");
    this.arrive();
  }

  offerFlows() {
    const choice = element("flow");
    choice.replaceChildren(...this.flows.map((flow) => make("option", { value: flow.endpoint_name || flow.id }, flow.name)));
    choice.value = this.place.flow;
  }

  find(name) {
    return this.flows.find((flow) => flow.id === name || flow.endpoint_name === name);
  }

  arrive() {
    const place = readPlace(location.hash);
    if (this.flows.length && !place.flow) place.flow = this.flows[0].endpoint_name || this.flows[0].id;
    if (!place.session) place.session = newSessionId();
    if (writePlace(place) !== location.hash) history.replaceState(null, "", writePlace(place));
    this.place = place;
    const flow = this.find(place.flow);
    if (!flow && this.flows.length) this.banner(`The flow ${place.flow} no longer exists. Choose another one.`);
    else if (flow) this.banner("");
    element("flow").value = place.flow;
    const other = flow?.id !== this.flow?.id;
    this.flow = flow;
    if (other) this.emit("flow");
    this.emit("place");
  }

  go(change) {
    const { flow, session } = this.place;
    const hash = writePlace({ flow, session, ...change });
    if (hash === location.hash) this.arrive();
    else location.hash = hash;
    document.body.dataset.view = "chat";
    showView();
    element("text").focus();
  }

  say(text) {
    announce(text);
  }

  sentence(error) {
    if (error instanceof TypeError) return "The server cannot be reached. Your text is kept.";
    return error.shown ?? error.message;
  }

  // Says in the page what went wrong; `quiet` where it is said in another place already.
  report(error, { quiet = false } = {}) {
    if (error instanceof TypeError && !error.status) {
      if (/fetch|network|load|stream/i.test(error.message)) this.showLost(true);
      else console.error(error);
      return;
    }
    if (error.code === "flow_not_found") {
      this.forgetFlow();
      return;
    }
    if (this.signing || quiet) return;
    this.banner(this.sentence(error));
  }

  banner(text, action = null) {
    element("banner").replaceChildren(...(text ? [make("p", { class: "notice failed" }, text, action ?? button("Close", () => this.banner("")))] : []));
  }

  async forgetFlow() {
    const before = this.flows;
    this.flows = await this.readFlows().catch(() => this.flows);
    const gone = before.find((flow) => !this.find(flow.id)) ?? this.flow;
    const name = gone?.name ?? this.place.flow;
    this.offerFlows();
    this.banner(`The flow ${name} no longer exists. Your text is kept; choose another flow.`);
  }

  // Shows that the connection is lost until the server answers again.
  async showLost(lost) {
    if (!lost || this.waiting) return;
    this.waiting = true;
    this.banner("The connection to the server is lost. Trying again…", make("span", {}));
    const health = new URL("health", document.baseURI);
    while (!(await fetch(health, { cache: "no-store" }).then((answer) => answer.ok, () => false))) {
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
    this.waiting = false;
    this.banner("");
    this.say("Connected again.");
    if (this.flows.length) this.emit("back");
    else await this.load();
    this.emit("changed");
  }

  // A key that was refused for one thing may still be good for others.
  async onRefused(error) {
    if (this.signing) return;
    this.signing = true;
    const answer = await fetch(this.api.address("flows/", { header_flows: true }), {
      headers: { "X-Flowrunner": "playground", ...(this.api.key ? { "x-api-key": this.api.key } : {}) },
    }).catch(() => null);
    // An answer that nobody reads would hold its connection.
    answer?.body?.cancel();
    this.signing = false;
    if (answer && (answer.status === 401 || answer.status === 403)) await this.signIn(error);
    else if (answer) this.banner(this.sentence(error));
  }

  async signIn(error = null) {
    if (this.signing) return;
    this.signing = true;
    const hadKey = Boolean(this.api.key);
    const text = hadKey && error ? `The key is no longer accepted: ${error.shown}` : "The key stays in this tab and is forgotten when you close it.";
    const key = await ask({ title: "Sign in with an API key", text, label: "API key", type: "password", action: "Sign in" });
    this.signing = false;
    if (!key) {
      element("sign").hidden = false;
      element("sign").textContent = "Sign in";
      return;
    }
    this.api.key = key.trim();
    element("sign").textContent = "Sign out";
    this.banner("");
    await this.renew();
  }

  // Loads everything anew: somebody else may have signed in.
  async renew() {
    const before = this.flow;
    await this.load();
    if (!before || !this.flow) return;
    if (before.id === this.flow.id) this.emit("flow");
    this.emit("back");
  }

  signOut() {
    this.api.key = "";
    location.reload();
  }
}

function showView() {
  for (const one of document.querySelectorAll("[data-goto]")) {
    if (one.dataset.goto === document.body.dataset.view) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
}

function addViews() {
  for (const one of document.querySelectorAll("[data-goto]")) {
    one.addEventListener("click", () => {
      document.body.dataset.view = one.dataset.goto;
      showView();
    });
  }
}

function addTabs(app) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
      element(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
    app.emit("tab", tab.id.replace("tab-", ""));
  };
  tabs.forEach((tab, number) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const next = tabs[(number + (key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
      next.focus();
      choose(next);
    });
  });
}

new App().start();
