// Which responses are event streams, and which end a source for good.

import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { EventSource } from "tidings";
import { brief, connect, test, watch } from "./harness.mjs";
import { begin, redirect, serve, status, stream, whole } from "./server.mjs";

const EVENT = "data: 1\n\n";

// A source that must fail for good: why it did, and all that it heard.
async function failure(t, url, tidings = {}) {
  const disconnections = [];
  const source = connect(t, url, { tidings: { ...tidings, onDisconnect: (why) => disconnections.push(why) } });
  const watched = watch(source);
  const error = await watched.next();
  assert.deepEqual([error.type, error.constructor], ["error", Event]);
  assert.equal(source.readyState, EventSource.CLOSED);
  assert.equal(disconnections.length, 1);
  assert.equal(disconnections[0].delay, null);
  assert.deepEqual(watched.rest(), []);
  return disconnections[0].reason;
}

// An answer with this Content-Type, written as it is, and an event. It ends, as a refusal is read to
// its end.
function typed(contentType) {
  return (_, response) => {
    response.writeHead(200, contentType === null ? {} : { "content-type": contentType });
    response.end(EVENT);
  };
}

test("an event stream by any spelling of its type", async (t) => {
  for (const type of [
    "text/event-stream",
    "text/event-stream;",
    "TEXT/Event-Stream",
    "text/event-stream; charset=utf-8",
    "text/event-stream;charset=windows-1251",
    "text/event-stream ; x=\"a,b\"",
    "\ttext/event-stream\t",
    "text/html, text/event-stream",
  ]) {
    const server = await serve(t, typed(type));
    assert.deepEqual(await watch(connect(t, server.url)).data(1), ["1"], type);
  }
});

test("a charset changes nothing", async (t) => {
  const server = await serve(t, (_, response) => {
    begin(response, { "content-type": "text/event-stream;charset=iso-8859-1" });
    response.write("data: ü…\n\n");
  });
  assert.deepEqual(await watch(connect(t, server.url)).data(1), ["ü…"]);
});

test("anything else is no event stream", async (t) => {
  for (const type of [
    null,
    "",
    "text/plain",
    "text/event-streams",
    "text/x-bogus",
    "text/event-stream charset=utf-8",
    "text/event-stream, text/html",
    "application/json",
    "text",
  ]) {
    const server = await serve(t, typed(type));
    assert.match(await failure(t, server.url), /text\/event-stream/, String(type));
    assert.equal(server.requests.length, 1);
  }
});

test("a response that will not be read is not kept, though it goes on", async (t) => {
  const server = await serve(t, (_, response) => {
    begin(response, { "content-type": "text/plain" });
    response.write(EVENT);
  });
  await failure(t, server.url);
  await server.requests[0].gone;
});

test("any status but 200 ends the source for good", async (t) => {
  const codes = [201, 202, 204, 205, 206, 210, 299, 300, 304, 305, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 599];
  const server = await serve(t, (request, response) => {
    status(Number(request.url.slice(1)), { "retry-after": "0" })(request, response);
  });
  for (const code of codes) {
    assert.match(await failure(t, `${server.url}${code}`), new RegExp(`\\b${code}\\b`));
  }
  // A source whose stream ends would come back in this time, and does.
  const ending = await serve(t, whole(EVENT));
  connect(t, ending.url);
  await ending.request(2);
  assert.deepEqual(server.paths, codes.map((code) => `/${code}`));
});

test("a source that was open fails for good by the answer to its next attempt", async (t) => {
  const server = await serve(t, whole(`retry: 0\n${EVENT}`), status(204));
  const source = connect(t, server.url);
  const states = [];
  for (const type of ["open", "message", "error"]) {
    source.addEventListener(type, () => states.push([type, source.readyState]));
  }
  const watched = watch(source);
  await watched.nextOf("error");
  await watched.nextOf("error");
  assert.deepEqual(states, [["open", 1], ["message", 1], ["error", 0], ["error", 2]]);
  assert.equal(server.requests.length, 2);
});

test("the resilient profile outlasts what strict does not", async (t) => {
  const server = await serve(t, status(503), status(429), stream(EVENT));
  const delays = [];
  const tidings = { profile: "resilient", onDisconnect: ({ delay }) => delays.push(delay) };
  const source = connect(t, server.url, { tidings });
  const watched = watch(source);
  await watched.nextOf("error");
  assert.equal(source.readyState, EventSource.CONNECTING);
  assert.equal(typeof delays[0], "number");
  assert.ok(delays[0] >= 3000, `${delays[0]}`);
});

test("what a request says", async (t) => {
  const server = await serve(t, stream(EVENT));
  await watch(connect(t, `${server.url}path?query`)).data(1);
  const [request] = server.requests;
  assert.equal(request.method, "GET");
  assert.equal(request.url, "/path?query");
  assert.equal(request.headers.accept, "text/event-stream");
  assert.equal(request.headers["cache-control"], "no-cache");
  assert.equal(request.headers["accept-encoding"], "identity");
  for (const absent of ["last-event-id", "origin", "cookie", "content-length", "transfer-encoding", "authorization"]) {
    assert.equal(absent in request.headers, false, absent);
  }
});

