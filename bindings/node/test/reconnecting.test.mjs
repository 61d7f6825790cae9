// Connections that end, sources that are closed, and the order of it all.

import assert from "node:assert/strict";
import { EventSource } from "tidings";
import { brief, connect, test, watch } from "./harness.mjs";
import { begin, cut, serve, stream, whole } from "./server.mjs";

const { CONNECTING, OPEN, CLOSED } = EventSource;

// Everything that a source tells, with its state at that time, and what is told of the waits.
function chronicle(source) {
  const seen = [];
  for (const type of ["open", "message", "error"]) {
    source.addEventListener(type, (event) => seen.push([event.data ?? type, source.readyState]));
  }
  return seen;
}

// What a source tells of its first loss, which is its last.
function loss(t, url) {
  return new Promise((resolve) => {
    const onDisconnect = (why) => {
      source.close();
      resolve(why);
    };
    const source = connect(t, url, { tidings: { onDisconnect } });
  });
}

test("an end and a broken connection are reconnected", async (t) => {
  const server = await serve(
    t,
    whole("retry: 0\ndata: 1\n\n"),
    cut("data: 2\n\n"),
    // Cut before there is an answer at all.
    (request) => request.socket.destroy(),
    (request) => request.socket.write("nonsense\r\n\r\n", () => request.socket.destroy()),
    stream("data: 3\n\n"),
  );
  const source = connect(t, server.url);
  const seen = chronicle(source);
  assert.equal(source.readyState, CONNECTING);
  assert.deepEqual(await watch(source).data(3), ["1", "2", "3"]);
  assert.deepEqual(seen, [
    ["open", OPEN],
    ["1", OPEN],
    ["error", CONNECTING],
    ["open", OPEN],
    ["2", OPEN],
    ["error", CONNECTING],
    ["error", CONNECTING],
    ["error", CONNECTING],
    ["open", OPEN],
    ["3", OPEN],
  ]);
  assert.equal(server.requests.length, 5);
});

test("an end without an event is one", async (t) => {
  const server = await serve(t, whole("retry: 0\n"), whole(), stream("data: 1\n\n"));
  const source = connect(t, server.url);
  const seen = chronicle(source);
  const watched = watch(source);
  await watched.nextOf("error");
  source.close();
  assert.deepEqual(seen, [["open", OPEN], ["error", CONNECTING]]);
});

test("ids last over reconnects, also where events bring none", async (t) => {
  const server = await serve(
    t,
    whole("retry: 0\nid: 1\ndata: a\n\n"),
    whole("data: b\n\n"),
    whole("data: c\n\nid: lost\ndata: lost\n"),
    whole(": nothing\n\n"),
    // Committed without an event.
    whole("id: 2\n\n"),
    whole("data: d\n\nid\n\n"),
    stream("data: e\n\n"),
  );
  const watched = watch(connect(t, server.url));
  const found = [];
  while (found.length < 5) {
    const event = await watched.next();
    if (event instanceof MessageEvent) {
      found.push(brief(event).slice(1));
    }
  }
  assert.deepEqual(found, [["a", "1"], ["b", "1"], ["c", "1"], ["d", "2"], ["e", ""]]);
  const sent = server.requests.map((request) => request.headers["last-event-id"]);
  assert.deepEqual(sent, [undefined, "1", "1", "1", "1", "2", undefined]);
});

test("an id that no header can carry is left out", async (t) => {
  const server = await serve(t, whole("retry: 0\nid: a\u0001b\ndata: 1\n\n"), stream("data: 2\n\n"));
  const watched = watch(connect(t, server.url));
  await watched.nextOf("message");
  assert.deepEqual(brief(await watched.nextOf("message")), ["message", "2", "a\u0001b"]);
  assert.equal("last-event-id" in server.requests[1].headers, false);
});

test("retry is taken as the standard says", async (t) => {
  const DEFAULT = 3000;
  for (const [field, delay] of [
    ["", DEFAULT],
    ["retry: 1234567", 1_234_567],
    ["retry:1500", 1500],
    ["retry: 0001500", 1500],
    ["retry: 1000\nretry: 2000", 2000],
    // The least there is, so that nobody makes a busy loop.
    ["retry: 0", 100],
    ["retry: 99", 100],
    ["retry: 101", 101],
    ...["retry", "retry:", "retry: ", "retry:  1500", "retry: 1500 ", "retry: -1", "retry: +5"].map((field) => [field, DEFAULT]),
    ...["retry: 1.5", "retry: 1e3", "retry: 0x10", "retry: 5a", "retry: a5", "retry: ٣", "retry: 5\0", "Retry: 5"].map((field) => [field, DEFAULT]),
    // What is bogus does not undo what was not.
    ["retry: 1500\nretry: x", 1500],
    ["retry: 1500\n\nretry:\n\n", 1500],
  ]) {
    // With no data and no blank line, and with both.
    for (const text of [`${field}\n`, `${field}\ndata: x\n\n`]) {
      const server = await serve(t, whole(text));
      const why = await loss(t, server.url);
      assert.equal(why.delay, delay, JSON.stringify(text));
    }
  }
});

