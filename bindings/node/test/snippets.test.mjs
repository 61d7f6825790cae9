// Programs as tutorials and old pages write them, against a small feed: what people have must run
// as it is. They run in a context of their own, with a console, as in a page.

import assert from "node:assert/strict";
import { createContext, runInContext } from "node:vm";
import { EventSource, setDefaults } from "tidings";
import { test } from "./harness.mjs";
import { serve, status, stream, whole } from "./server.mjs";

// Runs the snippet in a page of the server. What it logs comes line by line.
function page(t, server, snippet) {
  const sources = [];
  const lines = [];
  let wake = () => {};
  const log = (...args) => {
    lines.push(args.join(" "));
    wake();
  };
  // Closed with the test, and otherwise the same.
  class Watched extends EventSource {
    constructor(url, init) {
      super(url, init);
      sources.push(this);
    }
  }
  t.after(() => {
    sources.forEach((source) => source.close());
    setDefaults({});
  });
  setDefaults({ baseURL: server.url });
  runInContext(snippet, createContext({ console: { log, error: log }, EventSource: Watched }));
  return {
    async logs(count) {
      while (lines.length < count) {
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
      return lines;
    },
    source: sources[0],
  };
}

test("a clock", async (t) => {
  const server = await serve(t, stream("data: 12:00:00\n\n", "data: 12:00:01\n\n", "data: 12:00:02\n\n"));
  const { logs } = page(t, server, `
    var source = new EventSource("/clock");
    source.onmessage = function (event) {
      console.log("The time is " + event.data);
    };
  `);
  assert.deepEqual(await logs(3), ["The time is 12:00:00", "The time is 12:00:01", "The time is 12:00:02"]);
  assert.deepEqual(server.paths, ["/clock"]);
});

test("a heartbeat, by its name", async (t) => {
  const server = await serve(t, stream("event: heartbeat\ndata: 1\n\ndata: not this\n\nevent: heartbeat\ndata: 2\n\n"));
  const { logs } = page(t, server, `
    const eventSource = new EventSource("events");
    eventSource.addEventListener("heartbeat", (e) => { console.log("heartbeat", e.type, e.data); }, false);
  `);
  assert.deepEqual(await logs(2), ["heartbeat heartbeat 1", "heartbeat heartbeat 2"]);
});

test("a chat room that is joined and left", async (t) => {
  const server = await serve(t, stream(
    'event: join\ndata: {"user":"ann"}\n\n',
    'event: message\ndata: {"user":"ann","text":"hi"}\n\n',
    'data: {"user":"bob","text":"hello"}\n\n',
    'event: leave\ndata: {"user":"ann"}\n\n',
  ));
  const { logs } = page(t, server, `
    const source = new EventSource("/chat");
    source.addEventListener("join", function (event) {
      console.log(JSON.parse(event.data).user + " joined");
    });
    source.addEventListener("message", function (event) {
      const { user, text } = JSON.parse(event.data);
      console.log(\`\${user}: \${text}\`);
    });
    source.addEventListener("leave", function (event) {
      console.log(JSON.parse(event.data).user + " left");
    });
  `);
  assert.deepEqual(await logs(4), ["ann joined", "ann: hi", "bob: hello", "ann left"]);
});

test("JSON in onmessage", async (t) => {
  const server = await serve(t, stream('data: {"msg": "First message"}\n\n', 'data: {\ndata: "msg": "a\\nb", "id": 12345\ndata: }\n\n'));
  const { logs } = page(t, server, `
    if (typeof EventSource !== "undefined") {
      var source = new EventSource("stream.php");
      source.onmessage = function (e) {
        var data = JSON.parse(e.data);
        console.log(data.id, data.msg);
      };
    } else {
      console.log("Sorry! No server-sent events support.");
    }
  `);
  assert.deepEqual(await logs(2), [" First message", "12345 a\nb"]);
});

test("onerror that looks at the state", async (t) => {
  const server = await serve(t, whole("retry: 0\ndata: 1\n\n"), stream("data: 2\n\n"), status(404));
  const { logs } = page(t, server, `
    const es = new EventSource("/events");
    es.onopen = () => console.log("connection opened", es.readyState === EventSource.OPEN);
    es.onmessage = (e) => console.log(e.data);
    es.onerror = (e) => {
      switch (e.target.readyState) {
        case EventSource.CONNECTING:
          console.log("Reconnecting...");
          break;
        case EventSource.CLOSED:
          console.log("Connection failed, will not reconnect");
          break;
      }
    };
  `);
  await logs(5);
  server.requests[1].response.end();
  assert.deepEqual(await logs(7), [
    "connection opened true",
    "1",
    "Reconnecting...",
    "connection opened true",
    "2",
    "Reconnecting...",
    "Connection failed, will not reconnect",
  ]);
});

test("an error that says eventPhase, as old pages look at it", async (t) => {
  const server = await serve(t, status(500));
  const { logs } = page(t, server, `
    var source = new EventSource("/events");
    source.addEventListener("error", function (e) {
      if (e.readyState == EventSource.CLOSED || this.readyState === 2) {
        console.log("Connection was closed.", e.eventPhase, e.data);
      }
    }, false);
  `);
  assert.deepEqual(await logs(1), ["Connection was closed. 2 "]);
});

test("closing at the server's word", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\nevent: close\ndata\n\ndata: never\n\n"));
  const { logs, source } = page(t, server, `
    const evtSource = new EventSource("/job", { withCredentials: true });
    evtSource.onmessage = (event) => console.log("progress", event.data);
    evtSource.addEventListener("close", () => {
      evtSource.close();
      console.log("closed", evtSource.readyState, evtSource.withCredentials);
    });
  `);
  assert.deepEqual(await logs(3), ["progress 1", "progress 2", "closed 2 true"]);
  await server.requests[0].gone;
  assert.equal(source.readyState, EventSource.CLOSED);
  assert.equal((await logs(3)).length, 3);
});

