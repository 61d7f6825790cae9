// What stands on the card of the chat.
import * as chat from "../chat.js";
import { ask } from "./ask.js";
import { Card } from "./card.js";
import { addLine } from "./lines.js";

export function chatCard() {
  const people = new Map();
  const tell = { join: "came in", leave: "left" };
  const enter = (name) => {
    const log = card.part(`${name}-log`);
    const person = chat.join(name, (type, { name: who, text }) =>
      addLine(log, `${who}`, type === "message" ? `${text}` : tell[type]));
    people.set(name, person);
    showDoors();
    return person.source;
  };
  const isIn = (name) => people.has(name) && people.get(name).source.readyState !== EventSource.CLOSED;
  const showDoors = () => {
    for (const name of ["Ann", "Bob"]) {
      card.part(`${name}-door`).textContent = isIn(name) || !card.run ? "Leave" : "Come back";
      card.part(`${name}-door`).disabled = !card.run;
    }
  };
  const card = new Card("chat", {
    streams: 2,
    start: () => {
      for (const name of ["Ann", "Bob"]) card.part(`${name}-log`).replaceChildren();
      return ["Ann", "Bob"].map(enter);
    },
    stopped: () => {
      for (const person of people.values()) person.leave();
      people.clear();
      showDoors();
    },
  });
  showDoors();
  for (const name of ["Ann", "Bob"]) {
    card.part(`${name}-form`).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = card.part(`${name}-text`);
      const said = text.value.trim();
      if (!isIn(name)) {
        card.part("answer").textContent = `${name} is not in the room and cannot speak.`;
      } else if (said) {
        ask(card.part("answer"), () => people.get(name).say(said));
        text.value = "";
      }
    });
    card.part(`${name}-door`).addEventListener("click", () => {
      if (!isIn(name)) return card.add(enter(name));
      people.get(name).leave();
      card.changed(card.run);
      showDoors();
    });
  }
  return card;
}
