// Following: an EventSource and what it went through, with the second stream beside it.

import { detail } from "./ask.js";
import { Pairing, isNotice } from "./pairing.js";
import { Second } from "./second.js";

// How far, in events, one stream may be ahead of the other before the second is given up.
const LEAD_MAX = 100_000;
// Each connection without a name of its own is given another one.
const NAMES_MAX = 32;

const LEARNS = "This page learns new ones from a second stream, as NDJSON.";
const GIVEN_UP = "The second stream, which tells the others, is refused: name them above.";

export class Following {
  types = new Set();
  lastId = "";
  opened = 0; // how often it was open
  over = null; // why it is over: { ended } or { refused }, sentences
  learning = LEARNS;
  name = ""; // the name that the hub gave to the EventSource as a subscriber
  names = new Set(); // that one, the second stream's, and those of connections before
  since = performance.now(); // when it began to connect
  heardAt = null; // the last sign of life
  #pairing = new Pairing();
  #second = null;
  #learns = undefined; // whether the second stream follows along
  #closed = false;
  #tell;

  // `tell` has `added(item, after)`, `revised(item)` and `changed()`.
  constructor(query, types, tell) {
    this.#tell = tell;
    this.query = query;
    this.source = new EventSource("/events?" + query);
    this.source.addEventListener("open", () => {
      this.opened += 1;
      this.#alive();
    });
    this.source.addEventListener("error", () => this.#fail());
    for (const type of ["tidings.cursor", "tidings.gap", "message", ...types]) this.listen(type);
  }

  get url() { return this.source.url; }

  // connecting, open, reconnecting, ended or closed
  get state() {
    if (this.over?.ended) return "ended";
    const state = ["connecting", "open", "closed"][this.source.readyState];
    return state === "connecting" && this.opened ? "reconnecting" : state;
  }

  listen(type) {
    if (this.types.has(type)) return;
    this.types.add(type);
    this.source.addEventListener(type, this.#hear);
  }

  close() {
    this.#closed = true;
    this.source.close();
    this.#second?.close();
    this.#tell.changed();
  }

  #alive() {
    this.heardAt = performance.now();
    this.#tell.changed();
  }

  // An event of the EventSource: a new item, unless the second stream was here before.
  #hear = (event) => {
    if (!(event instanceof MessageEvent)) return; // of the type "error" or "open", and none of the hub's
    const { type, lastEventId: id, data } = event;
    this.lastId = id;
    this.#alive();
    if (isNotice(type)) this.name = this.#noteName(data) ?? this.name;
    if (isNotice(type) && this.#learns === undefined) this.#learn(id);
    if (type === "tidings.cursor") return this.#pairing.move(id);
    const item = this.#pairing.hear(type, id, data, this.#learns);
    if (item) this.#tell.added(item);
  };

  // A line of the second stream: describes its item, or makes it, after that of the line before.
  #read = (line) => {
    this.heardAt = performance.now();
    if (!line.event) return true; // an empty line: a heartbeat
    if (isNotice(line.event)) this.#noteName(line.data);
    const told = this.#pairing.tell(line);
    if (!told) return true;
    for (const item of told.passed) this.#tell.revised(item);
    if (told.isNew) {
      this.listen(line.event);
      this.#noteId(line.id);
      this.#tell.added(told.item, told.after);
    } else this.#tell.revised(told.item);
    return this.#pairing.apart <= LEAD_MAX;
  };

  // The browser keeps the id also of an event that nobody listens for, and does not tell: it is the
  // last one, unless the EventSource has told a later one.
  #noteId(id) {
    if (id === undefined || this.#pairing.behind.length > 0) return;
    this.lastId = id;
    this.#pairing.move(id);
    this.#tell.changed();
  }

  // The opening tells the name that the hub has for this subscriber.
  #noteName(data) {
    let name;
    try { name = (typeof data === "string" ? JSON.parse(data) : data).subscriber; } catch { /* none is told */ }
    if (typeof name !== "string") return undefined;
    this.names.add(name);
    if (this.names.size > NAMES_MAX) this.names.delete(this.names.values().next().value);
    return name;
  }

  async #learn(from) {
    this.#learns = true;
    const say = (sentence) => { this.learning = sentence || LEARNS; this.#tell.changed(); };
    this.#second = new Second(this.source, this.query, this.#read, say);
    const whole = await this.#second.follow(from);
    if (whole || this.#closed) return;
    this.#second.close();
    this.#learns = false;
    this.#pairing.behind = [];
    say(GIVEN_UP);
  }

  async #fail() {
    this.since = performance.now();
    this.#tell.changed();
    if (this.source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.over = await reason(this.url, this.lastId);
    this.#tell.changed();
  }
}

// An EventSource does not tell why it was refused; the same request by fetch does.
async function reason(url, lastId) {
  const asking = new AbortController();
  try {
    const headers = { Accept: "text/event-stream" };
    const again = new URL(url);
    if (lastId) again.searchParams.set("last_event_id", lastId);
    const response = await fetch(again, { headers, signal: asking.signal });
    if (response.status === 204) {
      return { ended: "The topic has ended and there is nothing left to read: the hub answered 204, which tells a browser to stop for good. A new publish opens the topic again; then press Follow." };
    }
    return { refused: response.ok ? "the hub ended the stream, but would open it now." : await detail(response) };
  } catch (error) {
    return { refused: `the stream was refused, and so was the question why (${error.message}).` };
  } finally { asking.abort(); }
}
