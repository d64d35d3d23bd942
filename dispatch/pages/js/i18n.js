/** Words in two languages.  A key without a word is a mistake, and shows itself. */

/** @typedef {"zh" | "en"} Language */
/** @typedef {Record<string, string>} Table */
/** @typedef {(key: string, values?: Record<string, string | number>) => string} Say */

/** The page's language, as theme.js set it before anything was drawn. @returns {Language} */
export function language() {
  return document.documentElement.lang.startsWith("zh") ? "zh" : "en";
}

/** Choose another one for this browser. @param {Language} chosen */
export function choose(chosen) {
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  keep("language", chosen);
}

/** Let a button, in its own words, lead to the other language. @param {HTMLElement} button */
export function leadToOther(button) {
  const other = language() === "zh" ? "en" : "zh";
  button.textContent = other === "en" ? "English" : "中文";
  button.lang = other === "en" ? "en" : "zh-CN";
  button.addEventListener("click", () => { choose(other); location.reload(); });
}

/** Keep a small choice of this browser; a browser that keeps nothing is fine. */
export function keep(name, value) {
  try { localStorage.setItem(`lastgasp-${name}`, value); } catch { /* private mode */ }
}

/** A choice kept before, or null. @param {string} name */
export function kept(name) {
  try { return localStorage.getItem(`lastgasp-${name}`); } catch { return null; }
}

/**
 * The words of a language out of tables `{zh: {...}, en: {...}}`, later ones over earlier ones.
 * `{name}` in a word is filled with the value of that name; `{n:home|homes}` with the number and the
 * form that goes with it in the language.
 * @param {Language} of @param {...{zh: Table, en: Table}} tables @returns {Say}
 */
export function words(of, ...tables) {
  const all = Object.assign({}, ...tables.map((table) => table[of]));
  return (key, values = {}) => {
    const word = all[key];
    if (word === undefined) return `[${key}]`;
    return word.replace(/\{(\w+):([^|}]*)\|([^}]*)\}/g, (_, name, one, many) => `${values[name] ?? `[${name}]`} ${isOne(of, values[name]) ? one : many}`).replace(/\{(\w+)\}/g, (_, name) => (name in values ? String(values[name]) : `[${name}]`));
  };
}

/** Whether a count, maybe written out as 1,200, takes the singular. */
function isOne(of, count) {
  return new Intl.PluralRules(of).select(Number(String(count).replaceAll(",", ""))) === "one";
}

/** Fill every `data-say` (text), `data-say-label` and `data-say-placeholder` below a node.
 * @param {ParentNode} root @param {Say} say */
export function fill(root, say) {
  for (const each of root.querySelectorAll("[data-say]")) each.textContent = say(each.dataset.say);
  for (const each of root.querySelectorAll("[data-say-label]")) {
    each.setAttribute("aria-label", say(each.dataset.sayLabel));
    if (each.hasAttribute("title")) each.setAttribute("title", say(each.dataset.sayLabel));
  }
  for (const each of root.querySelectorAll("[data-say-placeholder]")) {
    each.setAttribute("placeholder", say(each.dataset.sayPlaceholder));
  }
}
