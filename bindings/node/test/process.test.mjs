// Sources and the process they are in: what keeps it alive, and how it ends.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { EventSource } from "tidings";
import { PRELUDE, connect, run, start, test, watch, well } from "./harness.mjs";
import { flood, serve, stream, whole } from "./server.mjs";

// Waits until a program says that it is idle, and finds that it stays.
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
    "const source = new EventSource(url); unref(source); source.close(); ref(source);",
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
    "const other = new EventSource(url); other.close(); unref(other); const source = new EventSource(url);",
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

test("closed sources are collected, and open ones are not", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const said = await well(t, `
    import { setFlagsFromString } from "node:v8";
    import { runInNewContext } from "node:vm";
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc");
    const turn = () => new Promise((resolve) => setTimeout(resolve));
    let heard = 0;
    const open = async (closes) => {
      const source = new EventSource(url);
      await new Promise((resolve) => {
        source.onmessage = () => { heard++; resolve(); };
      });
      if (closes) source.close();
      return new WeakRef(source);
    };
    const closed = await Promise.all(Array.from({ length: 50 }, () => open(true)));
    const left = await Promise.all(Array.from({ length: 5 }, () => open(false)));
    const alive = (refs) => refs.filter((ref) => ref.deref()).length;
    // A weak reference holds until its task is over, and a promise that was awaited holds the last.
    do {
      await turn();
      gc();
    } while (alive(closed) > 5);
    console.log(heard, alive(left));
    left.forEach((ref) => ref.deref().close());
  `, server.url);
  assert.equal(said, "55 5\n");
});
