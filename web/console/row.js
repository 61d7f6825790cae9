// A row of the list: one event.

import { add, count } from "./element.js";
import { gapInWords } from "./gap.js";

const [SHORT_CHARS, SHORT_LINES] = [600, 12];

// Short JSON stays on its line.
function pretty(data) {
  if (data.length < 60 || !/^\s*[{[]/.test(data)) return data;
  try { return JSON.stringify(JSON.parse(data), null, 2); } catch { return data; }
}

// Long data is shown by its beginning, with a button for the rest.
function addData(row, text) {
  const short = text.split("\n", SHORT_LINES).join("\n").slice(0, SHORT_CHARS);
  const data = add(row, "pre", "data", text);
  if (short.length === text.length) return;
  const button = add(row, "button", "more plain small", "");
  Object.assign(button, { type: "button", tabIndex: -1 });
  const show = (all) => {
    data.textContent = all ? text : short + "…";
    data.classList.toggle("whole", all);
    data.tabIndex = all ? 0 : -1; // shown whole it may scroll, and then the keyboard must reach it
    button.setAttribute("aria-expanded", all);
    button.textContent = all ? "Show less" : `Show all ${count(text.length)} characters`;
    button.onclick = () => show(!all);
  };
  show(false);
}

export function newRow(item) {
  const row = document.createElement("li");
  const gap = item.type === "tidings.gap";
  row.className = gap ? "new gap" : "new";
  row.tabIndex = -1;
  row.addEventListener("animationend", () => row.classList.remove("new"));
  const head = add(row, "div", "rowhead", "");
  add(head, "span", "type", item.type);
  add(head, "span", "topics", "");
  add(head, "span", "mark", "ephemeral").title = "Live only: it is not kept and has no id, so whoever was away does not get it.";
  add(head, "time", "", "");
  if (gap) add(row, "p", "words", gapInWords(item.data));
  addData(row, pretty(item.data));
  const foot = add(row, "div", "rowfoot", "");
  const id = add(foot, "span", "id", "");
  id.title = item.id;
  if (!gap) {
    const why = add(foot, "button", "why plain small", "Why?");
    Object.assign(why, { type: "button", tabIndex: -1, title: "Why did a subscriber get this event, or not?" });
  }
  describe(row, item);
  return row;
}

// Shows what only the second stream tells.
export function describe(row, item) {
  const [type, topics, mark, time] = row.firstChild.children;
  topics.textContent = topics.title = item.topics?.join(", ") ?? "";
  mark.hidden = !item.ephemeral;
  const foot = row.lastChild;
  foot.firstChild.textContent = item.ephemeral ? "no id of its own: the last event id stays as it was" : item.id;
  if (foot.children[1]) foot.children[1].hidden = Boolean(item.ephemeral) || !item.id;
  const when = new Date(item.time ?? item.arrived);
  const today = when.toDateString() === new Date().toDateString();
  time.dateTime = when.toISOString();
  time.title = (item.time ? "published " : "arrived ") + when.toLocaleString();
  time.textContent = (item.time || type.textContent === "tidings.gap" ? "" : "arrived ") + (today ? when.toLocaleTimeString() : when.toLocaleString());
}
