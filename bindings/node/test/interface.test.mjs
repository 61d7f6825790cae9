// The interface as Web IDL has it: names, lengths, attributes, constants, and the events.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { inspect } from "node:util";
import * as esm from "tidings";
import { brief, connect, run, test, watch } from "./harness.mjs";
import { serve, stream } from "./server.mjs";

const { EventSource } = esm;
const NOWHERE = "http://127.0.0.1:1/";
const ATTRIBUTES = ["url", "withCredentials", "readyState"];
const HANDLERS = ["onopen", "onmessage", "onerror"];
// Those that it has from EventTarget in any case, and does more exactly than Node.
const LISTENERS = ["addEventListener", "removeEventListener"];
const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSED: 2 };

test("it has the members of the standard and no others", () => {
  assert.equal(EventSource.name, "EventSource");
  assert.equal(EventSource.length, 1);
  assert.deepEqual(
    Reflect.ownKeys(EventSource.prototype).sort(byName),
    ["constructor", ...ATTRIBUTES, ...HANDLERS, ...LISTENERS, "close", ...Object.keys(CONSTANTS), Symbol.toStringTag].sort(byName),
  );
  assert.deepEqual(
    Reflect.ownKeys(EventSource).sort(byName),
    ["length", "name", "prototype", ...Object.keys(CONSTANTS)].sort(byName),
  );
  assert.deepEqual(
    Object.keys(EventSource.prototype).sort(),
    [...ATTRIBUTES, ...HANDLERS, ...LISTENERS, "close", ...Object.keys(CONSTANTS)].sort(),
  );
  assert.deepEqual(Object.keys(EventSource).sort(), Object.keys(CONSTANTS).sort());
});

test("the constants cannot be changed", (t) => {
  const source = connect(t, NOWHERE);
  for (const [name, value] of Object.entries(CONSTANTS)) {
    for (const owner of [EventSource, EventSource.prototype]) {
      const expected = { value, writable: false, enumerable: true, configurable: false };
      assert.deepEqual(Object.getOwnPropertyDescriptor(owner, name), expected);
    }
    assert.equal(source[name], value);
    assert.throws(() => {
      source[name] = 9;
    }, TypeError);
  }
});

test("attributes are accessors of the prototype", (t) => {
  const source = connect(t, NOWHERE);
  for (const name of [...ATTRIBUTES, ...HANDLERS]) {
    const { get, set, enumerable, configurable } = property(name);
    assert.deepEqual([get.name, get.length, enumerable, configurable], [`get ${name}`, 0, true, true]);
    const isReadOnly = ATTRIBUTES.includes(name);
    assert.equal(set?.name, isReadOnly ? undefined : `set ${name}`);
    assert.equal(set?.length, isReadOnly ? undefined : 1);
  }
  for (const name of ATTRIBUTES) {
    const before = source[name];
    assert.throws(() => {
      source[name] = "other";
    }, TypeError);
    // As code that is not strict does it.
    assert.equal(Reflect.set(source, name, "other"), false);
    assert.equal(source[name], before);
  }
});

test("close is a method", () => {
  const { value, ...flags } = property("close");
  assert.deepEqual([value.name, value.length], ["close", 0]);
  assert.deepEqual(flags, { writable: true, enumerable: true, configurable: true });
  assert.throws(() => new value(), TypeError);
});

test("it names itself", (t) => {
  const source = connect(t, NOWHERE);
  assert.equal(Object.prototype.toString.call(source), "[object EventSource]");
  assert.equal(`${source}`, "[object EventSource]");
  assert.deepEqual(property(Symbol.toStringTag), {
    value: "EventSource",
    writable: false,
    enumerable: false,
    configurable: true,
  });
  assert.match(inspect(source), /^EventSource/);
});

test("members are for sources alone", (t) => {
  const source = connect(t, NOWHERE);
  for (const other of [{}, EventSource.prototype, Object.create(source), new EventTarget(), null, undefined, 1]) {
    for (const name of [...ATTRIBUTES, ...HANDLERS]) {
      assert.throws(() => Reflect.apply(property(name).get, other, []), TypeError, name);
    }
    for (const name of HANDLERS) {
      assert.throws(() => Reflect.apply(property(name).set, other, [null]), TypeError, name);
    }
    assert.throws(() => Reflect.apply(property("close").value, other, []), TypeError);
  }
});

test("it is an EventTarget", async (t) => {
  const source = connect(t, NOWHERE);
  assert.ok(source instanceof EventTarget);
  assert.equal(Object.getPrototypeOf(EventSource), EventTarget);
  assert.equal(Object.getPrototypeOf(EventSource.prototype), EventTarget.prototype);
  assert.equal(EventSource.prototype.constructor, EventSource);
  // Events of anybody are for its listeners, and change nothing.
  const seen = [];
  source.onerror = (event) => seen.push(event);
  const mine = new Event("error", { cancelable: true });
  assert.equal(source.dispatchEvent(mine), true);
  assert.deepEqual(seen, [mine]);
  assert.equal(source.readyState, EventSource.CONNECTING);
});

