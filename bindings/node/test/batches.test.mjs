// Large events, many events, and the text around them: events cross to JavaScript in batches, which
// nobody must be able to see.

import assert from "node:assert/strict";
import { brief, connect, test, watch } from "./harness.mjs";
import { begin, serve, stream } from "./server.mjs";

const SEED = Number(process.env.SEED ?? 20_261_121);

test("events larger than a batch", async (t) => {
  const lengths = [1, 65_535, 65_536, 65_537, 200_000, 1 << 20, 3, (1 << 20) + 1, 0];
  const texts = lengths.map((length, number) => String.fromCharCode(97 + number).repeat(length));
  const server = await serve(t, stream(...texts.map((text) => `data:${text}\n\n`)));
  assert.deepEqual(await watch(connect(t, server.url)).data(texts.length), texts);
});

test("a large event of many lines, in one-byte characters and others", async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, number) => `${number} ü \u{1f600}`);
  const text = lines.map((line) => `data: ${line}\n`).join("");
  const server = await serve(t, stream(`${text}\n`, "data: end\n\n"));
  const [data, end] = await watch(connect(t, server.url)).data(2);
  assert.equal(data, lines.join("\n"));
  assert.equal(end, "end");
});

test("a large type and a large id", async (t) => {
  const type = "ü".repeat(30_000);
  const id = "\u{1f600}".repeat(15_000);
  const server = await serve(t, stream(`event: ${type}\nid: ${id}\ndata: 1\n\ndata: 2\n\n`));
  const watched = watch(connect(t, server.url), type);
  await watched.nextOf("open");
  assert.deepEqual(brief(await watched.next()), [type, "1", id]);
  assert.deepEqual(brief(await watched.next()), ["message", "2", id]);
});

test("many tiny events in a chunk", async (t) => {
  for (const count of [1023, 1024, 1025, 2047, 2048, 2049, 10_000]) {
    const numbers = Array.from({ length: count }, (_, number) => String(number));
    const server = await serve(t, stream(numbers.map((number) => `data:${number}\n\n`).join("")));
    assert.deepEqual(await watch(connect(t, server.url)).data(count), numbers);
  }
});

test("many empty events", async (t) => {
  const server = await serve(t, stream(`${"data\n\n".repeat(3000)}event: end\ndata\n\n`));
  const watched = watch(connect(t, server.url), "end");
  const data = await watched.data(3001);
  assert.ok(data.every((text) => text === ""));
});

test("texts are cut where JavaScript counts", async (t) => {
  // Of one, two, three and four bytes, and of one or two units; surrogates stay together.
  const pieces = ["a", "ü", "…", "\u{1f600}", "\ufffd", "\uffff", "e\u0301", "👩‍👩‍👧", "\u2028", "\0"];
  const expected = pieces.flatMap((one) => pieces.map((other) => [`${one}t`, `${other}${one}`, `${other}i`]));
  const text = expected.map(([type, data, id]) => `event:${type}\nid:${id}\ndata:${data}\n\n`).join("");
  // An id that has NUL does not count.
  const ids = expected.map(([, , id]) => id);
  ids.forEach((id, at) => {
    expected[at][2] = id.includes("\0") ? ids[at - 1] : id;
    ids[at] = expected[at][2];
  });
  const server = await serve(t, stream(text));
  const watched = watch(connect(t, server.url), ...pieces.map((piece) => `${piece}t`));
  await watched.nextOf("open");
  for (const one of expected) {
    assert.deepEqual(brief(await watched.next()), one);
  }
});

test("types and ids that repeat and change", async (t) => {
  const expected = [];
  let text = "";
  let id = "";
  for (let number = 0; number < 2000; number++) {
    const type = ["message", "a", "b", "message"][(number >> 2) % 4];
    const change = ["", "id: 1\n", "id: 2\n", "id:\n"][(number >> 3) % 4];
    id = change === "" ? id : change.slice(4, -1);
    text += `${type === "message" ? "" : `event: ${type}\n`}${change}data: ${number}\n\n`;
    expected.push([type, `${number}`, id]);
  }
  const server = await serve(t, stream(text));
  const watched = watch(connect(t, server.url), "a", "b");
  await watched.nextOf("open");
  for (const one of expected) {
    assert.deepEqual(brief(await watched.next()), one);
  }
});

test("a type and an id that repeat over a reconnect", async (t) => {
  const one = "event: a\nid: 1\ndata: x\n\n";
  const server = await serve(
    t,
    (request, response) => {
      stream(`retry: 0\n${one}`)(request, response);
      response.end();
    },
    stream(`event: a\ndata: x\n\n${one}data: y\n\n`),
  );
  const watched = watch(connect(t, server.url), "a");
  const events = [];
  while (events.length < 4) {
    const event = await watched.next();
    if (event instanceof MessageEvent) {
      events.push(brief(event));
    }
  }
  assert.deepEqual(events, [["a", "x", "1"], ["a", "x", "1"], ["a", "x", "1"], ["message", "y", "1"]]);
});

test(`streams by chance (SEED=${SEED})`, async (t) => {
  const random = generator(SEED);
  const pick = (list) => list[random(list.length)];
  for (let round = 0; round < 20; round++) {
    const { text, expected, types } = streamByChance(random, pick);
    const data = Buffer.from(text);
    const server = await serve(t, async (_, response) => {
      begin(response);
      for (let at = 0; at < data.length;) {
        const length = pick([1, 2, 10, 1000, 16_384, 100_000]);
        response.write(data.subarray(at, (at += length)));
        if (random(4) === 0) {
          await new Promise(setImmediate);
        }
      }
    });
    const source = connect(t, server.url);
    const watched = watch(source, ...types);
    await watched.nextOf("open");
    for (const [number, one] of expected.entries()) {
      assert.deepEqual(brief(await watched.next()), one, `SEED=${SEED}, round ${round}, event ${number}`);
    }
    source.close();
  }
});

// A stream, and the events that it stands for.
function streamByChance(random, pick) {
  const types = ["message", "a", "ü", "\u{1f600}"];
  const expected = [];
  let text = pick(["", "\ufeff"]);
  let lastEventId = "";
  for (let number = 0; number < 300; number++) {
    const end = pick(["\n", "\r\n", "\r"]);
    const type = pick(types);
    const fields = [];
    if (type !== "message" || random(8) === 0) {
      fields.push(`event: ${type}`);
    }
    if (random(3) === 0) {
      lastEventId = pick(["", "1", "2", "ü", `\u{1f600}${number}`]);
      fields.push(`id: ${lastEventId}`);
    }
    const lines = Array.from({ length: 1 + random(3) }, () => pick(["", "x", " ü", "\u{1f600}:"]).repeat(pick([1, 1, 1, 10, 1000])));
    fields.push(...lines.map((line) => `data: ${line}`));
    // In any order, but for the lines of data among themselves.
    fields.sort((a, b) => (a.startsWith("data") && b.startsWith("data") ? 0 : random(3) - 1));
    const data = fields.filter((field) => field.startsWith("data")).map((field) => field.slice(6));
    text += `${fields.join(end)}${end}${pick(["", `: a comment${end}`])}${end}`;
    expected.push([type, data.join("\n"), lastEventId]);
  }
  return { text, expected, types };
}

// Whole numbers below a bound, the same for the same seed: Mulberry32.
function generator(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
