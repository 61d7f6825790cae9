// The page follows with an EventSource, which hears only the types it listens for and is told
// neither topics nor times. So a second stream, the same as NDJSON, tells those: it has every
// event in the same order, and what the EventSource does not hear is listed from there.
"use strict";
const element = (id) => document.getElementById(id);
const ROWS_MAX = 500;
// How far, in events, one stream may be ahead of the other before the second is given up.
const LEAD_MAX = 100_000;
const [SHORT_CHARS, SHORT_LINES] = [600, 12];
let [stream, count] = [null, 0];

// The query of /events for the lines of the form: a line with * or /:name is a pattern.
function eventsQuery() {
  const query = new URLSearchParams();
  for (const line of element("topics").value.split("\n").map((l) => l.trim()).filter(Boolean)) {
    query.append(/[*{(]|(^|\/):[A-Za-z_]/.test(line) ? "pattern" : "topic", line);
  }
  if (element("earliest").checked) query.append("last_event_id", "earliest");
  return query;
}

function publishUrl() {
  const [topic, type] = [element("topic").value.split("/").map(encodeURIComponent).join("/"), element("type").value];
  return `/events/${topic}` + (type ? "?" + new URLSearchParams({ event: type }) : "");
}

function showState() {
  const state = element("dot").dataset.state = stream ? stream.source.readyState : EventSource.CLOSED;
  element("state").textContent = ["connecting", "open", "closed"][state];
}
const showLastId = (id) => { element("lastid").textContent = element("lastid").title = id || "none"; };
function showCount() {
  element("count").textContent = count.toLocaleString("en") + (count > ROWS_MAX ? `, the newest ${ROWS_MAX} shown` : "");
  element("empty").hidden = count > 0;
}

function showCode() {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const url = `${location.origin}/events?${eventsQuery()}`;
  const type = JSON.stringify(element("type").value || "message");
  element("page-code").textContent =
    `const source = new EventSource(\n  ${JSON.stringify(url)});\n` +
    `source.addEventListener(${type}, (event) =>\n  console.log(event.data));`;
  // Not -d, which would take data that begins with @ for the name of a file.
  element("shell-code").textContent =
    `curl -N ${quoted(url)}\n\n` +
    `curl --data-raw ${quoted(element("data").value)} ${quoted(location.origin + publishUrl())}`;
}

function part(row, tag, name, text) {
  const node = row.appendChild(document.createElement(tag));
  node.className = name;
  node.textContent = text;
  return node;
}

// Short JSON stays on its line.
function pretty(data) {
  if (data.length < 60 || !/^\s*[{[]/.test(data)) return data;
  try { return JSON.stringify(JSON.parse(data), null, 2); } catch { return data; }
}

// Long data is shown by its beginning, with a button for the rest.
function addData(row, text) {
  const short = text.split("\n", SHORT_LINES).join("\n").slice(0, SHORT_CHARS);
  const data = part(row, "pre", "data", text);
  if (short.length === text.length) return;
  const button = Object.assign(part(row, "button", "more plain", ""), { type: "button" });
  const show = (all) => {
    data.textContent = all ? text : short + "…";
    data.classList.toggle("whole", all);
    data.tabIndex = all ? 0 : -1; // shown whole it may scroll, and then the keyboard must reach it
    button.setAttribute("aria-expanded", all);
    button.textContent = all ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`;
    button.onclick = () => show(!all);
  };
  show(false);
}

function newRow(type, id, data) {
  const row = document.createElement("li");
  const now = new Date();
  row.className = type === "tidings.gap" ? "new gap" : "new";
  part(row, "span", "type", type);
  part(row, "span", "topics", "");
  part(row, "time", "", "arrived " + now.toLocaleTimeString()).dateTime = now.toISOString();
  part(row, "span", "id", id).title = id;
  addData(row, pretty(data));
  return row;
}

// Adds what only the second stream tells.
function describe(row, { topics, time_ms }) {
  if (!row.firstChild) return;
  const [, named, time] = row.children;
  const when = new Date(time_ms);
  named.textContent = named.title = topics.join(", ");
  time.dateTime = when.toISOString();
  time.title = when.toLocaleString();
  time.textContent = when.toDateString() === new Date().toDateString() ? when.toLocaleTimeString() : time.title;
}
function insert(place) {
  const list = element("events");
  place(list);
  // Emptied too, as `behind` may hold it for long.
  for (let last; list.children.length > ROWS_MAX; last.remove()) (last = list.lastElementChild).replaceChildren();
  showCount(++count);
}
function startList() {
  element("events").replaceChildren();
  showCount(count = 0);
}

function listen(type) {
  if (stream.types.has(type)) return;
  stream.types.add(type);
  stream.source.addEventListener(type, hear);
  element("heard").textContent = [...stream.types].filter((t) => !t.startsWith("tidings.")).join(", ");
}
// An id alone does not tell events apart: a publisher may use one again.
const keyOf = (type, id) => `${type}\n${id}`;

// An event of the EventSource: a new row, unless the second stream was here before.
function hear(event) {
  if (!(event instanceof MessageEvent)) return; // of the type "error" or "open", and none of the hub's
  const { type, lastEventId: id, data } = event;
  showLastId(id);
  if (type.startsWith("tidings.") && stream.learning === undefined) learn(stream, id);
  if (type === "tidings.cursor") return;
  // Both streams have one order, so whatever the other listed before this one does not come here
  // any more; and if this one is not there, the other has not come to it.
  const at = stream.ahead.indexOf(keyOf(type, id));
  stream.ahead.splice(0, at < 0 ? stream.ahead.length : at + 1);
  if (at >= 0) return;
  const row = newRow(type, id, data);
  if (stream.learning) stream.behind.push({ key: keyOf(type, id), row });
  insert((list) => list.prepend(row));
}

// A line of the second stream: describes its row, or makes it, above that of the line before.
function read({ id, event: type, data, topics, time_ms }) {
  stream.from = id;
  const own = type.startsWith("tidings."); // of the hub, whose notices the EventSource hears itself
  const at = stream.behind.findIndex(({ key }) => key === keyOf(type, id));
  if (own && at < 0) return;
  const row = at < 0 ? newRow(type, id, data) : stream.behind.splice(at, 1)[0].row;
  if (!own) describe(row, { topics, time_ms });
  if (at < 0) {
    listen(type);
    stream.ahead.push(keyOf(type, id));
    insert((list) => stream.row?.isConnected ? stream.row.before(row) : list.append(row));
    if (row === element("events").firstElementChild) showLastId(id);
  }
  stream.row = row;
}

// Follows the second stream from `from` on for as long as the EventSource lives. A page out of
// sight leaves it: a browser has only six connections to a hub, for all its pages.
async function learn(mine, from) {
  const { source, query } = mine;
  const apart = () => Math.max(mine.ahead.length, mine.behind.length) > LEAD_MAX;
  Object.assign(mine, { learning: true, from });
  while (source.readyState !== EventSource.CLOSED && !apart()) {
    while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    if (source.readyState === EventSource.CLOSED) return;
    const connection = mine.connection = new AbortController();
    query.set("last_event_id", mine.from);
    try {
      const init = { headers: { Accept: "application/x-ndjson" }, signal: connection.signal };
      const response = await fetch("/events?" + query, init);
      if (!response.ok && response.status !== 503) break;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; response.ok && !apart();) {
        const { done, value } = await reader.read();
        if (done || connection.signal.aborted) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line) read(JSON.parse(line));
      }
    } catch { /* cut off: the loop goes on from the last id */ }
    connection.abort();
    // No knocking while the EventSource cannot reach the hub either.
    do await new Promise((wake) => setTimeout(wake, 1000)); while (source.readyState === EventSource.CONNECTING);
  }
  if (source.readyState === EventSource.CLOSED) return;
  Object.assign(mine, { learning: false, behind: [] });
  element("learning").textContent = "The second stream, which tells the others, is refused: name them above.";
}

// What a refusal says of itself.
const detail = (response) => response.json().then((problem) => problem.detail || problem.title);
// An EventSource does not tell why it was refused; the same request by fetch does.
async function reason(url) {
  const asking = new AbortController();
  try {
    const response = await fetch(url, { headers: { Accept: "text/event-stream" }, signal: asking.signal });
    return response.ok ? "the hub ended the stream, but would open it now." : await detail(response);
  } catch (error) {
    return `the stream was refused, and so was the question why (${error.message}).`;
  } finally { asking.abort(); }
}

function close() {
  stream?.source.close();
  stream?.connection?.abort();
  showState();
}
function follow() {
  close();
  startList();
  showLastId("");
  element("refused").textContent = "";
  element("learning").textContent = "This page learns new ones from a second stream, as NDJSON.";
  const query = eventsQuery();
  const source = new EventSource("/events?" + query);
  // `ahead`: keys that the second stream listed first. `behind`: rows it has not come to yet.
  const mine = stream = { source, query, types: new Set(), ahead: [], behind: [] };
  source.addEventListener("open", showState);
  source.addEventListener("error", async () => {
    showState();
    if (source.readyState !== EventSource.CLOSED) return;
    close();
    const why = await reason(source.url);
    if (mine === stream) element("refused").textContent = `Not following: ${why}`;
  });
  const types = element("types").value.split(/[\s,]+/).filter(Boolean);
  for (const type of ["tidings.cursor", "tidings.gap", "message", ...types]) listen(type);
  showState();
}

element("follow").addEventListener("submit", (event) => { event.preventDefault(); follow(); });
element("close").addEventListener("click", close);
element("clear").addEventListener("click", startList);
element("publish").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = element("answer");
  try {
    const response = await fetch(publishUrl(), { method: "POST", body: element("data").value });
    answer.classList.toggle("bad", !response.ok);
    answer.textContent = response.ok ? `Published as ${(await response.json()).id}` : await detail(response);
  } catch (error) {
    answer.className = "hint bad";
    answer.textContent = `Not published: ${error.message}. Is the hub running?`;
  }
});
document.addEventListener("input", showCode);
document.addEventListener("visibilitychange", () => { if (document.hidden) stream?.connection?.abort(); });
showCode();
follow();
