// The list of events: what of the history is shown, newest first, and the keys that walk through it.

import { count, element, many, write } from "./element.js";
import { painter } from "./draw.js";
import { History, ROWS_MAX } from "./history.js";
import { describe, newRow } from "./row.js";

const history = new History();
let paused = null; // the items that stay while paused, and how many events had been heard
let filter = "";
let current = null; // the row that Tab goes to

// How many rows are made in a frame: a flood is shown over several, and most of it never is.
const NEW_ROWS_MAX = 40;

const draw = painter(paint);

export const list = {
  draw,
  add(item, after) { history.add(item, after); draw(); },
  revise(item) {
    item.text = null;
    if (!item.row) return;
    describe(item.row, item);
    if (filter) draw();
  },
  clear() {
    if (paused) history.release(paused.items);
    history.clear();
    if (paused) paused = { items: [], heard: 0 };
    draw();
  },
};

// What a filter looks through.
const textOf = (item) => item.text ??= [item.type, item.topics?.join(" "), item.id, item.data].join("\n").toLowerCase();

function shown() {
  const items = paused?.items ?? history.items;
  return filter ? items.filter((item) => textOf(item).includes(filter)) : items;
}

function paint() {
  const ol = element("events");
  const items = shown();
  const [rows, drawn] = [new Set(), []];
  let more = NEW_ROWS_MAX;
  for (const item of items.toReversed()) {
    if (!item.row && --more < 0) continue;
    drawn.push(item);
    rows.add(item.row ??= newRow(item));
  }
  const focused = ol.contains(document.activeElement) ? document.activeElement.closest("li") : null;
  // No row that stays is moved, or it would lose the focus.
  for (const row of [...ol.children]) if (!rows.has(row)) row.remove();
  let next = null;
  for (const { row } of drawn.reverse()) {
    if (row.parentNode !== ol) ol.insertBefore(row, next);
    next = row;
  }
  if (more < 0) draw();
  if (focused && !focused.isConnected) ol.firstElementChild?.focus();
  // Out of the list, Tab comes to the newest.
  enter(document.activeElement.closest("#events > li") ?? ol.firstElementChild);
  summarize(items.length);
}

function summarize(rows) {
  const missed = paused ? history.heard - paused.heard : 0;
  write(element("count"), count(history.heard));
  write(element("pause"), paused ? `Resume (${count(missed)} new)` : "Pause");
  const kept = (paused?.items ?? history.items).length;
  const parts = [];
  if (paused) parts.push("Paused: the list stays as it is, and events are counted.");
  if (filter) parts.push(`${many(rows, "event")} of ${count(kept)} match.`);
  if (!paused && history.heard > kept) parts.push(`The newest ${count(kept)} of ${count(history.heard)} are shown${kept < ROWS_MAX ? ": they are long" : ""}.`);
  write(element("shown"), parts.join(" "));
  element("empty").hidden = history.heard > 0;
}

// Makes a row the one that Tab goes to, and its buttons the next.
function enter(row) {
  if (row === current) { if (row) row.tabIndex = 0; return; }
  for (const [node, index] of [[current, -1], [row, 0]]) {
    if (!node) continue;
    node.tabIndex = index;
    for (const button of node.querySelectorAll("button")) button.tabIndex = index;
  }
  current = row;
}

const STEPS = {
  ArrowDown: (row) => row.nextElementSibling,
  ArrowUp: (row) => row.previousElementSibling,
  Home: (row) => row.parentNode.firstElementChild,
  End: (row) => row.parentNode.lastElementChild,
};

// `why` is asked about an item.
export function startList(why) {
  const ol = element("events");
  ol.addEventListener("focusin", (event) => enter(event.target.closest("li")));
  ol.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.target.matches("pre.whole")) return;
    event.preventDefault();
    step(event.target.closest("li"))?.focus();
  });
  ol.addEventListener("click", (event) => {
    if (!event.target.matches(".why")) return;
    const row = event.target.closest("li");
    const item = shown().find((item) => item.row === row);
    if (item) why(item);
  });
  element("pause").addEventListener("click", () => {
    if (paused) history.release(paused.items);
    paused = paused ? null : { items: history.hold(), heard: history.heard };
    element("pause").setAttribute("aria-pressed", Boolean(paused));
    draw();
  });
  element("clear").addEventListener("click", list.clear);
  element("filter").addEventListener("input", () => {
    filter = element("filter").value.trim().toLowerCase();
    draw();
  });
  draw();
}
