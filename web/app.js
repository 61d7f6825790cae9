"use strict";
const element = (id) => document.getElementById(id);
const ROWS_MAX = 500;
const STATES = ["connecting", "open", "closed"];
let source = null;
let count = 0;

// The query of /events for the lines of the form: a line with * or :name is a pattern.
function eventsUrl() {
  const query = new URLSearchParams();
  for (const line of element("topics").value.split("\n").map((l) => l.trim()).filter(Boolean)) {
    query.append(/[*{(]|:[A-Za-z_]/.test(line.replace(/^[a-z]+:\/\//, "")) ? "pattern" : "topic", line);
  }
  if (element("earliest").checked) query.append("last_event_id", "earliest");
  return "/events?" + query;
}

function showState() {
  const state = source ? source.readyState : 2;
  element("dot").dataset.state = state;
  element("state").textContent = STATES[state];
}

// Short JSON stays on its line.
function pretty(data) {
  if (data.length < 60 || !/^\s*[{[]/.test(data)) return data;
  try { return JSON.stringify(JSON.parse(data), null, 2); } catch { return data; }
}

function part(row, tag, name, text) {
  const node = row.appendChild(document.createElement(tag));
  node.className = name;
  node.textContent = text;
  return node;
}

function show(event) {
  element("lastid").textContent = event.lastEventId || "none";
  if (event.type === "tidings.cursor") return;
  const row = document.createElement("li");
  row.className = event.type === "tidings.gap" ? "new gap" : "new";
  part(row, "span", "type", event.type);
  part(row, "span", "id", event.lastEventId);
  const now = new Date();
  const time = part(row, "time", "", now.toLocaleTimeString());
  time.dateTime = now.toISOString();
  part(row, "pre", "data", pretty(event.data));
  const list = element("events");
  list.prepend(row);
  while (list.children.length > ROWS_MAX) list.lastElementChild.remove();
  element("count").textContent = ++count;
  element("empty").hidden = true;
}

function follow() {
  source?.close();
  const url = eventsUrl();
  source = new EventSource(url);
  source.onopen = showState;
  source.onerror = showState;
  const types = element("types").value.split(/[\s,]+/).filter(Boolean);
  for (const type of new Set(["message", "tidings.cursor", "tidings.gap", ...types])) {
    source.addEventListener(type, show);
  }
  const full = location.origin + url;
  element("snippet").textContent =
    `const source = new EventSource(\n  "${full}");\n` +
    `source.onmessage = (event) =>\n  console.log(event.data);\n\n` +
    `curl -N '${full}'\n\n` +
    `curl -d 'Hello!' ${location.origin}/events/demo`;
  showState();
}

element("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  follow();
});
element("close").addEventListener("click", () => {
  source?.close();
  showState();
});
element("clear").addEventListener("click", () => {
  element("events").replaceChildren();
  element("count").textContent = count = 0;
  element("empty").hidden = false;
});
element("publish").addEventListener("submit", async (event) => {
  event.preventDefault();
  const topic = element("topic").value.split("/").map(encodeURIComponent).join("/");
  const query = new URLSearchParams();
  if (element("type").value) query.append("event", element("type").value);
  const answer = element("answer");
  try {
    const response = await fetch(`/events/${topic}?${query}`, { method: "POST", body: element("data").value });
    const body = await response.json();
    answer.classList.toggle("bad", !response.ok);
    answer.textContent = response.ok ? `Published as ${body.id}` : body.detail || body.title;
  } catch (error) {
    answer.classList.add("bad");
    answer.textContent = `Not published: ${error.message}. Is the hub running?`;
  }
});

follow();