test("a counter that goes on by itself where it was", async (t) => {
  // As a server of the tutorials: it goes on after the id that it is told, three at a time.
  const server = await serve(t, (request, response) => {
    const last = Number(request.headers["last-event-id"] ?? 0);
    const events = [1, 2, 3].map((step) => `id: ${last + step}\ndata: ${last + step}\n\n`);
    whole("retry: 10\n", ...events)(request, response);
  });
  const { logs } = page(t, server, `
    const source = new EventSource("/counter");
    source.onmessage = ({ data, lastEventId }) => {
      console.log(data, lastEventId);
      if (lastEventId === "9") source.close();
    };
  `);
  assert.deepEqual(await logs(9), [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => `${number} ${number}`));
  assert.deepEqual(server.requests.map(({ headers }) => headers["last-event-id"]), [undefined, "3", "6"]);
});

test("an answer of a language model, token by token", async (t) => {
  const tokens = ["Hel", "lo", ", ", "w\u00f6rld", "\u{1f30d}"];
  const events = tokens.map((content) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
  const server = await serve(t, stream(...events, "data: [DONE]\n\n"));
  const { logs } = page(t, server, `
    let answer = "";
    const source = new EventSource("/answer");
    source.onmessage = (event) => {
      if (event.data === "[DONE]") {
        source.close();
        console.log(answer);
        return;
      }
      answer += JSON.parse(event.data).choices[0].delta.content;
    };
  `);
  assert.deepEqual(await logs(1), ["Hello, w\u00f6rld\u{1f30d}"]);
});

test("a promise of the first event, and of the end", async (t) => {
  const server = await serve(t, stream("event: ready\ndata: 1\n\nevent: done\ndata: 2\n\n"));
  const { logs } = page(t, server, `
    (async () => {
      const source = new EventSource("/events");
      const once = (type) => new Promise((resolve, reject) => {
        source.addEventListener(type, resolve, { once: true });
        source.addEventListener("error", reject, { once: true });
      });
      console.log((await once("ready")).data);
      console.log((await once("done")).data);
      source.close();
    })();
  `);
  assert.deepEqual(await logs(2), ["1", "2"]);
});
