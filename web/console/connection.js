// The connection, in words and figures.

import { NO_ROOM } from "./ask.js";
import { painter } from "./draw.js";
import { count, element, span, write } from "./element.js";

const PATIENCE_MS = 5_000;
const NOTHING = {
  open: "Nothing yet. Publish something, and it appears here.",
  closed: "Nothing is followed: press Follow, and what is published then appears here.",
};
const WORDS = ["CONNECTING", "OPEN", "CLOSED"];

// Answers a function that shows the state of what `following()` is.
export const connectionOf = (following) => painter(() => show(following()));

function show(now) {
  const ready = now?.source.readyState ?? EventSource.CLOSED;
  for (const dot of document.querySelectorAll(".dot")) dot.dataset.state = ready;
  write(element("state"), now?.state ?? "closed");
  write(element("ready-state"), `readyState ${ready}, ${WORDS[ready]}`);
  write(element("story"), story(now));
  write(element("refused"), now?.over?.refused ? `Not following: ${now.over.refused}` : "");
  write(element("empty"), NOTHING[!now || ready === EventSource.CLOSED ? "closed" : "open"]);
  write(element("lastid"), now?.lastId || "none");
  write(element("alive"), alive(now));
  write(element("reconnects"), count(Math.max(0, (now?.opened ?? 0) - 1)));
  write(element("url"), now?.url ?? "none");
  write(element("learning"), now?.learning ?? "");
  write(element("heard"), [...now?.types ?? []].filter((type) => !type.startsWith("tidings.")).join(", "));
}

function alive(now) {
  if (now?.heardAt == null) return "none yet";
  const ago = performance.now() - now.heardAt;
  return ago < 1_500 ? "just now" : `${span(ago)} ago`;
}

function story(now) {
  if (!now) return "Not following.";
  const waited = performance.now() - now.since;
  const stuck = waited > PATIENCE_MS ? ` No answer for ${span(waited)}. ${NO_ROOM}` : "";
  const place = now.lastId ? `what came after ${now.lastId}` : "what is new";
  switch (now.state) {
    case "connecting": return "Connecting to the hub…" + stuck;
    case "open": return `Connected: events arrive as they are published. If the connection breaks, the browser comes back by itself and asks for ${place}.`;
    case "reconnecting": return `Reconnecting: the connection broke. The browser tries again by itself, and asks for ${place}.` + stuck;
    case "ended": return now.over.ended;
    default: return now.over ? "Closed: the hub refused the stream." : "Closed. Press Follow to open the stream.";
  }
}
