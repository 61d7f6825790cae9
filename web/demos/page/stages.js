// What stands on the cards of the clock, the list, the heartbeat, the counter and the talk.
import * as clock from "../clock.js";
import * as counter from "../counter.js";
import * as heartbeat from "../heartbeat.js";
import * as list from "../list.js";
import * as talk from "../talk.js";
import { ask } from "./ask.js";
import { Card } from "./card.js";
import { addLine } from "./lines.js";

export function clockCard() {
  return new Card("clock", {
    start: (part) => [clock.start((time) => { part("time").textContent = time; })],
  });
}

export function listCard() {
  let count = 0;
  const card = new Card("list", {
    start: (part) => {
      part("list").replaceChildren();
      return [list.start(part("list"))];
    },
  });
  card.part("publish").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = card.part("text").value.trim() || `line ${++count}`;
    card.part("text").value = "";
    const done = card.run ? "" : "Published. Nobody on this page follows: start the demo to see the next one.";
    ask(card.part("answer"), () => list.publish(text), done);
  });
  new MutationObserver(() => { card.part("list").scrollTop = card.part("list").scrollHeight; })
    .observe(card.part("list"), { childList: true });
  return card;
}

export function heartbeatCard() {
  const words = { alive: "alive", silent: "silent for three seconds" };
  let beats = 0;
  const show = (state) => {
    if (!card.run) return;
    beats = state === "alive" ? beats + 1 : 0;
    const [lamp, word] = [card.part("lamp"), card.part("word")];
    lamp.dataset.beat = state === "alive" ? beats % 2 : "none";
    // Said when it changes, not with every beat.
    if (word.textContent === words[state]) return;
    word.textContent = words[state];
    if (state === "alive") card.part("answer").textContent = "";
  };
  const card = new Card("heartbeat", {
    start: () => [heartbeat.start(show)],
    stopped: () => {
      card.part("lamp").dataset.beat = "off";
      card.part("word").textContent = "not listening";
    },
  });
  card.part("pause").addEventListener("click", () => ask(card.part("answer"),
    () => fetch("/demo/heartbeat/pause", { method: "POST" }),
    "The hub's heartbeat pauses for six seconds. The connection stays open all the while."));
  return card;
}

export function counterCard() {
  return new Card("counter", {
    start: (part) => {
      part("log").replaceChildren();
      return [counter.start((text, note) => addLine(part("log"), text, note))];
    },
  });
}

export function talkCard() {
  return new Card("talk", {
    start: async (part) => {
      const log = part("log");
      log.replaceChildren();
      const source = await talk.start((text) => addLine(log, `readyState ${source.readyState}`, text));
      source.addEventListener("open", () => addLine(log, "readyState 1", "The stream is open."));
      return [source];
    },
  });
}
