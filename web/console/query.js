// From the forms to the URLs they stand for.

import { element } from "./element.js";

// A line with * or /:name is a pattern, unless it was chosen as a topic that has this name.
const PATTERN = /[*{(]|(^|\/):[A-Za-z_]/;
let chosen = null;

// Puts a topic into the form, alone.
export function choose(topic) {
  element("topics").value = chosen = topic;
}

export function eventsQuery() {
  const query = new URLSearchParams();
  for (const line of element("topics").value.split("\n").map((l) => l.trim()).filter(Boolean)) {
    query.append(PATTERN.test(line) && line !== chosen ? "pattern" : "topic", line);
  }
  if (element("earliest").checked) query.append("last_event_id", "earliest");
  return query;
}

// Segment by segment, so that the slashes of a topic stay what they are; but whole if the browser would
// resolve its dots.
export function topicUrl(topic) {
  const segments = topic.split("/");
  const dots = segments.some((segment) => segment === "." || segment === "..");
  return "/events/" + (dots ? encodeURIComponent(topic) : segments.map(encodeURIComponent).join("/"));
}

export function publishUrl() {
  const query = new URLSearchParams();
  for (const [name, field] of [["event", "type"], ["id", "id"], ["retry", "retry"]]) {
    if (element(field).value) query.append(name, element(field).value);
  }
  for (const name of ["ephemeral", "private"]) if (element(name).checked) query.append(name, "on");
  return topicUrl(element("topic").value) + (query.size ? "?" + query : "");
}

export const publishHeaders = () => element("key").value ? { "Idempotency-Key": element("key").value } : {};
