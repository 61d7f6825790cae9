// Sources and the process they are in: what keeps it alive, how it ends, threads and memory.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { EventSource } from "tidings";
import { connect, run, start, test, watch } from "./harness.mjs";
import { begin, serve, stream, whole } from "./server.mjs";

const PRELUDE = `
  import { EventSource, ref, unref } from "tidings";
  const url = process.argv.at(-1);
  const opened = (source) => new Promise((resolve) => { source.onopen = resolve; });
`;

// What came of a program that must end well, and what it said.
async function well(t, program, ...args) {
  const { code, signal, stdout, stderr } = await run(t, `${PRELUDE}${program}`, ...args);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
  return stdout;
}

// Has a program say something, waits for it, and finds that the program is still there after the
// server has heard from it again.
async function staysAlive(t, server, program) {
  const { child } = start(t, `${PRELUDE}${program}`, server.url);
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line");
  assert.equal(line, "idle");
  // Nothing keeps it but its source: a process that had none would be gone long before this one,
  // which begins now.
  await run(t, "0");
  assert.deepEqual([child.exitCode, child.signalCode], [null, null]);
  return child;
}

test("an open source keeps the process alive", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const child = await staysAlive(t, server, 'new EventSource(url).onmessage = () => console.log("idle");');
  const ended = once(child, "close");
  server.requests[0].response.end();
  await once(server.requests[0].response, "close");
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [null, "SIGTERM"]);
});

test("so does one that connects, and one that waits", async (t) => {
  const silent = await serve(t, () => {});
  await staysAlive(t, silent, 'new EventSource(url); console.log("idle");');
  await silent.request(1);
  const ending = await serve(t, whole("retry: 60000\n"));
  await staysAlive(t, ending, 'new EventSource(url).onerror = () => console.log("idle");');
});

test("the process ends when all sources are closed", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const said = await well(t, `
    const sources = [1, 2, 3].map(() => new EventSource(url));
    let count = 0;
    for (const source of sources) {
      source.onmessage = () => {
        console.log(++count);
        source.close();
        source.close();
      };
    }
  `, server.url);
  assert.equal(said, "1\n2\n3\n");
  assert.equal(server.requests.length, 3);
});

test("the process ends when the source has failed for good", async (t) => {
  const server = await serve(t, (_, response) => response.writeHead(404).end());
  assert.equal(await well(t, 'new EventSource(url).onerror = () => console.log("error");', server.url), "error\n");
  assert.equal(await well(t, 'new EventSource("ftp://host/").onerror = () => console.log("error");'), "error\n");
});

test("the process ends at once when the source is closed at once", async (t) => {
  const server = await serve(t, () => {});
  await well(t, "new EventSource(url).close();", server.url);
});

test("unref lets the process end, however much there is to hear", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  for (const program of [
    "unref(new EventSource(url));",
    "new EventSource(url, { tidings: { ref: false } });",
    "const source = new EventSource(url); await opened(source); unref(source); unref(source);",
    "const source = new EventSource(url); unref(source); ref(source); ref(source); unref(source);",
    "const source = new EventSource(url); unref(source); source.close(); ref(source); unref(source);",
    "const source = new EventSource(url); source.close(); unref(source); ref(source);",
    "const source = new EventSource(url, { tidings: { ref: false } }); ref(source); await opened(source); source.close();",
    'import { setDefaults } from "tidings"; setDefaults({ ref: false }); new EventSource(url);',
  ]) {
    await well(t, program, server.url);
  }
});

test("ref keeps it after all, and one source holds for others", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const idle = 'source.onmessage = () => console.log("idle");';
  for (const program of [
    "const source = new EventSource(url, { tidings: { ref: false } }); ref(source);",
    "const source = new EventSource(url); unref(source); ref(source);",
    "unref(new EventSource(url)); const source = new EventSource(url);",
    "const source = new EventSource(url); new EventSource(url).close();",
  ]) {
    const child = await staysAlive(t, server, program + idle);
    child.kill("SIGKILL");
  }
});

test("ref and unref are for sources alone", async () => {
  const { ref, unref } = await import("tidings");
  for (const wrong of [undefined, null, {}, new EventTarget(), 5]) {
    assert.throws(() => ref(wrong), TypeError);
    assert.throws(() => unref(wrong), TypeError);
  }
});

