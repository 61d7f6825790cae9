// The table of topics.

import { count } from "./element.js";
import { Table } from "./table.js";

const rate = (number) => number === undefined ? "–" : number.toLocaleString("en", { maximumFractionDigits: 1 });

// `follow` is told a topic that was pressed.
export const showTopics = (follow) => new Table("topics", {
  path: "/topics",
  member: "topics",
  key: ({ topic }) => topic,
  columns: [
    { title: "Topic", cell: ({ topic }) => topic, press: ({ topic }) => follow(topic) },
    { title: "Events kept", number: true, cell: ({ records }) => count(records) },
    { title: "Events a second", number: true, cell: ({ events_per_second }) => rate(events_per_second) },
    { title: "Followed by name", number: true, cell: ({ subscribers }) => count(subscribers) },
    { title: "State", cell: ({ ended }) => ended ? "ended" : "open" },
  ],
  look: ({ ended }) => ended ? "over" : "",
  empty: "No topic has events yet. Publish one.",
  absent: "This hub does not offer a list of topics.",
});
