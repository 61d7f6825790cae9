// What the tests of sources have in common: deadlines, sources that end with their test, and waiting
// for what becomes of them.

import assert from "node:assert/strict";
import nodeTest from "node:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { EventSource } from "tidings";

/** A test that has failed when it is not through in time. */
export function test(name, body) {
  nodeTest(name, { timeout: 20_000 }, body);
}

/** A source that is closed with the test. */
export function connect(t, url, init) {
  const source = new EventSource(url, init);
  t.after(() => source.close());
  return source;
}

/** What becomes of a source: `open`, `error`, and the messages of these types, in their order. */
export function watch(source, ...types) {
  const events = [];
  let wake = () => {};
  for (const type of new Set(["open", "message", "error", ...types])) {
    source.addEventListener(type, (event) => {
      events.push(event);
      wake();
    });
  }
  const next = async () => {
    while (events.length === 0) {
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
    return events.shift();
  };
  return {
    /** The next event. */
    next,
    /** The next event of this type, whatever comes before it. */
    async nextOf(type) {
      let event;
      do {
        event = await next();
      } while (event.type !== type);
      return event;
    },
    /** The data of as many messages, whatever else comes between them. */
    async data(count) {
      const data = [];
      while (data.length < count) {
        const event = await next();
        if (event instanceof MessageEvent) {
          data.push(event.data);
        }
      }
      return data;
    },
    /** What has come since it was looked at last, in short. */
    rest: () => events.splice(0).map((event) => event.data ?? event.type),
  };
}

/** A message in short: its type, its data and its id. */
export function brief(event) {
  return [event.type, event.data, event.lastEventId];
}

/** The package, where programs of its own find it by its name. */
export const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** A program of its own, whose `process.argv` ends with `args`. It is killed with the test. */
export function start(t, program, ...args) {
  const node = ["--input-type=module", "--eval", program, "--", ...args];
  const child = spawn(process.execPath, node, { cwd: PACKAGE });
  t.after(() => child.kill("SIGKILL"));
  const lines = child.stdout.setEncoding("utf8");
  const outcome = Promise.all([once(child, "close"), text(lines), text(child.stderr)]).then(
    ([[code, signal], stdout, stderr]) => ({ code, signal, stdout, stderr }),
  );
  return { child, outcome };
}

/** What came of a program: its exit code, its signal, and what it wrote. */
export function run(t, program, ...args) {
  return start(t, program, ...args).outcome;
}

/** What programs begin with; their last argument is a URL. */
export const PRELUDE = `
  import { EventSource, ref, unref } from "tidings";
  const url = process.argv.at(-1);
  const opened = (source) => new Promise((resolve) => { source.onopen = resolve; });
`;

/** What a program said, which is given this beginning and must end well. */
export async function well(t, program, ...args) {
  const { code, signal, stdout, stderr } = await run(t, `${PRELUDE}${program}`, ...args);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
  return stdout;
}
