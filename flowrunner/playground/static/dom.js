// Making elements. Texts become text nodes, so nothing in them is ever markup.

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function button(label, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, label);
}

const TAGS = new Set(
  "P BR HR H1 H2 H3 H4 H5 H6 UL OL LI BLOCKQUOTE PRE CODE EM STRONG S A TABLE THEAD TBODY TR TH TD".split(" "),
);

// The server made this HTML of its own tags; it is copied tag by tag all the same, so that a mistake there runs nothing
// here. `codeBlock(text, language)` makes the element of a block of code.
export function copyOf(html, codeBlock) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const made = document.createDocumentFragment();
  for (const child of parsed.body.childNodes) copyInto(made, child, codeBlock);
  return made;
}

function copyInto(parent, node, codeBlock) {
  if (node.nodeType === Node.TEXT_NODE) parent.append(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  if (!TAGS.has(node.tagName)) {
    parent.append(node.textContent);
    return;
  }
  const code = node.tagName === "PRE" && node.firstElementChild;
  if (code && !code.classList.contains("formula")) {
    parent.append(codeBlock(node.textContent, /^language-([\w+#.-]{1,30})$/.exec(code.className)?.[1]));
    return;
  }
  const made = document.createElement(node.tagName);
  if (node.classList.contains("formula")) made.className = "formula";
  if (node.tagName === "A" && isHarmless(node.getAttribute("href"))) {
    made.href = node.getAttribute("href");
    made.rel = "noopener noreferrer nofollow";
    made.target = "_blank";
  }
  if (/^T[DH]$/.test(node.tagName) && /^(center|right)$/.test(node.className)) made.className = node.className;
  if (node.tagName === "OL" && node.hasAttribute("start")) made.start = node.start;
  for (const child of node.childNodes) copyInto(made, child, codeBlock);
  parent.append(made);
}

export function isHarmless(address) {
  return typeof address === "string" && /^(https?:\/\/|mailto:)/i.test(address);
}

// Asks in the page's dialog; gives the text that was entered, true where none was asked for, or null.
export function ask({ title, text = "", label = "", value = "", action, type = "text", danger = false, optional = false }) {
  const dialog = document.getElementById("dialog");
  return new Promise((resolve) => {
    const field = label ? make("input", { id: "dialog-field", type, value, autocomplete: "off", required: !optional }) : null;
    const done = (answer) => {
      dialog.close();
      dialog.replaceChildren();
      resolve(answer);
    };
    const form = make(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          done(field ? field.value : true);
        },
      },
      make("h2", { id: "dialog-title" }, title),
      text && make("p", {}, text),
      field && make("label", { for: "dialog-field" }, label),
      field,
      make(
        "div",
        { class: "actions" },
        button("Cancel", () => done(null)),
        make("button", { class: danger ? "danger" : "main" }, action),
      ),
    );
    dialog.classList.remove("wide");
    dialog.replaceChildren(form);
    dialog.oncancel = (event) => {
      event.preventDefault();
      done(null);
    };
    if (!dialog.open) dialog.showModal();
    field?.select();
  });
}

// Shows something in the page's dialog, until it is closed.
export function present(title, ...parts) {
  const dialog = document.getElementById("dialog");
  const done = () => {
    dialog.close();
    dialog.replaceChildren();
    dialog.classList.remove("wide");
  };
  const head = make("div", { class: "head" }, make("h2", { id: "dialog-title" }, title), button("Close", done));
  dialog.replaceChildren(make("div", { class: "presented" }, head, ...parts));
  dialog.classList.add("wide");
  dialog.oncancel = (event) => {
    event.preventDefault();
    done();
  };
  if (!dialog.open) dialog.showModal();
  return done;
}

export function announce(text) {
  document.getElementById("status").textContent = text;
}
