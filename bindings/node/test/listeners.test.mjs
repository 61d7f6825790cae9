// Event handler attributes and listeners, as HTML and DOM have them.

import assert from "node:assert/strict";
import { EventSource } from "tidings";
import { connect, run, test, watch } from "./harness.mjs";
import { serve, stream } from "./server.mjs";

const NOWHERE = "http://127.0.0.1:1/";
const HANDLERS = ["onopen", "onmessage", "onerror"];

// A source whose server sends these messages, one after the other, once its listeners are there.
async function messages(t, ...data) {
  const server = await serve(t, stream(data.map((text) => `data: ${text}\n\n`).join("")));
  const source = connect(t, server.url);
  return { source, seen: [] };
}

// Resolves when the message with this data has been delivered to all listeners.
function delivered(source, data) {
  return new Promise((resolve) => {
    source.addEventListener("message", (event) => {
      if (event.data === data) {
        // The next task is after this one's dispatch.
        setImmediate(resolve);
      }
    });
  });
}

test("handlers are null at first, and whenever they are given a primitive", (t) => {
  const source = connect(t, NOWHERE);
  for (const name of HANDLERS) {
    assert.equal(source[name], null);
    const handler = () => {};
    for (const primitive of [null, undefined, 5, "alert()", true, Symbol("s"), 1n]) {
      source[name] = handler;
      assert.equal(source[name], handler);
      source[name] = primitive;
      assert.equal(source[name], null);
    }
    const object = {};
    source[name] = object;
    assert.equal(source[name], object);
  }
});

test("each handler gets its events, and the source as this", async (t) => {
  const server = await serve(t, stream("retry: 100\ndata: 1\n\n"));
  const source = connect(t, server.url);
  const seen = [];
  for (const name of HANDLERS) {
    source[name] = function handler(...args) {
      seen.push([name, args.length, args[0].type, this === source, args[0].currentTarget === source]);
    };
  }
  const watched = watch(source);
  await watched.data(1);
  await server.leave();
  await watched.nextOf("error");
  assert.deepEqual(seen, [
    ["onopen", 1, "open", true, true],
    ["onmessage", 1, "message", true, true],
    ["onerror", 1, "error", true, true],
  ]);
});

test("onmessage gets messages without a type alone", async (t) => {
  const server = await serve(t, stream("event: a\ndata: 1\n\ndata: 2\n\nevent: message\ndata: 3\n\nevent: Message\ndata: 4\n\ndata: 5\n\n"));
  const source = connect(t, server.url);
  const seen = [];
  source.onmessage = (event) => seen.push(event.data);
  await delivered(source, "5");
  assert.deepEqual(seen, ["2", "3", "5"]);
});

test("a server's open and error are messages for the same listeners", async (t) => {
  const server = await serve(t, stream("event: open\ndata: 1\n\nevent: error\ndata: 2\n\ndata: 3\n\n"));
  const source = connect(t, server.url);
  const seen = [];
  source.onopen = (event) => seen.push(["open", event.data]);
  source.onerror = (event) => seen.push(["error", event.data, source.readyState]);
  await delivered(source, "3");
  assert.deepEqual(seen, [["open", undefined], ["open", "1"], ["error", "2", EventSource.OPEN]]);
});

test("a handler keeps the place where it was set first, and null loses it", async (t) => {
  const { source, seen } = await messages(t, "1", "2");
  source.addEventListener("message", () => seen.push("a"));
  source.onmessage = () => seen.push("replaced");
  source.addEventListener("message", () => seen.push("b"));
  source.onmessage = () => seen.push("handler");
  source.addEventListener("message", () => {
    source.onmessage = null;
    source.onmessage = () => seen.push("last");
  }, { once: true });
  await delivered(source, "2");
  // At once for the event in hand or not, it is the last for the next.
  assert.deepEqual(seen.slice(0, 3), ["a", "handler", "b"]);
  assert.deepEqual(seen.slice(-3), ["a", "b", "last"]);
});