test("a retry beyond all numbers waits as long as can be said", async (t) => {
  for (const number of ["4294967295", "4294967296", "18446744073709551616", "9".repeat(400)]) {
    const server = await serve(t, whole(`retry: ${number}\n`));
    assert.equal((await loss(t, server.url)).delay, 4_294_967_295);
  }
});

test("the time lasts over reconnects, and is waited", async (t) => {
  const server = await serve(t, whole("retry: 300\n"), whole("data: x\n\n"), stream("data: end\n\n"));
  const delays = [];
  const source = connect(t, server.url, { tidings: { onDisconnect: ({ delay }) => delays.push(delay) } });
  const watched = watch(source);
  await watched.nextOf("error");
  const before = performance.now();
  await server.request(2);
  // Timers may be early by a little less than a millisecond, and the error came later than the loss.
  const waited = performance.now() - before;
  assert.ok(waited > 200 && waited < 5000, `${waited}`);
  await watched.data(2);
  assert.deepEqual(delays, [300, 300]);
});

test("onDisconnect is told why, before the error", async (t) => {
  const server = await serve(t, whole("retry: 0\n"), cut(), stream("data: 1\n\n"));
  const seen = [];
  const onDisconnect = function told(why) {
    seen.push([why.reason, why.delay, source.readyState]);
    assert.deepEqual(Object.keys(why), ["reason", "delay"]);
  };
  const source = connect(t, server.url, { tidings: { onDisconnect } });
  source.onerror = () => seen.push("error");
  await watch(source).data(1);
  assert.equal(seen.length, 4);
  assert.deepEqual([seen[0][1], seen[0][2], seen[1]], [100, CONNECTING, "error"]);
  assert.match(seen[0][0], /ended/);
  assert.notEqual(seen[2][0], seen[0][0]);
});

test("a server that goes away and comes back is found again", async (t) => {
  const server = await serve(t, stream("retry: 0\nid: 7\ndata: 1\n\n"), stream("data: 2\n\n"));
  const source = connect(t, server.url);
  const watched = watch(source);
  await watched.data(1);
  await server.leave();
  // The first is for the connection that broke, and these for attempts that nobody takes.
  for (let attempt = 0; attempt < 3; attempt++) {
    await watched.nextOf("error");
    assert.equal(source.readyState, CONNECTING);
  }
  await server.listen();
  const { headers } = await server.request(2);
  assert.equal(headers["last-event-id"], "7");
  await watched.nextOf("open");
  assert.equal(source.readyState, OPEN);
  assert.deepEqual(await watched.data(1), ["2"]);
});

test("a server that is not there yet is waited for", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  await server.leave();
  const why = await loss(t, server.url);
  assert.equal(why.delay, 3000);
  assert.match(why.reason, /reach|refused/);
});

test("close while waiting: no further attempt", async (t) => {
  const server = await serve(t, whole("retry: 300\n"));
  const source = connect(t, server.url);
  const watched = watch(source);
  await watched.nextOf("error");
  source.close();
  assert.equal(source.readyState, CLOSED);
  // Another source, whose wait begins later, and is as long, is there first.
  const other = await serve(t, whole("retry: 300\n"), stream("data: 1\n\n"));
  await watch(connect(t, other.url)).data(1);
  assert.equal(server.requests.length, 1);
  assert.deepEqual(watched.rest(), []);
});

test("close while connecting: the request is dropped", async (t) => {
  const server = await serve(t, () => {});
  const source = connect(t, server.url);
  const watched = watch(source);
  const request = await server.request(1);
  source.close();
  assert.equal(source.readyState, CLOSED);
  await request.gone;
  assert.deepEqual(watched.rest(), []);
});

test("close at once: nothing is heard", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const source = connect(t, server.url);
  const watched = watch(source);
  source.close();
  assert.equal(source.readyState, CLOSED);
  await watch(connect(t, server.url)).data(1);
  assert.deepEqual(watched.rest(), []);
});

