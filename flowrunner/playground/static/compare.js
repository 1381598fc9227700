// Two runs side by side: what was asked and answered, and what each component did.

import { make, present } from "./dom.js";
import { duration, readTime, shown, spent } from "./text.js";
import { reason } from "./trace.js";

export async function openCompare(app, ids) {
  try {
    const runs = await Promise.all(ids.map((id) => app.api.run(id)));
    // The earlier one stands on the left.
    runs.sort((one, other) => (one.accepted_at < other.accepted_at ? -1 : 1));
    present("Two runs", make("div", { class: "compared", tabindex: "0", role: "region", "aria-label": "Both runs" }, tableOf(runs, app.plan)));
  } catch (error) {
    app.report(error);
  }
}

function tableOf(runs, plan) {
  const head = make("tr", {}, make("th", { scope: "col" }, "Run"), ...runs.map((run) => make("th", { scope: "col" }, run.id)));
  const rows = rowsOf(runs, plan).filter(([, values]) => values.some(Boolean));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows.map(([name, values, compared = values]) => rowOf(name, values, compared))));
}

// Rows that differ are said to do so, for eyes and for ears.
function rowOf(name, values, compared) {
  const differs = compared[0] !== compared[1];
  const label = differs ? [name, make("span", { class: "unseen" }, " (differs)")] : [name];
  return make("tr", { class: differs ? "differs" : "" }, make("th", { scope: "row" }, ...label), ...values.map((value) => make("td", {}, value)));
}

export function rowsOf(runs, plan) {
  const each = (of) => runs.map((run) => of(run) || "");
  const said = (sender) => each(({ messages }) => messages.filter((one) => (one.sender === "User") === (sender === "User")).map((one) => shown(one.text)).join("\n\n"));
  const took = each((run) => duration(run.duration));
  const answers = (run) => run.messages.filter((one) => one.sender !== "User");
  const rows = [
    ["Begun", each((run) => readTime(run.started_at)?.toLocaleString() ?? ""), ["", ""]],
    ["State", each((run) => run.status)],
    ["Time", took, ["", ""]],
    ["Session", each((run) => run.session?.id)],
    ["Flow", each((run) => run.flow_name)],
    ["Version of the flow", each((run) => run.content_hash?.slice(0, 12))],
    ["Error", each((run) => reason(run.error?.message))],
    ["Question", said("User")],
    ["Answer", said("Machine")],
    ["It took", each((run) => answers(run).map((one) => spent(one.properties ?? {})).filter(Boolean).join("\n")), ["", ""]],
  ];
  const names = new Map(plan?.vertices.map((vertex) => [vertex.id, vertex.name]));
  const states = runs.map(({ vertices }) => new Map(vertices.map((vertex) => [vertex.id, vertex])));
  for (const id of new Set(states.flatMap((found) => [...found.keys()]))) {
    const both = states.map((found) => found.get(id));
    const name = names.get(id);
    const words = both.map((one) => (one ? `${one.status}, ${duration(one.duration)}` : "not run"));
    rows.push([name && name !== id ? `${name} (${id})` : id, words, both.map((one) => one?.status)]);
  }
  return rows;
}
