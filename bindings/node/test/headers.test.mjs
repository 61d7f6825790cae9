// Headers that are made for each attempt, such as a token that is fresh.

import assert from "node:assert/strict";
import { EventSource } from "tidings";
import { connect, test, watch } from "./harness.mjs";
import { redirect, serve, stream, whole } from "./server.mjs";

test("a function is asked before each attempt, and told which it is", async (t) => {
  const server = await serve(t, whole("retry: 0\nid: 7\ndata: 1\n\n"), whole("data: 2\n\n"), stream("data: 3\n\n"));
  const asked = [];
  const headers = async (attempt) => {
    asked.push(attempt);
    await null;
    return { "x-token": `token ${attempt.attempt}` };
  };
  assert.deepEqual(await watch(connect(t, server.url, { tidings: { headers } })).data(3), ["1", "2", "3"]);
  assert.deepEqual(asked, [
    { lastEventId: "", attempt: 1 },
    { lastEventId: "7", attempt: 2 },
    { lastEventId: "7", attempt: 3 },
  ]);
  const sent = server.requests.map((request) => [request.headers["x-token"], request.headers["last-event-id"]]);
  assert.deepEqual(sent, [["token 1", undefined], ["token 2", "7"], ["token 3", "7"]]);
});

test("it may be no promise, and may have nothing to say", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  for (const answer of [undefined, {}, [["x-a", "1"]], new Headers({ "x-a": "1" })]) {
    await watch(connect(t, server.url, { tidings: { headers: () => answer } })).data(1);
  }
  assert.deepEqual(server.requests.map((request) => request.headers["x-a"]), [undefined, undefined, "1", "1"]);
});

test("what it makes stays in its origin", async (t) => {
  const target = await serve(t, whole("retry: 0\ndata: 1\n\n"), stream("data: 2\n\n"));
  const server = await serve(t, redirect(302, target.url), stream("data: 2\n\n"));
  const headers = () => ({ authorization: "Bearer x" });
  await watch(connect(t, server.url, { tidings: { headers } })).data(2);
  for (const request of server.requests) {
    assert.equal(request.headers.authorization, "Bearer x");
  }
  for (const request of target.requests) {
    assert.equal("authorization" in request.headers, false);
  }
});

test("what it cannot make is told, and tried again later", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  for (const wrong of [
    () => {
      throw new Error("no token");
    },
    async () => {
      throw new Error("no token");
    },
    () => 5,
    () => ({ "a b": "c" }),
  ]) {
    let source;
    const why = await new Promise((resolve) => {
      source = connect(t, server.url, { tidings: { headers: wrong, onDisconnect: resolve } });
    });
    assert.match(why.reason, /tidings\.headers/);
    // Asked again after the usual time.
    assert.equal(why.delay, 3000);
    assert.equal(source.readyState, EventSource.CONNECTING);
    source.close();
  }
  assert.equal(server.requests.length, 0);
});

test("a source that is closed while it is asked sends nothing", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  let answer;
  const source = await new Promise((resolve) => {
    const headers = () => new Promise((later) => {
      answer = later;
      resolve(asking);
    });
    const asking = connect(t, server.url, { tidings: { headers } });
  });
  const watched = watch(source);
  source.close();
  answer({});
  await watch(connect(t, server.url)).data(1);
  assert.equal(server.requests.length, 1);
  assert.deepEqual(watched.rest(), []);
});
