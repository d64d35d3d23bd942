/** The door: trade the link's code, and go where the signed-in person belongs. */

import { language, words } from "./i18n.js";
import { Away, SignedOut, codeOfAddress, session, signIn } from "./session.js";
import { askForCode, pageOf } from "./signin.js";
import { SHARED } from "./words/shared.js";

const say = words(language(), SHARED);

function go(who) {
  location.replace(pageOf(who.role));
}

async function enter() {
  const code = codeOfAddress();
  if (code) {
    try {
      return go(await signIn(code));
    } catch (error) {
      return go(await askForCode(say, { page: true, why: error instanceof Away ? "sign.away" : "sign.refused" }));
    }
  }
  for (const role of ["dispatcher", "crew", "customer"]) {
    try {
      return go(await session(role));
    } catch (error) {
      if (!(error instanceof SignedOut)) break;
    }
  }
  return go(await askForCode(say, { page: true, why: "sign.why" }));
}

document.title = `Lastgasp · ${say("sign.title")}`;
enter();
