// A block of code as an element: coloured, with its language and a button that copies it.

import { announce, button, make } from "./dom.js";
import { partsOf } from "./highlight.js";

export function codeBlock(text, language = "") {
  const code = make("code", {}, ...partsOf(text, language).map(([kind, part]) => (kind ? make("span", { class: `c-${kind}` }, part) : part)));
  const copy = button("Copy", () => copyText(text, code), { "aria-label": language ? `Copy the ${language} code` : "Copy the code" });
  return make("div", { class: "code" }, make("div", { class: "code-head" }, make("span", { class: "note" }, language), copy), make("pre", { tabindex: "0" }, code));
}

// `place` is what shows the text: it is selected where the browser lets no page write to the clipboard.
export async function copyText(text, place) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
  } catch {
    getSelection().selectAllChildren(place);
    announce("The text is selected; copy it with the keyboard.");
  }
}
