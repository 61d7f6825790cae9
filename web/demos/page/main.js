// Brings the page to life. The clock runs by itself, the others when they are started.
import { chatCard } from "./chat-card.js";
import { feedCard } from "./feed-card.js";
import { clockCard, counterCard, heartbeatCard, listCard, talkCard } from "./stages.js";
import { visitorCard } from "./visitor-card.js";

const cards = [listCard(), heartbeatCard(), chatCard(), counterCard(), feedCard(), talkCard()];
const clock = clockCard();
cards.push(clock);
clock.start();

// A page that the browser keeps to come back to must not keep its connections from others.
addEventListener("pagehide", () => cards.forEach((card) => card.stop()));
addEventListener("pageshow", (event) => { if (event.persisted) clock.start(); });

// Last, for it may wait for the hub to say which other origin it has.
const facts = await fetch("/demo").then((response) => response.json()).catch(() => ({}));
cards.push(visitorCard(facts.neighbour));
