// Sources among other things of a process: asynchronous contexts, timers, and an odd environment.

import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { writeFile, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { EventSource } from "tidings";
import { PACKAGE, PRELUDE, connect, test, watch } from "./harness.mjs";
import { serve, stream, whole } from "./server.mjs";

test("each source has the asynchronous context of whoever made it", async (t) => {
  const server = await serve(t, whole("retry: 0\ndata: 1\n\n"), stream("data: 2\n\n"), stream("data: 3\n\n"));
  const storage = new AsyncLocalStorage();
  const seen = [];
  for (const name of ["a", "b"]) {
    await storage.run(name, () => new Promise((resolve) => {
      const headers = () => {
        seen.push(`headers ${storage.getStore()}`);
      };
      const source = connect(t, server.url, { tidings: { headers } });
      source.onmessage = ({ data }) => {
        seen.push(`message ${storage.getStore()}`);
        if (data !== "1") {
          resolve();
        }
      };
    }));
  }
  assert.deepEqual(seen, [
    "headers a", "message a", "headers a", "message a",
    "headers b", "message b",
  ]);
});

test("a slow listener leaves timers their turn, and loses nothing", async (t) => {
  const events = Array.from({ length: 500 }, (_, number) => `data: ${number}\n\n`);
  const server = await serve(t, stream(events.join("")));
  const source = connect(t, server.url);
  const seen = [];
  let seenByTimer = null;
  const all = new Promise((resolve) => {
    source.onmessage = ({ data }) => {
      if (seen.length === 0) {
        setTimeout(() => {
          seenByTimer = seen.length;
        }, 1);
      }
      seen.push(Number(data));
      const until = performance.now() + 2;
      while (performance.now() < until) {
        // It is at work.
      }
      if (seen.length === events.length) {
        resolve();
      }
    };
  });
  await all;
  assert.deepEqual(seen, events.map((_, number) => number));
  assert.ok(seenByTimer < events.length / 2, `${seenByTimer}`);
});

test("a function for headers may throw what is no text", async (t) => {
  const server = await serve(t, stream());
  const noText = { get message() { throw new Error("no"); } };
  for (const thrown of [Symbol("s"), Object.create(null), noText]) {
    const reason = await new Promise((resolve) => {
      const headers = () => {
        throw thrown;
      };
      const source = connect(t, server.url, { tidings: { headers, onDisconnect: ({ reason }) => {
        source.close();
        resolve(reason);
      } } });
    });
    assert.match(reason, /tidings\.headers/);
  }
  assert.equal(server.requests.length, 0);
});

test("headers that follow from the body are refused", () => {
  for (const name of ["Content-Length", "transfer-encoding"]) {
    const options = { tidings: { headers: { [name]: "1" }, method: "POST", body: "abc" } };
    assert.throws(() => new EventSource("http://127.0.0.1:1/", options), { name: "TypeError", message: /tidings\.body/ });
  }
});

test("a method whose answer has no body is refused", () => {
  const options = { tidings: { method: "head" } };
  assert.throws(() => new EventSource("http://127.0.0.1:1/", options), { name: "TypeError", message: /tidings\.method/ });
});

test("what is wrong with a listener is told to whoever adds it, also during an event", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\n"));
  const source = connect(t, server.url);
  const seen = [];
  const options = { once: true };
  source.addEventListener("message", () => {
    const add = (options) => () => source.addEventListener("message", () => seen.push("never"), options);
    assert.throws(add({ signal: {} }), TypeError);
    assert.throws(() => source.addEventListener("message", 5), TypeError);
    source.addEventListener("message", ({ data }) => seen.push(data), options);
    options.once = false;
  }, { once: true });
  await watch(source).data(2);
  assert.deepEqual(seen, ["2"]);
});

test("certificates of the environment that cannot be read are left out, and it is said", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tidings-"));
  const path = join(folder, "ca.pem");
  await writeFile(path, "no certificate");
  const server = await serve(t, stream("data: 1\n\n"));
  const program = `${PRELUDE}
    const source = new EventSource(url);
    source.onmessage = ({ data }) => { console.log(data); source.close(); };
  `;
  const child = spawn(
    process.execPath,
    ["--input-type=module", "--eval", program, "--", server.url],
    { cwd: PACKAGE, env: { ...process.env, NODE_EXTRA_CA_CERTS: path } },
  );
  t.after(() => child.kill("SIGKILL"));
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  assert.deepEqual({ stdout, code }, { stdout: "1\n", code: 0 });
  assert.match(stderr, /NODE_EXTRA_CA_CERTS/);
});