test("nothing of its own shows on a source", (t) => {
  const source = connect(t, NOWHERE);
  assert.deepEqual(Object.keys(source), []);
  assert.deepEqual(Object.getOwnPropertyNames(source), []);
  assert.equal(JSON.stringify(source), "{}");
  source.mine = 1;
  assert.deepEqual(Object.keys(source), ["mine"]);
});

test("a class may extend it", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  class Feed extends EventSource {
    closed = 0;
    #seen = [];
    constructor(path) {
      super(path, { tidings: { baseURL: server.url } });
      this.addEventListener("message", this);
    }
    get seen() {
      return this.#seen;
    }
    handleEvent(event) {
      this.#seen.push(event.data);
    }
    close() {
      this.closed++;
      super.close();
    }
    // What the stream brings does not go through what a page may replace.
    dispatchEvent() {
      assert.fail("called");
    }
  }
  const feed = new Feed("x");
  t.after(() => feed.close());
  await watch(feed).data(1);
  assert.ok(feed instanceof EventSource);
  assert.equal(Object.getPrototypeOf(feed), Feed.prototype);
  assert.equal(Feed.OPEN, 1);
  assert.equal(feed.url, `${server.url}x`);
  assert.deepEqual(feed.seen, ["1"]);
  feed.close();
  assert.deepEqual([feed.closed, feed.readyState], [1, EventSource.CLOSED]);
});

test("its prototype may be extended", (t) => {
  t.after(() => delete EventSource.prototype.isOpen);
  EventSource.prototype.isOpen = function isOpen() {
    return this.readyState === this.OPEN;
  };
  assert.equal(connect(t, NOWHERE).isOpen(), false);
});

test("a message is a MessageEvent", async (t) => {
  const server = await serve(t, stream("id: 7\nevent: join\ndata: a\ndata: b\n\n"));
  const source = connect(t, server.url);
  const watched = watch(source, "join");
  await watched.nextOf("open");
  const event = await watched.next();
  assert.equal(event.constructor, MessageEvent);
  assert.equal(event.isTrusted, true);
  assert.equal(Object.prototype.toString.call(event), "[object MessageEvent]");
  assert.deepEqual(brief(event), ["join", "a\nb", "7"]);
  assert.equal(event.origin, server.origin);
  assert.equal(event.target, source);
  assert.deepEqual([event.bubbles, event.cancelable, event.source], [false, false, null]);
  assert.deepEqual([...event.ports], []);
  event.preventDefault();
  assert.equal(event.defaultPrevented, false);
});

test("open and error are plain events", async (t) => {
  const server = await serve(t, stream("retry: 100\ndata: 1\n\n"));
  const source = connect(t, server.url);
  const watched = watch(source);
  const open = await watched.nextOf("open");
  await watched.data(1);
  await server.leave();
  const error = await watched.nextOf("error");
  for (const event of [open, error]) {
    assert.equal(event.constructor, Event);
    assert.equal(event.isTrusted, true);
    assert.equal(Object.prototype.toString.call(event), "[object Event]");
    assert.equal("data" in event, false);
    assert.equal("message" in event, false);
    assert.equal(event.target, source);
    assert.deepEqual([event.bubbles, event.cancelable], [false, false]);
  }
});

test("require and import give the same class", () => {
  const require = createRequire(import.meta.url);
  const cjs = require("tidings");
  const names = ["CookieJar", "EventSource", "ref", "setDefaults", "unref"];
  assert.deepEqual(Object.keys(cjs).sort(), names);
  assert.deepEqual(Object.keys(esm).sort(), names);
  for (const name of names) {
    assert.equal(cjs[name], esm[name]);
  }
});

test("tidings/global installs it as the global, however it is loaded", async (t) => {
  for (const load of ['await import("tidings/global")', 'createRequire(import.meta.url)("tidings/global")']) {
    const { stdout, stderr } = await run(t, `
      import { createRequire } from "node:module";
      ${load};
      const { EventSource } = await import("tidings");
      const { value, ...flags } = Object.getOwnPropertyDescriptor(globalThis, "EventSource");
      console.log(JSON.stringify([value === EventSource, flags]));
    `);
    const flags = { writable: true, enumerable: false, configurable: true };
    assert.deepEqual(JSON.parse(stdout || stderr), [true, flags]);
  }
});

test("the package itself installs no global", async (t) => {
  const { stdout } = await run(t, `
    // By name: what Node loads for us may keep something of its own under a symbol.
    const before = Object.getOwnPropertyNames(globalThis).length;
    await import("tidings");
    console.log(Object.getOwnPropertyNames(globalThis).length - before);
  `);
  assert.equal(stdout, "0\n");
});

function property(name) {
  return Object.getOwnPropertyDescriptor(EventSource.prototype, name);
}

function byName(a, b) {
  return String(a) < String(b) ? -1 : 1;
}
