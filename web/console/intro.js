// The strip that explains, until it is dismissed; a button in the header brings it back.

import { element } from "./element.js";

const KEY = "tidings-intro";

// Pages may be denied a store: then it shows each time.
function recall() { try { return localStorage.getItem(KEY); } catch { return null; } }
function remember(value) { try { localStorage.setItem(KEY, value); } catch { /* as above */ } }

export function startIntro() {
  const show = (seen) => {
    element("intro").hidden = !seen;
    element("how").setAttribute("aria-expanded", seen);
  };
  const choose = (seen) => { show(seen); remember(seen ? "shown" : "dismissed"); };
  element("how").addEventListener("click", () => choose(element("intro").hidden));
  element("dismiss").addEventListener("click", () => { choose(false); element("how").focus(); });
  show(recall() !== "dismissed");
}
