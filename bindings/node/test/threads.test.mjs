// Sources in worker threads, which end when and how they like.

import assert from "node:assert/strict";
import { start, test, well } from "./harness.mjs";
import { flood, serve, stream } from "./server.mjs";

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
