// The table of subscribers.

import { count, span } from "./element.js";
import { Table } from "./table.js";

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, number)) / 10));
  return `${(number / 1024 ** unit).toFixed(unit && number / 1024 ** unit < 10 ? 1 : 0)} ${units[unit]}`;
}

const STATES = { live: "live", replaying: "replaying history", resolving: "finding its place", closed: "closed" };

function time({ opened_ms, closed_ms }) {
  const now = Date.now();
  return closed_ms ? `left ${span(now - closed_ms)} ago, after ${span(closed_ms - opened_ms)}` : `for ${span(now - opened_ms)}`;
}

// `own` answers the names of this page's streams.
export const showSubscribers = (own) => new Table("subscribers", {
  path: "/subscribers",
  member: "subscribers",
  key: ({ subscriber, opened_ms, peer }) => `${subscriber}\n${opened_ms}\n${peer}`,
  columns: [
    { title: "Subscriber", cell: ({ subscriber }) => subscriber + (own().has(subscriber) ? " (this page)" : "") },
    { title: "State", cell: ({ state }) => STATES[state] ?? state },
    { title: "Lag", number: true, cell: ({ lag }) => lag == null ? "–" : count(lag) },
    { title: "Events", number: true, cell: ({ events }) => count(events) },
    { title: "Sent", number: true, cell: (entry) => bytes(entry.bytes) },
    { title: "Connected", cell: time },
    { title: "Follows", cell: ({ topics, patterns }) => [...topics, ...patterns].join(", ") },
  ],
  look: ({ state }) => state === "closed" ? "over" : "",
  empty: "Nobody follows.",
  absent: "This hub does not offer a list of subscribers.",
});
