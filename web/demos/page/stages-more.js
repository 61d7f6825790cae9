// What stands on the cards of the chat, the feed and the visitor.
import * as chat from "../chat.js";
import * as feed from "../feed.js";
import * as visitor from "../visitor.js";
import { ask } from "./ask.js";
import { Card } from "./card.js";
import { addLine } from "./stages.js";

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
