// The files of a message: pictures are shown, others can be saved. Both are asked for with the key, so no address does.

import { button, make } from "./dom.js";
import { isPicture, pictureType } from "./text.js";

// A list of paths, or the JSON of one, as lists of messages have it.
export function pathsOf(files) {
  try {
    const found = typeof files === "string" ? JSON.parse(files || "[]") : files;
    return Array.isArray(found) ? found.map((one) => one?.path ?? one).filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

export function filesOf(files, actions) {
  return pathsOf(files).map((path) => {
    const name = path.split("/").at(-1);
    return isPicture(name) ? picture(path, name, actions) : button(name, () => save(path, name, actions), { class: "file", title: `Save ${name}` });
  });
}

// A picture is asked for when it comes into view: a long conversation may have many.
function picture(path, name, actions) {
  const image = make("img", { alt: name, class: "picture" });
  const seen = new IntersectionObserver(async ([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    seen.disconnect();
    try {
      const content = new Blob([await actions.file(path)], { type: pictureType(name) });
      image.src = URL.createObjectURL(content);
      await image.decode();
      actions.grown();
    } catch {
      image.replaceWith(make("span", { class: "note" }, `${name} cannot be shown.`));
    }
  });
  seen.observe(image);
  return image;
}

async function save(path, name, actions) {
  const content = await actions.file(path).catch(() => null);
  if (content) saveAs(new Blob([content]), name);
  else actions.say(`${name} is no longer there.`);
}

export function saveAs(content, name) {
  const address = URL.createObjectURL(content);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
