// What stands on the card of the feed.
import * as feed from "../feed.js";
import { ask } from "./ask.js";
import { Card } from "./card.js";
import { addLine } from "./lines.js";

const REASONS = {
  trimmed: "the hub no longer keeps all that came since; what is left follows",
  unknown_id: "the hub does not know the last id; the store was emptied and is filled anew",
  other_epoch: "the hub began a new history; the store was emptied and is filled anew",
  ahead: "the last id is newer than the hub's history; the store was emptied and is filled anew",
};

export function feedCard() {
  let [kept, asked, repeats, count] = [0, "", 0, 0];
  const report = () => {
    card.part("report").textContent = `Restored ${kept} from the store, ${repeats} asked again.`;
    card.part("asked").textContent = asked === "earliest"
      ? "The store was empty, so the hub was asked for all there is."
      : `The hub was asked for what came after ${asked}, and for nothing before.`;
  };
  const add = (text, from) => addLine(card.part("log"), from, text);
  const card = new Card("feed", {
    start: async () => [await feed.start({
      restored: (news, last) => {
        [kept, asked, repeats] = [news.length, last, 0];
        card.part("log").replaceChildren();
        card.part("gap").textContent = "";
        for (const { text } of news) add(text, "store");
        report();
      },
      arrived: (text) => add(text, "hub"),
      repeated: () => { repeats += 1; report(); },
      gap: (reason) => {
        if (reason !== "trimmed") card.part("log").replaceChildren();
        card.part("gap").textContent = `Gap: ${REASONS[reason] ?? reason}.`;
      },
    })],
  });
  card.part("publish").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = card.part("text").value.trim()
      || `News ${++count} of ${new Date().toLocaleTimeString()}`;
    card.part("text").value = "";
    ask(card.part("answer"), () => fetch("/events/demo/news", { method: "POST", body: text }));
  });
  card.part("forget").addEventListener("click", () => {
    card.stop();
    const deleting = indexedDB.deleteDatabase("tidings-demo");
    deleting.onsuccess = () => {
      card.part("log").replaceChildren();
      card.part("report").textContent = "The store is empty.";
      card.part("asked").textContent = "";
    };
  });
  return card;
}
