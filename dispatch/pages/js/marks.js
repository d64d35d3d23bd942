/** The marks of the states: drawn shapes, so that colour is never all there is. */

const SHAPES = {
  out: '<circle cx="6" cy="6" r="5.5" fill="currentColor"/>',
  partly: '<circle cx="6" cy="6" r="5" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M6 1a5 5 0 0 0 0 10z" fill="currentColor"/>',
  predicted: '<circle cx="6" cy="6" r="5" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2.2 1.7"/><path d="M4.4 4.6a1.6 1.6 0 1 1 2.3 1.5c-.5.3-.7.5-.7 1.1M6 8.6v.9" fill="none" stroke="currentColor" stroke-width="1.2"/>',
  planned: '<path d="M6 .5 11.5 6 6 11.5.5 6z" fill="currentColor"/>',
  restored: '<path d="m1.5 6.5 3 3 6-7" fill="none" stroke="currentColor" stroke-width="2.2"/>',
  unknown: '<rect x="1" y="1" width="10" height="10" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M1.5 6.5l5-5M1.5 10.5l9-9M5.5 10.5l5-5" stroke="currentColor" stroke-width="1"/>',
};

/** The mark of a state, an element; the word beside it says the same. @param {string} name */
export function mark(name) {
  const made = document.createElement("span");
  made.className = `mark ${name}`;
  made.setAttribute("aria-hidden", "true");
  const svg = new DOMParser().parseFromString(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 12 12">${SHAPES[name === "over" ? "restored" : name]}</svg>`,
    "image/svg+xml",
  ).documentElement;
  made.append(document.adoptNode(svg));
  return made;
}
