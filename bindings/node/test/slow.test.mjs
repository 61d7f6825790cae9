// Listeners that stand still, while the server does not.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { PRELUDE, start, test } from "./harness.mjs";
import { begin, serve, stream, whole } from "./server.mjs";

test("what comes while a listener stands still is told in its order", async (t) => {
  const server = await serve(t, stream("retry: 0\ndata: 1\n\n"), stream("event: x\ndata: 3\n\n"), whole());
  const { child, outcome } = start(t, `${PRELUDE}
    import { readSync, writeSync } from "node:fs";
    const source = new EventSource(url);
    const tell = (event) => writeSync(1, (event.data ?? event.type) + " " + source.readyState + ",");
    for (const type of ["open", "message", "error", "x"]) source.addEventListener(type, tell);
    source.addEventListener("message", () => {
      writeSync(1, "standing,");
      readSync(0, Buffer.alloc(1));
    }, { once: true });
    source.addEventListener("x", () => source.close());
  `, server.url);
  for (let said = ""; !said.includes("standing");) {
    said += (await once(child.stdout, "data"))[0];
  }
  // All of this is one batch.
  server.requests[0].response.end("data: 2\n\n");
  await server.request(2);
  // The answer has as much time as these have.
  for (let round = 0; round < 20; round++) {
    await (await fetch(server.url)).arrayBuffer();
  }
  child.stdin.end("x");
  const { stdout } = await outcome;
  assert.equal(stdout, "open 1,1 1,standing,2 1,error 0,open 1,3 1,");
});

const OFFERED = 64 << 20;
const PIECE = 64 << 10;

test("a slow listener holds up the server, and fills no memory", async (t) => {
  const text = `data: ${"x".repeat(1016)}\n\n`.repeat(PIECE / 1024);
  // What the server's socket has taken.
  let taken = 0;
  const server = await serve(t, async (request, response) => {
    if (request.url === "/ping") {
      response.end();
      return;
    }
    begin(response);
    while (taken < OFFERED && !response.destroyed) {
      await new Promise((resolve) => response.write(text, resolve));
      taken += PIECE;
    }
    response.write("event: end\ndata\n\n");
  });
  // It stands still in its first event until it is told to go on.
  const { child, outcome } = start(t, `${PRELUDE}
    import { readSync, writeSync } from "node:fs";
    const source = new EventSource(url);
    let count = 0;
    source.onmessage = () => {
      if (++count === 1) {
        writeSync(1, "standing\\n");
        readSync(0, Buffer.alloc(1));
      }
    };
    source.addEventListener("end", () => { console.log(count); source.close(); });
  `, server.url);
  await once(child.stdout, "data");
  const before = residentBytes(child.pid);
  // Until the socket takes nothing for a while in which much else goes to and fro.
  for (let seen = -1; seen !== taken;) {
    seen = taken;
    for (let round = 0; round < 100; round++) {
      await (await fetch(`${server.url}ping`)).arrayBuffer();
    }
  }
  const growth = residentBytes(child.pid) - before;
  assert.ok(taken < OFFERED / 4, `${taken} bytes were taken`);
  assert.ok(growth < OFFERED / 4, `${growth} bytes more`);
  child.stdin.end("x");
  const { code, stdout } = await outcome;
  // Nothing is lost by it.
  assert.deepEqual([code, stdout.split("\n").at(-2)], [0, String(OFFERED / 1024)]);
});

// As far as the system tells.
function residentBytes(pid) {
  if (process.platform !== "linux") {
    return 0;
  }
  return 1024 * Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
}
