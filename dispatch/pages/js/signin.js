/** The sign-in form: a page of its own, or a slip at the foot that leaves the view where it is. */

import { Away, codeOfAddress, session as whoAmI, signIn } from "./session.js";

/**
 * Ask for a code until one is good; resolves with who is signed in.
 * @param {import("./i18n.js").Say} say
 * @param {{page?: boolean, why?: string}} [how] `page`: nothing else is there to be seen
 */
export function askForCode(say, { page = false, why = "sign.over" } = {}) {
  document.querySelector(".sign-in")?.remove();
  const box = document.createElement("section");
  box.className = page ? "sign-in page" : "sign-in";
  box.setAttribute("aria-labelledby", "sign-title");
  const form = document.createElement("form");
  const title = document.createElement(page ? "h1" : "h2");
  title.id = "sign-title";
  title.textContent = say("sign.title");
  const text = document.createElement("p");
  text.textContent = say(why);
  text.setAttribute("role", "status");
  const label = document.createElement("label");
  const field = document.createElement("input");
  field.autocomplete = "off";
  field.spellcheck = false;
  field.required = true;
  label.append(say("sign.code"), field);
  const button = document.createElement("button");
  button.className = "main";
  button.textContent = say("sign.go");
  form.append(title, text, label, button);
  box.append(form);
  (page ? document.querySelector("main") || document.body : document.body).append(box);
  document.body.classList.toggle("signed-out", page);
  if (page) field.focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        const who = await signIn(field.value);
        box.remove();
        document.body.classList.remove("signed-out");
        resolve(who);
      } catch (error) {
        text.textContent = say(error instanceof Away ? "sign.away" : "sign.refused");
      } finally {
        button.disabled = false;
      }
    });
  });
}

/** The page of a role. @param {string} role */
export function pageOf(role) {
  return { customer: "/mine", crew: "/crew" }[role] ?? "/board";
}

/**
 * Who is signed in as the role that a page is for; whoever is not is asked for a code.  Null: another
 * role, which is sent to its own page.
 * @param {string} role @param {import("./i18n.js").Say} say
 */
export async function enterAs(role, say) {
  const code = codeOfAddress();
  let who;
  try {
    who = code ? await signIn(code) : await whoAmI(role);
  } catch {
    who = await askForCode(say, { page: true, why: code ? "sign.refused" : "sign.why" });
  }
  if (who.role === role) return who;
  location.replace(pageOf(who.role));
  return null;
}
