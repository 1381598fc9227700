// Words and numbers for people. No DOM here: these are tested without a browser.

// A word that nobody else has: randomUUID is only there on https and localhost, random values are there everywhere.
export function randomWord() {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "";
  if (seconds < 0.001) return "<1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

// "2026-01-31 12:00:00.000000 UTC" and ISO 8601 alike.
export function readTime(text) {
  if (typeof text !== "string") return null;
  const iso = text.trim().replace(/ UTC$/, "Z").replace(" ", "T").replace(/(\.\d{3})\d+/, "$1");
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? null : time;
}

export function ago(text, now = Date.now()) {
  const time = readTime(text);
  if (!time) return "";
  const seconds = Math.max(0, (now - time.getTime()) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return time.toISOString().slice(0, 10);
}

export function clock(text) {
  const time = readTime(text);
  return time ? time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : "";
}

export function count(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

// What an answer took, for a line below it: "gpt-5, 1100 tokens (800 cached), 0.4 s to the first, 2.0 s, $0.0016".
export function spent({ usage, timing, source } = {}) {
  const found = usage || timing ? [source?.source].filter(Boolean) : [];
  if (usage?.total_tokens) {
    const parts = [usage.cached_tokens && `${usage.cached_tokens} cached`, usage.reasoning_tokens && `${usage.reasoning_tokens} thought`].filter(Boolean);
    found.push(count(usage.total_tokens, "token") + (parts.length ? ` (${parts.join(", ")})` : ""));
  }
  if (timing?.time_to_first_token) found.push(`${duration(timing.time_to_first_token)} to the first`);
  if (timing?.seconds) found.push(duration(timing.seconds));
  if (typeof usage?.cost === "number") found.push(`$${Number(usage.cost.toPrecision(3))}`);
  return found.join(", ");
}

// A text around the first of some words that it has: what stands before it, the word, and what comes after.
export function excerpt(text, words, around = 60) {
  const places = words.split(/\s+/).filter(Boolean).map((word) => [text.toLowerCase().indexOf(word.toLowerCase()), word.length]);
  const [place, length] = places.filter(([found]) => found >= 0).sort(([one], [other]) => one - other)[0] ?? [0, 0];
  const start = Math.max(0, place - around);
  const end = place + length + 2 * around;
  const line = (part) => part.replace(/\s+/g, " ");
  return [
    (start ? "…" : "") + line(text.slice(start, place)),
    text.slice(place, place + length),
    line(text.slice(place + length, end)) + (end < text.length ? "…" : ""),
  ];
}

// Cuts a list into lists of at most a hundred, which together are no longer than the server renders at once.
export function portions(items, lengthOf, most = 100, longest = 200_000) {
  const found = [];
  let room = 0;
  for (const item of items) {
    const last = found.at(-1);
    room -= lengthOf(item);
    if (last && last.length < most && room >= 0) last.push(item);
    else {
      found.push([item]);
      room = longest - lengthOf(item);
    }
  }
  return found;
}

export function size(octets) {
  if (typeof octets !== "number") return "";
  if (octets < 1000) return `${octets} B`;
  return octets < 1e6 ? `${Math.round(octets / 1000)} kB` : `${(octets / 1e6).toFixed(1)} MB`;
}

const PICTURES = { png: "png", jpg: "jpeg", jpeg: "jpeg", gif: "gif", webp: "webp", avif: "avif", bmp: "bmp" };

// Pictures that a browser shows and that run nothing: SVG is none of them.
export function isPicture(name) {
  return Boolean(pictureType(name));
}

export function pictureType(name) {
  const kind = PICTURES[name.split(".").at(-1).toLowerCase()];
  return kind ? `image/${kind}` : "";
}

export function shown(value, longest = 4000) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

export function newSessionId() {
  // randomUUID is only there on https and localhost; random values are there everywhere.
  const octets = crypto.getRandomValues(new Uint8Array(12));
  return `chat-${Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("")}`;
}

// A segment of a path. "." and ".." would be taken out of an address by the browser, so they have none.
export function segment(text) {
  return text === "." || text === ".." ? null : encodeURIComponent(text);
}

export function fileName(text) {
  return `${text.replace(/[^\w.-]+/g, "_").replace(/^\.+/, "").slice(0, 60) || "session"}.json`;
}

// One name for a flow and a session together: the same session may be open in several flows.
export function placeKey(flow, session) {
  return JSON.stringify([flow, session]);
}

// Who decided a session, in words.
export function decider(session) {
  if (!session) return "";
  const words = {
    payload: "the request named it",
    component: `the setting of ${session.component} decided it`,
    edge: `an edge into ${session.component} brought it`,
    flow: "nobody named one: it is the flow's id",
    generated: "nobody named one: it is fresh for this run",
  };
  return words[session.source] || session.source || "";
}

export function readPlace(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const place = { flow: words.get("flow") || "", session: words.get("session") || "" };
  // What a link may name besides: a message or a run in the session, or another page than the conversation.
  for (const name of ["message", "run", "view"]) if (words.get(name)) place[name] = words.get(name);
  return place;
}

export function writePlace(place) {
  return `#${new URLSearchParams(Object.entries(place).filter(([, value]) => value))}`;
}