test("an unreferenced source is heard as long as something else holds", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const said = await well(t, `
    const other = setInterval(() => {}, 60_000);
    const source = new EventSource(url, { tidings: { ref: false } });
    source.onmessage = ({ data }) => { console.log(data); clearInterval(other); };
  `, server.url);
  assert.equal(said, "1\n");
});

test("a signal that is aborted before closes the source from the start", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const source = connect(t, server.url, { tidings: { signal: AbortSignal.abort() } });
  const watched = watch(source);
  assert.equal(source.readyState, EventSource.CLOSED);
  assert.equal(source.url, server.url);
  await watch(connect(t, server.url)).data(1);
  assert.deepEqual(watched.rest(), []);
  assert.equal(server.requests.length, 1);
  await well(t, "new EventSource(url, { tidings: { signal: AbortSignal.abort() } });", server.url);
});

test("a signal that is aborted later closes the source, with no event", async (t) => {
  const server = await serve(t, stream("data: 1\n\ndata: 2\n\n"));
  const controller = new AbortController();
  const source = connect(t, server.url, { tidings: { signal: controller.signal } });
  const watched = watch(source);
  source.onmessage = () => controller.abort();
  await watched.data(1);
  assert.equal(source.readyState, EventSource.CLOSED);
  await server.requests[0].gone;
  await watch(connect(t, server.url)).data(2);
  assert.deepEqual(watched.rest(), []);
});

test("a signal for many sources is not held by those that are closed", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  await well(t, `
    process.on("warning", (warning) => console.error(warning.name));
    const { signal } = new AbortController();
    for (let count = 0; count < 50; count++) {
      new EventSource(url, { tidings: { signal } }).close();
    }
  `, server.url);
});

test("process.exit in a listener, and sources that are open then", async (t) => {
  const server = await serve(t, stream("data: 1\n\n".repeat(10_000)));
  const { code, signal, stdout } = await run(t, `${PRELUDE}
    for (let count = 0; count < 10; count++) new EventSource(url);
    new EventSource(url).onmessage = () => { console.log("out"); process.exit(7); };
  `, server.url);
  assert.deepEqual({ code, signal, stdout }, { code: 7, signal: null, stdout: "out\n" });
});

test("the process ends in the middle of streams, over and over", async (t) => {
  const server = await serve(t, flood);
  for (let round = 0; round < 5; round++) {
    await well(t, `
      const sources = Array.from({ length: 20 }, () => new EventSource(url, { tidings: { ref: false } }));
      let count = 0;
      const done = new Promise((resolve) => {
        sources.forEach((source) => { source.onmessage = () => ++count === 500 && resolve(); });
      });
      const other = setInterval(() => {}, 60_000);
      await done;
      clearInterval(other);
    `, server.url);
  }
});

test("a thousand sources, opened and closed", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const said = await well(t, `
    const sources = Array.from({ length: 1000 }, () => new EventSource(url));
    let count = 0;
    await Promise.all(sources.map((source) => new Promise((resolve) => {
      source.onmessage = () => { count++; resolve(); };
      source.onerror = () => { console.log("error"); resolve(); };
    })));
    console.log(count);
    sources.forEach((source) => source.close());
  `, server.url);
  assert.equal(said, "1000\n");
  await Promise.all(server.requests.map((request) => request.gone));
});

test("sources that are opened and closed at once, and forgotten", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  await well(t, `
    for (let count = 0; count < 2000; count++) {
      const source = new EventSource(url);
      if (count % 100 === 0) await opened(source);
      source.close();
    }
  `, server.url);
});

test("worker threads have sources of their own, and may be terminated in the middle", async (t) => {
  const server = await serve(t, flood);
  const said = await well(t, `
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    const program = \`
      const { parentPort, workerData } = require("node:worker_threads");
      const { EventSource } = require("tidings");
      let count = 0;
      for (let number = 0; number < 5; number++) {
        new EventSource(workerData).onmessage = () => ++count === 100 && parentPort.postMessage("going");
      }
    \`;
    const mine = new EventSource(url);
    for (let round = 0; round < 3; round++) {
      const workers = [1, 2, 3].map(() => new Worker(program, { eval: true, execArgv: [], workerData: url }));
      await Promise.all(workers.map((worker) => once(worker, "message")));
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    // Those of this thread go on.
    await new Promise((resolve) => { mine.onmessage = resolve; });
    mine.close();
    console.log("done");
  `, server.url);
  assert.equal(said, "done\n");
  // All connections are closed, with nobody left to close them.
  assert.equal(server.requests.length, 46);
  await Promise.all(server.requests.map((request) => request.gone));
});

