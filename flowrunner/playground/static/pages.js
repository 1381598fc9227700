// The other pages beside the conversation, and the timeline: each is loaded when it is first wanted.

import { make } from "./dom.js";
import { writePlace } from "./text.js";

const PAGES = {
  memory: () => import("./memory.js"),
  documents: () => import("./documents.js"),
};

export function startPages(app) {
  const host = document.getElementById("page");
  const links = [...document.querySelectorAll("[data-page]")];
  let open = "";
  const show = async () => {
    const { flow, session, view = "" } = app.place;
    const name = Object.hasOwn(PAGES, view) ? view : "";
    document.body.dataset.page = name;
    for (const link of links) {
      link.href = writePlace({ flow, session, ...(link.dataset.page ? { view: link.dataset.page } : {}) });
      if (link.dataset.page === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    host.hidden = !name;
    document.querySelector("main").hidden = Boolean(name);
    if (name === open) return;
    open = name;
    host.replaceChildren();
    if (!name) return;
    try {
      const { start } = await PAGES[name]();
      if (open === name) await start(host, app);
      if (open === name) host.focus({ preventScroll: true });
    } catch (error) {
      if (open === name) host.append(make("p", { class: "notice failed" }, app.sentence(error)));
      app.report(error, { quiet: true });
    }
  };
  app.on("place", show);
  // Somebody else may have signed in.
  app.on("back", () => {
    open = "";
    show();
  });
  app.on("author", (is) => {
    for (const link of links) if (link.dataset.page === "documents") link.hidden = !is;
  });
  startTimeline(app);
}

function startTimeline(app) {
  const host = document.getElementById("panel-timeline");
  let trace, timeline, loading;
  const show = async () => {
    if (host.hidden) return;
    loading ??= import("./timeline.js");
    const { Timeline } = await loading;
    timeline ??= new Timeline(host, app);
    timeline.show(trace);
  };
  app.on("trace", (one) => {
    trace = one;
    show();
  });
  app.on("tab", show);
  app.on("flow", () => {
    trace = undefined;
    show();
  });
  // A link to a run leads to what it did.
  let seen = "";
  app.on("place", () => {
    const { run = "" } = app.place;
    if (run && run !== seen) document.getElementById("tab-timeline").click();
    seen = run;
  });
}