test("a primitive loses the place, and an object that cannot be called keeps it", async (t) => {
  const { source, seen } = await messages(t, "1");
  source.onmessage = () => assert.fail("replaced");
  source.addEventListener("message", () => seen.push("a"));
  source.onmessage = "nothing";
  source.onmessage = () => seen.push("handler");
  source.onopen = { handleEvent: () => assert.fail("handlers are functions") };
  source.addEventListener("open", () => seen.push("open a"));
  source.onopen = () => seen.push("open handler");
  await delivered(source, "1");
  assert.deepEqual(seen, ["open handler", "open a", "a", "handler"]);
});

test("a handler that is replaced during delivery has not been called yet", async (t) => {
  const { source, seen } = await messages(t, "1", "2");
  source.addEventListener("message", (event) => {
    source.onmessage = event.data === "1" ? () => seen.push("new") : null;
  });
  source.onmessage = () => seen.push("old");
  await delivered(source, "2");
  assert.deepEqual(seen, ["new"]);
});

test("objects with handleEvent listen", async (t) => {
  const { source, seen } = await messages(t, "1");
  class Listener {
    handleEvent(event) {
      seen.push([event.data, this === listener]);
    }
  }
  const listener = new Listener();
  source.addEventListener("message", listener);
  await delivered(source, "1");
  assert.deepEqual(seen, [["1", true]]);
});

test("a listener is called with the source as this", async (t) => {
  const { source, seen } = await messages(t, "1");
  source.addEventListener("message", function listener() {
    seen.push(this === source);
  });
  await delivered(source, "1");
  assert.deepEqual(seen, [true]);
});

test("the same listener twice is one, and for another phase another", async (t) => {
  const { source, seen } = await messages(t, "1");
  const listener = (event) => seen.push(event.data);
  source.addEventListener("message", listener);
  source.addEventListener("message", listener);
  source.addEventListener("message", listener, { once: true });
  source.addEventListener("message", listener, { capture: true });
  await delivered(source, "1");
  assert.deepEqual(seen, ["1", "1"]);
});

test("once is once", async (t) => {
  const { source, seen } = await messages(t, "1", "2");
  source.addEventListener("message", (event) => seen.push(event.data), { once: true });
  await delivered(source, "2");
  assert.deepEqual(seen, ["1"]);
});

test("a listener's signal removes it", async (t) => {
  const { source, seen } = await messages(t, "1", "2", "3");
  const controller = new AbortController();
  source.addEventListener("message", (event) => seen.push(event.data), { signal: controller.signal });
  source.addEventListener("message", (event) => event.data === "2" && controller.abort());
  source.addEventListener("message", () => assert.fail("removed"), { signal: AbortSignal.abort() });
  await delivered(source, "3");
  assert.deepEqual(seen, ["1", "2"]);
});

test("a listener that is removed is not called, not even for the event in hand", async (t) => {
  const { source, seen } = await messages(t, "1", "2");
  const removed = () => seen.push("removed");
  source.addEventListener("message", (event) => {
    seen.push(event.data);
    source.removeEventListener("message", removed);
  });
  source.addEventListener("message", removed);
  await delivered(source, "2");
  assert.deepEqual(seen, ["1", "2"]);
});

// Where others are still to come, Node's own EventTarget would call it for the event in hand.
test("a listener that is added before others are called waits for the next event", async (t) => {
  const { source, seen } = await messages(t, "1", "2", "3");
  const done = delivered(source, "3");
  const added = (event) => seen.push(`added ${event.data}`);
  const removed = () => seen.push("removed");
  const first = () => {
    source.addEventListener("message", added);
    source.addEventListener("message", added);
    source.addEventListener("message", removed, { capture: true });
    source.removeEventListener("message", removed);
    source.removeEventListener("message", removed, true);
    source.onmessage = (event) => seen.push(`on ${event.data}`);
  };
  source.addEventListener("message", first, { once: true });
  source.addEventListener("message", (event) => seen.push(event.data));
  await done;
  assert.deepEqual(seen, ["1", "2", "added 2", "on 2", "3", "added 3", "on 3"]);
});

