// What stands on the card of the visitor.
import * as visitor from "../visitor.js";
import { ask } from "./ask.js";
import { Card } from "./card.js";

const SAID = {
  "cookie": "Your cookie came along.",
  "no cookie": "No cookie came along.",
  "refused": "Refused: the answer does not let this page read it, so the browser closed the stream.",
};

export function visitorCard(neighbour) {
  const choice = () => card.element.querySelector("input[name=visit]:checked").value;
  let given = false;
  const card = new Card("visitor", {
    streams: 0, // of this host
    start: (part) => {
      part("said").textContent = "";
      const withCredentials = choice() !== "without";
      const path = choice() === "anyone" ? "/demo/visitor/anyone" : "/demo/visitor";
      return [visitor.start(neighbour + path, withCredentials, (text) => {
        const withheld = text === "no cookie" && withCredentials && given
          ? " The browser withheld it, though the stream has credentials: it keeps the cookies of other sites from this page."
          : "";
        part("said").textContent = SAID[text] + withheld;
      })];
    },
  });
  card.part("origin").textContent = neighbour ?? "none";
  const cookieUrl = `${neighbour}/demo/visitor/cookie`;
  card.part("give").addEventListener("click", async () => {
    await ask(card.part("answer"), () => visitor.cookie(cookieUrl, "POST"), "The other origin sent its cookie. It comes along with credentials, and not without.");
    given = !card.part("answer").classList.contains("bad");
    if (card.run) card.start(); // a cookie goes along with a request, so it takes another one
  });
  card.part("take").addEventListener("click", async () => {
    given = false;
    await ask(card.part("answer"), () => visitor.cookie(cookieUrl, "DELETE"), "The other origin took its cookie back.");
    if (card.run) card.start();
  });
  for (const radio of card.element.querySelectorAll("input[name=visit]")) {
    radio.addEventListener("change", () => { if (card.run) card.start(); });
  }
  if (!neighbour) {
    for (const control of card.element.querySelectorAll("button, input")) control.disabled = true;
    card.part("why").textContent = "This hub has no second name as seen from here, and so no other "
      + "origin. Open the page at the hub's own port, at http://127.0.0.1 or http://localhost, or "
      + "for a hub that listens on IPv6 alone at http://[::1].";
  }
  return card;
}