test("connections of a terminated thread are closed while the process goes on", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const { child, outcome } = start(t, `
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    const program = \`
      const { parentPort, workerData } = require("node:worker_threads");
      const { EventSource } = require("tidings");
      new EventSource(workerData).onmessage = () => parentPort.postMessage("going");
    \`;
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: process.argv.at(-1) });
    await once(worker, "message");
    await worker.terminate();
    process.stdin.resume();
  `, server.url);
  await (await server.request(1)).gone;
  assert.equal(child.exitCode, null);
  child.stdin.end();
  const { code, signal } = await outcome;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
});

test("a worker thread that exits or fails in a listener takes nobody along", async (t) => {
  const server = await serve(t, flood);
  const said = await well(t, `
    import { Worker } from "node:worker_threads";
    for (const last of ["process.exit(3)", "throw new Error('mine')"]) {
      const worker = new Worker(\`
        const { EventSource } = require("tidings");
        const url = require("node:worker_threads").workerData;
        let count = 0;
        for (let number = 0; number < 5; number++) {
          new EventSource(url).onmessage = () => { if (++count === 100) \${last}; };
        }
      \`, { eval: true, execArgv: [], workerData: url });
      worker.on("error", (error) => console.log(error.message));
      const [code] = await new Promise((resolve) => worker.on("exit", (...args) => resolve(args)));
      console.log("exit", code);
    }
  `, server.url);
  assert.equal(said, "exit 3\nmine\nexit 1\n");
  await Promise.all(server.requests.map((request) => request.gone));
});

test("a worker thread ends by itself when its sources are closed", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const said = await well(t, `
    import { Worker } from "node:worker_threads";
    const worker = new Worker(\`
      const { EventSource } = require("tidings");
      const source = new EventSource(require("node:worker_threads").workerData);
      source.onmessage = () => source.close();
    \`, { eval: true, execArgv: [], workerData: url });
    worker.on("exit", (code) => console.log("exit", code));
  `, server.url);
  assert.equal(said, "exit 0\n");
});

const MIB = 1 << 20;
const OFFERED = 64 * MIB;

test("a slow listener holds up the server, and fills no memory", async (t) => {
  const text = `data: ${"x".repeat(1017)}\n\n`;
  const server = await serve(t, (request, response) => {
    if (request.url === "/ping") {
      response.end();
      return;
    }
    begin(response);
    for (let left = OFFERED; left > 0; left -= MIB) {
      response.write(text.repeat(1024));
    }
    response.write("event: end\ndata\n\n");
  });
  // It stands still in its first event until it is told to go on.
  const { child, outcome } = start(t, `${PRELUDE}
    import { readSync } from "node:fs";
    const source = new EventSource(url);
    let count = 0;
    source.onmessage = () => {
      if (++count === 1) {
        console.log("standing");
        readSync(0, Buffer.alloc(1));
      }
    };
    source.addEventListener("end", () => { console.log(count); source.close(); });
  `, server.url);
  await once(child.stdout, "data");
  const before = residentBytes(child.pid);
  const { response } = server.requests[0];
  // Until the socket takes nothing for a while in which much else goes to and fro.
  for (let sent = -1; sent !== sentBytes(response);) {
    sent = sentBytes(response);
    for (let round = 0; round < 100; round++) {
      await (await fetch(`${server.url}ping`)).arrayBuffer();
    }
  }
  const taken = sentBytes(response);
  const growth = residentBytes(child.pid) - before;
  assert.ok(taken < OFFERED / 4, `${taken} bytes were taken`);
  assert.ok(growth < OFFERED / 4, `${growth} bytes more`);
  child.stdin.end("x");
  const { code, stdout } = await outcome;
  // Nothing is lost by it.
  assert.deepEqual([code, stdout.split("\n").at(-2)], [0, String(OFFERED / 1024)]);
});

// As many bytes as the socket has taken.
function sentBytes(response) {
  return response.socket.bytesWritten - response.socket.writableLength;
}

// As far as the system tells.
function residentBytes(pid) {
  if (process.platform !== "linux") {
    return 0;
  }
  return 1024 * Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
}

// An answer that never ends, as fast as it is taken.
function flood(_, response) {
  begin(response);
  const text = "data: 1\n\n".repeat(500);
  const more = () => {
    while (!response.destroyed && response.write(text));
  };
  response.on("drain", more);
  more();
}
