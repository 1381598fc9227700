// Where the graph is looked at: zoom, pan, a search, a small map, and names that can be read at every size.

import { announce, button, make } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const BOX = { width: 190, height: 62 };
// Pixels of the smallest text, and the scale below which a box has no room for it.
const LEAST_TEXT = 9.5;
const READABLE = 0.3;
const LIMITS = [0.02, 3];
const NOTE = LEAST_TEXT / 0.8;
const STEP = 60;

export class Stage {
  constructor({ onPick, onFull }) {
    this.onPick = onPick;
    this.find = make("input", { type: "search", "aria-label": "Find a component", placeholder: "Find" });
    this.full = button("Full screen", onFull);
    const tools = [
      this.find,
      button("−", () => this.zoom(1 / 1.4), { "aria-label": "Zoom out" }),
      button("+", () => this.zoom(1.4), { "aria-label": "Zoom in" }),
      button("Fit", () => this.fit(), { title: "Fit what is readable" }),
      button("Whole", () => this.fit({ whole: true }), { title: "Fit the whole graph" }),
      this.full,
    ];
    this.canvas = make("div", {
      class: "canvas",
      tabindex: "0",
      role: "group",
      "aria-label": "Graph. Arrow keys move it, plus and minus zoom, 0 fits it, W shows the whole, F fills the screen.",
    });
    this.map = document.createElementNS(NS, "svg");
    this.map.setAttribute("class", "map");
    this.map.setAttribute("aria-hidden", "true");
    this.element = make("div", { class: "stage" }, make("div", { class: "tools", role: "toolbar", "aria-label": "Graph" }, ...tools), this.canvas);
    this.view = { x: 0, y: 0, scale: 1 };
    this.isFitted = true;
    this.clear();
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.find.addEventListener("input", () => this.search());
    this.find.addEventListener("keydown", (event) => this.onFindKey(event));
    this.pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.onUp(event));
    new ResizeObserver(() => (this.isFitted ? this.fit({ whole: this.isWhole }) : this.apply())).observe(canvas);
  }

  // Takes a drawing; gives its boxes and edges.
  take(svg, names) {
    this.svg = svg;
    this.names = names;
    this.size = { width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
    for (const name of ["width", "height"]) svg.removeAttribute(name);
    this.boxes = [...svg.querySelectorAll("[data-vertex]")];
    this.places = this.boxes.map((box) => {
      const [x, y] = box.getAttribute("transform").match(/-?[\d.]+/g).map(Number);
      return { x, y };
    });
    this.label = null;
    this.canvas.replaceChildren(svg, this.map);
    this.drawMap();
    this.fit();
    return { boxes: this.boxes, edges: [...svg.querySelectorAll("[data-edge]")] };
  }

  clear() {
    this.svg = this.boxes = this.spots = null;
    this.names = this.found = [];
    this.find.value = "";
    this.canvas.replaceChildren();
  }

  get room() {
    return { width: this.canvas.clientWidth || 1, height: this.canvas.clientHeight || 1 };
  }

  // As much as can be read, from its beginning; or all of it.
  fit({ whole = false } = {}) {
    if (!this.svg) return;
    const { width, height } = this.room;
    const all = Math.min(width / this.size.width, height / this.size.height, 1.25);
    const scale = whole ? all : Math.max(all, READABLE);
    const middle = (room, size) => Math.min(0, (size - room / scale) / 2);
    this.isFitted = true;
    this.isWhole = whole;
    this.view = { x: middle(width, this.size.width), y: middle(height, this.size.height), scale };
    this.apply();
  }

  move(dx, dy) {
    this.isFitted = false;
    this.view.x += dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.apply();
  }

  zoom(factor, x = this.room.width / 2, y = this.room.height / 2) {
    const before = this.view.scale;
    const scale = Math.min(LIMITS[1], Math.max(LIMITS[0], before * factor));
    this.isFitted = false;
    this.view = { x: this.view.x + x / before - x / scale, y: this.view.y + y / before - y / scale, scale };
    this.apply();
  }

  centre(number) {
    const { x, y } = this.places[number];
    const scale = Math.max(this.view.scale, 0.8);
    const { width, height } = this.room;
    this.isFitted = false;
    this.view = { x: x + BOX.width / 2 - width / scale / 2, y: y + BOX.height / 2 - height / scale / 2, scale };
    this.apply();
  }

  apply() {
    if (!this.svg) return;
    const { view, room, size } = this;
    const [width, height] = [room.width / view.scale, room.height / view.scale];
    // A part of the graph stays in sight.
    view.x = Math.min(size.width - 40, Math.max(40 - width, view.x));
    view.y = Math.min(size.height - 40, Math.max(40 - height, view.y));
    this.svg.setAttribute("viewBox", `${view.x} ${view.y} ${width} ${height}`);
    this.relabel();
    const hidden = view.x <= 1 && view.y <= 1 && view.x + width >= size.width - 1 && view.y + height >= size.height - 1;
    this.map.toggleAttribute("hidden", hidden);
    if (this.frame) for (const [name, value] of Object.entries({ x: view.x, y: view.y, width, height })) this.frame.setAttribute(name, value);
  }

  // Three levels of detail: name and type; the name as large as can be read; a box without words.
  relabel() {
    const { scale } = this.view;
    const level = scale >= 0.8 ? "full" : scale >= READABLE - 0.001 ? "name" : "box";
    const font = level === "full" ? 13 : Math.ceil(LEAST_TEXT / scale);
    const label = `${level} ${font}`;
    if (label === this.label) return;
    this.label = label;
    this.svg.dataset.level = level;
    if (level === "box") return;
    const fits = ruler((BOX.width - 14) / font);
    const lines = 2.4 * font <= BOX.height ? 2 : 1;
    this.boxes.forEach((box, number) => {
      const [first, second] = [box.querySelector(".name"), box.querySelector(".note")];
      const { name, type } = this.names[number];
      if (level === "full") {
        place(first, 32, 27, 13, cut(name, ruler((BOX.width - 40) / 13)));
        place(second, 18, 48, NOTE, cut(type, ruler((BOX.width - 28) / 12)));
        return;
      }
      const [one, two] = wrap(name, fits, lines);
      const middle = BOX.height / 2 + font * 0.35;
      place(first, 8, two ? middle - font * 0.58 : middle, font, one);
      place(second, 8, middle + font * 0.58, font, two ?? "");
    });
  }

  drawMap() {
    const { width, height } = this.size;
    this.map.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const ratio = Math.min(130 / width, 90 / height);
    this.map.setAttribute("width", Math.max(24, width * ratio));
    this.map.setAttribute("height", Math.max(24, height * ratio));
    const rect = (attributes) => {
      const made = document.createElementNS(NS, "rect");
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      return made;
    };
    this.spots = this.places.map(({ x, y }) => rect({ x, y, class: "spot", ...BOX }));
    this.frame = rect({ class: "frame" });
    this.map.replaceChildren(...this.spots, this.frame);
  }

  mark(number, state) {
    if (this.boxes?.[number]) this.boxes[number].dataset.state = state;
    if (this.spots?.[number]) this.spots[number].dataset.state = state;
  }

  choose(number) {
    this.boxes?.forEach((box, one) => box.classList.toggle("chosen", one === number));
  }

  onWheel(event) {
    if (!this.svg) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 200 : 1;
    if (event.shiftKey || (!event.ctrlKey && Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
      this.move((event.deltaX || event.deltaY) * unit, 0);
      return;
    }
    const { left, top } = this.canvas.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.002)), event.clientX - left, event.clientY - top);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const acts = {
      "+": () => this.zoom(1.4),
      "=": () => this.zoom(1.4),
      "-": () => this.zoom(1 / 1.4),
      0: () => this.fit(),
      w: () => this.fit({ whole: true }),
      f: () => this.full.click(),
      "/": () => this.find.focus(),
    };
    const act = moves[event.key] ? () => this.move(...moves[event.key]) : acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  onDown(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.start = { x: event.clientX, y: event.clientY, box: event.target.closest("[data-vertex]"), moved: this.pointers.size > 1 };
    this.start.map = Boolean(event.target.closest(".map"));
    if (this.start.map) this.jump(event);
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.start.map) {
      this.jump(event);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    const now = { x: event.clientX, y: event.clientY };
    if (!this.start.moved && Math.hypot(now.x - this.start.x, now.y - this.start.y) < 5) return;
    this.start.moved = true;
    this.pointers.set(event.pointerId, now);
    if (!others.length) {
      this.move(before.x - now.x, before.y - now.y);
      return;
    }
    const [other] = others;
    const { left, top } = this.canvas.getBoundingClientRect();
    const [was, is] = [before, now].map((point) => Math.max(10, Math.hypot(point.x - other.x, point.y - other.y)));
    this.move((before.x - now.x) / 2, (before.y - now.y) / 2);
    this.zoom(is / was, (now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top);
  }

  onUp(event) {
    if (!this.pointers.delete(event.pointerId) || event.type === "pointercancel") return;
    const { box, moved } = this.start;
    if (box && !moved) this.onPick(Number(box.dataset.vertex));
  }

  jump(event) {
    const { left, top, width, height } = this.map.getBoundingClientRect();
    const { scale } = this.view;
    this.isFitted = false;
    this.view.x = ((event.clientX - left) / width) * this.size.width - this.room.width / scale / 2;
    this.view.y = ((event.clientY - top) / height) * this.size.height - this.room.height / scale / 2;
    this.apply();
  }

  search() {
    const word = this.find.value.trim().toLowerCase();
    this.found = word ? this.names.flatMap(({ name, type, id }, number) => (`${name}\n${type}\n${id}`.toLowerCase().includes(word) ? [number] : [])) : [];
    this.at = -1;
    this.svg?.classList.toggle("searched", Boolean(word));
    this.boxes?.forEach((box, number) => box.classList.toggle("hit", this.found.includes(number)));
    if (word) announce(`${this.found.length} of ${this.names.length} components. Enter goes to the next.`);
    if (this.found.length) this.next(1);
  }

  next(step) {
    this.at = (this.at + step + this.found.length) % this.found.length;
    this.centre(this.found[this.at]);
  }

  onFindKey(event) {
    if (event.key === "Escape" && this.find.value) {
      event.preventDefault();
      event.stopPropagation();
      this.find.value = "";
      this.search();
    }
    if (event.key !== "Enter" || !this.found?.length) return;
    event.preventDefault();
    const now = this.found[this.at];
    // The first Enter shows what was found, each later one goes on.
    if (this.shown === now) this.next(event.shiftKey ? -1 : 1);
    this.shown = this.found[this.at];
    this.onPick(this.shown, { focus: false });
  }
}

function place(text, x, y, size, said) {
  text.setAttribute("x", x);
  text.setAttribute("y", y);
  text.setAttribute("font-size", size);
  text.textContent = said;
}

let pen;

// Says whether a text fits into so many times the size of its letters.
function ruler(width) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = "600 100px system-ui, sans-serif";
  return (text) => pen.measureText(text).width <= width * 100;
}

function cut(text, fits) {
  const line = text.replace(/\s+/g, " ").trim().slice(0, 60);
  if (fits(line)) return line;
  let end = line.length - 1;
  while (end > 1 && !fits(`${line.slice(0, end)}…`)) end -= 1;
  return `${line.slice(0, end).trimEnd()}…`;
}

// A name in one line or two, between its words where it can be.
function wrap(name, fits, lines) {
  const words = name.replace(/\s+/g, " ").trim().split(" ");
  if (lines === 1 || fits(words.join(" "))) return [cut(name, fits)];
  let first = 1;
  while (first < words.length - 1 && fits(words.slice(0, first + 1).join(" "))) first += 1;
  return [cut(words.slice(0, first).join(" "), fits), cut(words.slice(first).join(" "), fits)];
}
