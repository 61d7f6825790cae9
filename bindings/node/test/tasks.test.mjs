// Each event is a task of its own, however it is made one: by the ticks that Node.js does between two
// immediates, or by an immediate each where those cannot be called.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PACKAGE = fileURLToPath(new URL("../lib/index.mjs", import.meta.url));
const EVENTS = 700;

// Says what happened, in order. Every hundredth event has a listener that throws, and after 650 the
// source is closed by something that an event before has left to a tick.
const PROGRAM = `
  import { EventSource } from ${JSON.stringify(PACKAGE)};
  const said = [];
  process.on("uncaughtException", (error) => said.push(error.message));
  const source = new EventSource(process.argv[1]);
  source.onmessage = async ({ data }) => {
    said.push("event " + data);
    process.nextTick(() => said.push("tick " + data));
    queueMicrotask(() => said.push("microtask " + data));
    if (data === "650") {
      process.nextTick(() => {
        source.close();
        process.stdout.write(JSON.stringify(said));
      });
    }
    await null;
    await null;
    await null;
    process.nextTick(() => said.push("late " + data));
  };
  source.addEventListener("message", ({ data }) => {
    if (data % 100 === 0) {
      throw new Error("thrown " + data);
    }
  });
`;

test("what a listener left is done before the next event", async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(Array.from({ length: EVENTS }, (_, number) => `data: ${number}\n\n`).join(""));
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  const saidWith = async (...flags) => {
    const argv = [...flags, "--input-type=module", "-e", PROGRAM, url];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, argv, { timeout: 20_000 });
    assert.equal(stderr, "");
    return JSON.parse(stdout);
  };

  // The second has an immediate for each event. There, after something was thrown, Node.js goes on with
  // the next immediate before what else was left.
  for (const [flags, isStrictThen] of [[[], true], [["--pending-deprecation"], false]]) {
    const said = await saidWith(...flags);
    const events = said.filter((what) => what.startsWith("event"));
    assert.deepEqual(events, Array.from({ length: 651 }, (_, number) => `event ${number}`));
    assert.equal(said.filter((what) => what.startsWith("thrown")).length, 7);
    assert.deepEqual(said.slice(-2), ["event 650", "tick 650"]);
    const quiet = said.filter((what) => !what.startsWith("thrown"));
    for (let number = 0; number < 650; number++) {
      if (isStrictThen || number % 100 > 1) {
        const expected = ["event", "tick", "microtask", "late"].map((what) => `${what} ${number}`);
        assert.deepEqual(quiet.slice(4 * number, 4 * number + 4), expected);
      }
    }
  }
});
