// Takes a figure: run in a process of its own, which has nothing but one contender in it.
//
//   node --expose-gc measure.mjs CONTENDER ORIGIN MEASUREMENT
//
// prints a line of JSON. Every event is compared with the one that was sent, type, data and id, and
// after the last one nothing may follow until the stream has ended.

import { CONTENDERS, LIMIT } from "./contenders.mjs";
import { Check, events, framed, LAST_CHUNK, PASS_EVENTS, TYPES } from "./workload.mjs";

/** One source at full speed: `passes` after `warmup` passes on a source of their own. */
async function full(open, origin, { workload, chunks, passes, warmup }) {
  const run = (passes) => new Promise((resolve, reject) => {
    const url = `${origin}/full/${workload}/${chunks}/${passes}`;
    const check = new Check(events(workload));
    const total = passes * PASS_EVENTS;
    const totalBytes = open.hearsBytes && framed(workload, chunks).length * passes + LAST_CHUNK.length;
    let from;
    let found;
    let bytes = 0;
    const ended = () => {
      source.close();
      found ? resolve({ ...found, events: total }) : reject(new Error(`it ended after ${check.count} events`));
    };
    const source = open.source({
      url,
      types: workload === "typed" ? TYPES : ["message"],
      onOpen: () => (from = now()),
      onEvent: failing(reject, (type, data, id) => {
        check.event(type, data, id);
        if (check.count === total) {
          found = since(from);
        } else if (check.count > total) {
          throw new Error("more events than were sent");
        }
      }),
      onBytes: (count) => {
        bytes += count;
        if (bytes === totalBytes) {
          found = since(from);
          ended();
        }
      },
      onEnd: ended,
    });
  });
  await run(warmup);
  return run(passes);
}

/** Many sources, each with 50 events a second: what an event costs that comes alone. */
async function paced(open, origin, { workload, sources, events: each, warmup }) {
  const expected = events(workload);
  const total = sources * (warmup + each);
  let count = 0;
  let from;
  return new Promise((resolve, reject) => {
    const opened = Array.from({ length: sources }, () => {
      const check = new Check(expected);
      let bytes = 0;
      return open.source({
        url: `${origin}/paced/${workload}/${warmup + each}`,
        types: ["message"],
        onOpen: () => {},
        onEvent: failing(reject, (type, data, id) => {
          check.event(type, data, id);
          heard();
        }),
        // An event a write is, on a socket that is read, an event a read.
        onBytes: (count) => {
          if (count > 0 && bytes++ < warmup + each) {
            heard();
          }
        },
        onEnd: () => {},
      });
    });
    const heard = () => {
      count += 1;
      if (count === sources * warmup) {
        from = now();
      } else if (count === total) {
        const found = { ...since(from), events: sources * each };
        opened.forEach((source) => source.close());
        resolve(found);
      }
    };
  });
}

/** The memory of many open sources: idle, and after each has taken its passes. */
async function crowd(load, origin, { workload, chunks, sources, passes }) {
  const empty = await residentBytes();
  const open = await load();
  const expected = events(workload);
  const total = sources * passes * PASS_EVENTS;
  const totalBytes = open.hearsBytes && framed(workload, chunks).length * passes * sources;
  let opened = 0;
  let count = 0;
  let allOpen;
  let allHeard;
  let failed;
  const failure = new Promise((_, reject) => (failed = reject));
  const isOpen = new Promise((resolve) => (allOpen = resolve));
  const isHeard = new Promise((resolve) => (allHeard = resolve));
  const all = Array.from({ length: sources }, () => {
    const check = new Check(expected);
    return open.source({
      url: `${origin}/held/${workload}/${chunks}/${passes}`,
      types: ["message"],
      onOpen: () => ++opened === sources && allOpen(),
      onEvent: failing(failed, (type, data, id) => {
        check.event(type, data, id);
        ++count === total && allHeard();
      }),
      onBytes: (bytes) => (count += bytes) === totalBytes && allHeard(),
      onEnd: () => failed(new Error("a source that was open has ended")),
    });
  });
  await Promise.race([isOpen, failure]);
  const idle = await residentBytes();
  const from = now();
  await fetch(`${origin}/go`);
  await Promise.race([isHeard, failure]);
  const found = since(from);
  const taken = await residentBytes();
  all.forEach((source) => source.close());
  const each = (bytes) => (bytes - empty) / sources;
  return { ...found, events: total, idle: each(idle), taken: each(taken) };
}

// A listener that throws would only be told as an uncaught exception, or not at all.
function failing(reject, listener) {
  return (type, data, id) => {
    try {
      listener(type, data, id);
    } catch (error) {
      reject(error);
    }
  };
}

async function residentBytes() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return process.memoryUsage.rss();
}

const now = () => ({ time: process.hrtime.bigint(), cpu: process.cpuUsage() });

function since({ time, cpu }) {
  const seconds = Number(process.hrtime.bigint() - time) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpu: (user + system) / 1e6 };
}

const [name, origin, measurement] = process.argv.slice(2);
const load = async () => ({ source: await CONTENDERS[name].load(), hearsBytes: name === LIMIT });
const { kind, ...parameters } = JSON.parse(measurement);
const found = kind === "crowd"
  ? await crowd(load, origin, parameters)
  : await { full, paced }[kind](await load(), origin, parameters);
console.log(JSON.stringify(found));
process.exit();