test("a listener that is added during an event waits for the next", async (t) => {
  const { source, seen } = await messages(t, "1", "2");
  const done = delivered(source, "2");
  source.addEventListener("message", () => {
    source.addEventListener("message", (event) => seen.push(event.data));
  }, { once: true });
  await done;
  assert.deepEqual(seen, ["2"]);
});

test("stopImmediatePropagation stops what is left of an event", async (t) => {
  const { source, seen } = await messages(t, "1", "2");
  const done = new Promise((resolve) => {
    source.addEventListener("message", (event) => {
      seen.push(event.data);
      if (event.data === "1") {
        event.stopImmediatePropagation();
      }
    });
    source.onmessage = (event) => {
      seen.push(`on ${event.data}`);
      resolve();
    };
  });
  await done;
  assert.deepEqual(seen, ["1", "2", "on 2"]);
});

test("who closes the source lets the event in hand reach the rest, and nothing after it", async (t) => {
  const { source, seen } = await messages(t, "1", "2", "3");
  source.onmessage = (event) => {
    seen.push(`on ${event.data}`);
    source.close();
  };
  source.addEventListener("message", (event) => seen.push([event.data, source.readyState]));
  source.onerror = () => seen.push("error");
  await delivered(source, "1");
  // What was received with it would be there by the time another source has its three.
  const other = connect(t, source.url);
  await delivered(other, "3");
  assert.deepEqual(seen, ["on 1", ["1", EventSource.CLOSED]]);
});

test("what a listener throws is an uncaught exception, and stops nothing", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\nevent: end\ndata: 3\n\n"));
  const { code, stdout, stderr } = await run(t, `
    import { EventSource } from "tidings";
    const seen = [];
    process.on("uncaughtException", (error) => seen.push("caught " + error.message));
    const source = new EventSource(process.argv.at(-1));
    source.onopen = () => { throw new Error("onopen"); };
    source.onmessage = (event) => { throw new Error("on " + event.data); };
    source.addEventListener("message", { handleEvent() { throw new Error("object"); } });
    source.addEventListener("message", (event) => seen.push(event.data));
    source.addEventListener("end", () => {
      source.close();
      setTimeout(() => console.log(seen.join()));
    });
  `, server.url);
  // What an event's functions throw comes after all its listeners, and before the next event.
  const functions = "caught onopen,1,caught on 1,2,caught on 2";
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(stdout.replaceAll(",caught object", ""), `${functions}\n`);
  assert.equal(stdout.match(/caught object/g).length, 2);
});

test("what an async listener throws is no less an uncaught exception", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\n"));
  const { code, stdout } = await run(t, `
    import { EventSource } from "tidings";
    process.on("uncaughtException", (error) => console.log("caught", error.message));
    const source = new EventSource(process.argv.at(-1));
    source.onmessage = async (event) => {
      await null;
      if (event.data === "2") source.close();
      throw new Error("on " + event.data);
    };
  `, server.url);
  assert.deepEqual([code, stdout], [0, "caught on 1\ncaught on 2\n"]);
});

test("what onDisconnect throws is an uncaught exception, and the error comes all the same", async (t) => {
  const { code, stdout } = await run(t, `
    import { EventSource } from "tidings";
    process.on("uncaughtException", (error) => console.log("caught", error.message));
    const tidings = { onDisconnect() { throw new Error("mine"); } };
    const source = new EventSource("ftp://host/", { tidings });
    source.onerror = () => console.log("error", source.readyState);
  `);
  assert.deepEqual([code, stdout], [0, "error 2\ncaught mine\n"]);
});

test("an exception that nobody catches ends the process, as Node ends it", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const { code, signal, stderr } = await run(t, `
    import { EventSource } from "tidings";
    new EventSource(process.argv.at(-1)).onmessage = () => { throw new Error("too bad"); };
  `, server.url);
  assert.deepEqual([code, signal], [1, null]);
  assert.match(stderr, /Error: too bad/);
});