test("close in the middle of a chunk: no further event, and the connection ends", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  // Who closes it needs not be told.
  const onDisconnect = () => assert.fail("told");
  const source = connect(t, server.url, { tidings: { onDisconnect } });
  const watched = watch(source);
  source.onmessage = () => source.close();
  await watched.data(1);
  await server.requests[0].gone;
  await watch(connect(t, server.url)).data(3);
  assert.deepEqual(watched.rest(), []);
  assert.equal(source.readyState, CLOSED);
});

test("close in each kind of event", async (t) => {
  for (const type of ["open", "message", "error"]) {
    const server = await serve(t, whole("retry: 0\ndata: 1\n\n"));
    const source = connect(t, server.url);
    const seen = chronicle(source);
    source.addEventListener(type, () => source.close());
    await watch(source).nextOf(type);
    await server.requests[0].gone;
    const all = [["open", OPEN], ["1", OPEN], ["error", CONNECTING]];
    const other = connect(t, server.url);
    await watch(other).nextOf("error");
    other.close();
    assert.deepEqual(seen, all.slice(0, ["open", "message", "error"].indexOf(type) + 1));
    assert.equal(source.readyState, CLOSED);
    assert.equal(server.requests.length, 2);
  }
});

test("close in onDisconnect: not even an error", async (t) => {
  const server = await serve(t, whole("retry: 0\ndata: 1\n\n"));
  let source;
  await new Promise((resolve) => {
    source = connect(t, server.url, { tidings: { onDisconnect: () => resolve(source.close()) } });
    source.onerror = () => assert.fail("closed");
  });
  const other = connect(t, server.url);
  await watch(other).nextOf("error");
  other.close();
  assert.equal(source.readyState, CLOSED);
});

test("close twice is once, and nothing reopens", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const source = connect(t, server.url);
  const watched = watch(source);
  await watched.data(1);
  source.close();
  assert.equal(source.close(), undefined);
  source.dispatchEvent(new Event("open"));
  assert.equal(source.readyState, CLOSED);
  assert.throws(() => {
    source.readyState = CONNECTING;
  }, TypeError);
  assert.deepEqual(watched.rest(), ["open"]);
  await server.requests[0].gone;
  assert.equal(server.requests.length, 1);
});

test("the url and credentials of a closed source are what they were", async (t) => {
  const source = connect(t, "http://127.0.0.1:1/x", { withCredentials: true });
  source.close();
  assert.deepEqual([source.url, source.withCredentials], ["http://127.0.0.1:1/x", true]);
});

test("what a listener awaits is done before the next event of the same chunk", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  const source = connect(t, server.url);
  const seen = [];
  source.addEventListener("message", async ({ data }) => {
    for (let depth = 0; depth < 5; depth++) {
      await null;
      seen.push(`${data} at ${depth}`);
    }
    process.nextTick(() => seen.push(`${data} ticked`));
  });
  source.addEventListener("message", ({ data }) => queueMicrotask(() => seen.push(`${data} queued`)));
  await watch(source).data(3);
  await new Promise(setImmediate);
  const each = (data) => [0, 1, 2, 3, 4].map((depth) => `${data} at ${depth}`);
  const expected = ["1", "2", "3"].flatMap((data) => [...each(data), `${data} ticked`]);
  assert.deepEqual(seen.filter((line) => !line.endsWith("queued")), expected);
  for (const data of ["1", "2"]) {
    assert.ok(seen.indexOf(`${data} queued`) < seen.indexOf(`${Number(data) + 1} at 0`));
  }
});

test("an event that is awaited is the only one since", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  const source = connect(t, server.url);
  // As the events module's `once`: a listener a time, none in between.
  for (const expected of ["1", "2", "3"]) {
    const event = await new Promise((resolve) => {
      source.addEventListener("message", resolve, { once: true });
    });
    assert.equal(event.data, expected);
  }
});

test("the open state is that of the event in hand, not of what waits", async (t) => {
  const server = await serve(t, whole("retry: 0\ndata: 1\n\ndata: 2\n\n"), (_, response) => begin(response));
  const source = connect(t, server.url);
  const seen = chronicle(source);
  const watched = watch(source);
  await watched.nextOf("error");
  await watched.nextOf("open");
  assert.deepEqual(seen, [["open", OPEN], ["1", OPEN], ["2", OPEN], ["error", CONNECTING], ["open", OPEN]]);
});
