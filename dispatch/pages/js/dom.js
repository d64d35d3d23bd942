/** Making and changing elements, as little as possible of it. */

/**
 * An element: `el("td", {class: "x", "aria-label": "y", onclick: f}, "text", child)`.
 * Attributes that are null or false are left out; on... are listeners; text is text, never HTML.
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return made;
}

/** Set a text if it is another one: what did not change is not touched. */
export function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

/** Set or remove an attribute if it is another one. */
export function attribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

export const byId = (id) => document.getElementById(id);

/** Call at most once in `ms`, the last call always. */
export function debounce(work, ms) {
  let timer = 0;
  let last = 0;
  return () => {
    clearTimeout(timer);
    const wait = Math.max(0, last + ms - performance.now());
    timer = setTimeout(() => { last = performance.now(); work(); }, wait);
  };
}
