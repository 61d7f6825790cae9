// "Why did it get this event, or not?": asks the hub about an event and a subscriber.

import { askJson } from "./ask.js";
import { add, element } from "./element.js";

const ABSENT = "This hub does not offer it.";

// Answers a function that opens the dialog for an item; `ownName` answers the name of this page.
export function startWhy(ownName) {
  const dialog = element("why");
  let id = "";
  element("why-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const subscriber = element("why-who").value;
    const place = element("why-answer");
    const asked = id;
    place.textContent = "Asking…";
    const query = new URLSearchParams({ event: id, subscriber });
    const { answer, trouble } = await askJson(`/debug/delivery?${query}`, ABSENT, (sentence) => { place.textContent = sentence; });
    if (asked !== id) return;
    place.replaceChildren();
    if (trouble) return void add(place, "p", "hint bad", trouble);
    add(place, "p", "verdict", String(answer.verdict).replaceAll("_", " "));
    add(place, "p", "", answer.explanation);
    if (answer.checks) add(place, "pre", "", JSON.stringify(answer.checks, null, 2)).tabIndex = 0;
  });
  return async (item) => {
    id = item.id;
    element("why-event").textContent = id;
    element("why-answer").replaceChildren();
    element("why-who").value ||= ownName();
    dialog.showModal();
    const { answer } = await askJson("/subscribers?limit=100", ABSENT);
    const names = new Set(answer?.subscribers.map(({ subscriber }) => subscriber));
    element("why-known").replaceChildren();
    for (const name of names) add(element("why-known"), "option", "", "").value = name;
  };
}
