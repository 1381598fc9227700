// The flow outside of this page: its call for programs, and its file.

import { codeBlock } from "./code.js";
import { button, make, present } from "./dom.js";
import { saveAs } from "./files.js";
import { snippetsOf } from "./snippets.js";
import { fileName } from "./text.js";

const LANGUAGES = { curl: "shell", Python: "python", JavaScript: "javascript", OpenAI: "python" };

export function openUse(app) {
  const { flow, place, api } = app;
  const input = document.getElementById("text").value || flow.examples?.[0] || "Hello";
  const base = new URL(api.base, location.href).href;
  const all = snippetsOf({ base, flow: flow.endpoint_name || flow.id, input, session: place.session, key: Boolean(api.key) });
  const shown = make("div", {});
  const choice = make("select", { id: "use-as" }, ...Object.keys(all).map((name) => make("option", {}, name)));
  const show = () => shown.replaceChildren(codeBlock(all[choice.value], LANGUAGES[choice.value]));
  choice.addEventListener("change", show);
  show();
  const parts = [make("label", { class: "choice", for: "use-as" }, "As", choice), shown];
  // Who may not see what a flow is made of has no plan of it.
  if (app.plan) parts.push(button("Download the flow", () => download(app)));
  present(`Use ${flow.name}`, ...parts);
}

async function download(app) {
  try {
    const found = await app.api.json(`flows/${app.flow.id}`);
    saveAs(new Blob([JSON.stringify(found, null, 2)], { type: "application/json" }), fileName(found.endpoint_name || found.name));
  } catch (error) {
    app.report(error);
  }
}