test("lastEventId is sent from the start, as UTF-8", async (t) => {
  const server = await serve(t, stream("data: 1\n\nid:\ndata: 2\n\n"));
  const watched = watch(connect(t, server.url, { tidings: { lastEventId: "ü 7" } }));
  await watched.nextOf("open");
  assert.equal(Buffer.from(server.requests[0].headers["last-event-id"], "latin1").toString(), "ü 7");
  assert.deepEqual(brief(await watched.next()), ["message", "1", "ü 7"]);
  assert.deepEqual(brief(await watched.next()), ["message", "2", ""]);
});

test("a stream that is compressed unasked is refused, with the reason", async (t) => {
  const server = await serve(t, (_, response) => {
    begin(response, { "content-encoding": "gzip" });
    response.end(gzipSync(EVENT));
  });
  assert.match(await failure(t, server.url), /compressed \(gzip\)/);
});

test("redirects are followed, and the url is the same as ever", async (t) => {
  for (const code of [301, 302, 303, 307, 308]) {
    const target = await serve(t, stream(EVENT));
    const server = await serve(t, redirect(code, `${target.url}there?a#f`));
    const source = connect(t, `${server.url}here`);
    const watched = watch(source);
    await watched.nextOf("open");
    assert.equal(source.url, `${server.url}here`);
    const message = await watched.next();
    assert.equal(message.origin, target.origin);
    assert.deepEqual(server.paths, ["/here"]);
    assert.deepEqual(target.paths, ["/there?a"]);
    assert.equal(target.requests[0].headers.accept, "text/event-stream");
    assert.equal(source.url, `${server.url}here`);
  }
});

test("a relative redirect is of the URL it came from", async (t) => {
  const server = await serve(t, redirect(302, "../c?d"), redirect(302, "?e"), stream(EVENT));
  await watch(connect(t, `${server.url}a/b`)).data(1);
  assert.deepEqual(server.paths, ["/a/b", "/c?d", "/c?e"]);
});

test("a redirected source connects again to where it was led", async (t) => {
  const server = await serve(t, redirect(302, "/there"), whole(`id: 7\nretry: 0\n${EVENT}`), stream(EVENT));
  await watch(connect(t, `${server.url}here`)).data(2);
  assert.deepEqual(server.paths, ["/here", "/there", "/there"]);
  assert.equal(server.requests[2].headers["last-event-id"], "7");
});

test("the last event id goes with redirects", async (t) => {
  const server = await serve(t, redirect(307, "/there"), stream(EVENT));
  await watch(connect(t, server.url, { tidings: { lastEventId: "7" } })).data(1);
  assert.deepEqual(server.requests.map((request) => request.headers["last-event-id"]), ["7", "7"]);
});

test("twenty redirects are followed, and no more", async (t) => {
  const twenty = Array.from({ length: 20 }, (_, number) => redirect(302, `/${number}`));
  const server = await serve(t, ...twenty, stream(EVENT));
  await watch(connect(t, server.url)).data(1);
  assert.equal(server.requests.length, 21);

  const endless = await serve(t, redirect(302, "/again"));
  assert.match(await failure(t, endless.url), /20 redirects/);
  assert.equal(endless.requests.length, 21);
});

test("a redirect that leads nowhere ends the source for good", async (t) => {
  for (const location of ["ftp://host/", "http://[", "data:text/event-stream,data:x", "javascript:0"]) {
    const server = await serve(t, redirect(302, location));
    assert.match(await failure(t, server.url), /redirect/);
  }
  const server = await serve(t, status(302));
  assert.match(await failure(t, server.url), /302|redirect/);
});

test("other framings of HTTP/1 are event streams, too", async (t) => {
  const head = "Content-Type: text/event-stream\r\n";
  for (const answer of [
    `HTTP/1.0 200 OK\r\n${head}\r\n${EVENT}`,
    `HTTP/1.1 200 OK\r\n${head}Connection: close\r\n\r\n${EVENT}`,
    `HTTP/1.1 200 OK\r\n${head}Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`,
    `HTTP/1.1 200 Whatever\r\n${head}Transfer-Encoding: chunked\r\nTrailer: x\r\n\r\n9\r\n${EVENT}\r\n0\r\nx: y\r\n\r\n`,
    `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n${head}\r\n${EVENT}`,
  ]) {
    const server = await serve(t, (request) => request.socket.end(answer));
    const seen = watch(connect(t, server.url));
    assert.equal((await seen.next()).type, "open", answer);
    assert.equal((await seen.next()).data, "1", answer);
    assert.equal((await seen.next()).type, "error", answer);
  }
});

test("open comes with the head, before any event", async (t) => {
  const server = await serve(t, (_, response) => begin(response));
  const watched = watch(connect(t, server.url));
  assert.equal((await watched.next()).type, "open");
  server.requests[0].response.write(EVENT);
  assert.equal((await watched.next()).data, "1");
});

test("a refusal is told by its head, where nobody asks for what it says", async (t) => {
  const server = await serve(t, (_, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.write("<p>which does not end");
  });
  const error = await Promise.race([
    watch(connect(t, server.url)).next(),
    // With onDisconnect it would wait for two seconds.
    delay(1_500, { type: "nothing" }, { ref: false }),
  ]);
  assert.equal(error.type, "error");
  await (await server.request(1)).gone;
});
