// The programs of the guide and of the package's front page, each of which prints what stands below it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { feed, open } from "./feed.mjs";
import { node } from "./run.mjs";

const home = new URL("..", import.meta.url);

for (const document of ["README.md", "../../docs/nodejs.md"]) {
  const text = await readFile(new URL(document, home), "utf8");
  const programs = [...text.matchAll(/^```js\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?/gms)];
  test(`${document} has programs`, () => assert.ok(programs.length > 0));
  for (const [index, [whole, program, prints]] of programs.entries()) {
    const line = text.slice(0, text.indexOf(whole)).split("\n").length;
    test(`${document}, program ${index + 1} at line ${line}`, { timeout: 60_000 }, async (t) => {
      assert.ok(prints !== undefined, "it says below what it prints");
      const origin = await feed(t, answer);
      const here = program.replaceAll("https://example.com", origin);
      // In the package's own folder, `tidings` is the package itself.
      const { stdout } = await node(["--input-type=module", "--eval", here], { cwd: fileURLToPath(home) });
      assert.equal(stdout.replaceAll(origin, "https://example.com"), prints);
    });
  }
}

/** What example.com has. */
function answer(request, response) {
  const { url, headers } = request;
  const path = new URL(url, "http://localhost").pathname;
  switch (path) {
    case "/rooms/42":
      return room(headers["last-event-id"], response);
    case "/clock": {
      const client = headers["x-client"] ? `, ${headers["x-client"]}` : "";
      return open(response, `data: Twelve o'clock${client}.\n\n`);
    }
    case "/account":
      return headers.authorization === "Bearer abc"
        ? open(response, "data: Your balance is 7.\n\n")
        : response.writeHead(401).end();
    case "/v1/chat/completions":
      return completion(request, response);
    case "/private":
      response.setHeader("set-cookie", "session=8; Path=/; HttpOnly");
      return open(response, `data: You are ${headers.cookie}.\n\n`);
    case "/quiet":
      return open(response, ": nothing\n\n");
    case "/burst":
      return open(response, "data: 1\n\ndata: 2\n\nevent: done\ndata\n\n");
    default:
      return response.writeHead(404).end();
  }
}

function room(id, response) {
  if (id === undefined) {
    open(response, "retry: 100\nid: 1\ndata: Hello.\n\nevent: join\ndata: Ada\n\n");
  } else if (id === "1") {
    open(response, "id: 2\ndata: Welcome back.\n\n");
  } else {
    response.statusCode = 204;
  }
  response.end();
}

function completion({ method, headers, text }, response) {
  assert.equal(method, "POST");
  assert.equal(headers.authorization, "Bearer sk-1");
  const { stream, messages } = JSON.parse(text);
  assert.ok(stream && messages[0].content === "Why?");
  const tokens = ["Because", " it is."].map((content) => ({ choices: [{ delta: { content } }] }));
  const events = [...tokens.map((token) => JSON.stringify(token)), "[DONE]"];
  open(response, events.map((data) => `data: ${data}\n\n`).join(""));
}
