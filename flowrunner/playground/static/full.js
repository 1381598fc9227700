// The whole window for one part of the page; Escape gives it back.

import { make } from "./dom.js";

// `trigger` is the button that does it: it closes the window, too, and has the focus again afterwards.
export function fillWindow(element, label, trigger, focus) {
  const open = element.closest("dialog.full");
  if (open) {
    open.close();
    return;
  }
  const place = make("div", {});
  const word = trigger.textContent;
  element.replaceWith(place);
  const dialog = make("dialog", { class: "full", "aria-label": label }, element);
  document.body.append(dialog);
  trigger.textContent = "Close";
  dialog.addEventListener("close", () => {
    place.replaceWith(element);
    dialog.remove();
    trigger.textContent = word;
    trigger.focus();
  });
  dialog.showModal();
  focus.focus();
}
