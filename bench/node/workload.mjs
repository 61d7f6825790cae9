// What is streamed: a pass of events that is sent again and again, the same in every process.

/** Events of a pass. */
export const PASS_EVENTS = 10_000;

const SEED = 0x7164_696e;

const WORKLOADS = {
  // A line of JSON as language models answer, 100 to 200 bytes, without ids.
  llm: (random) => {
    const created = 1_760_000_000 + (random() % 1_000_000);
    const choices = [{ index: 0, delta: { content: ` ${word(random)}` }, finish_reason: null }];
    return { data: JSON.stringify({ id: `chatcmpl-${random()}`, model: "model-1", created, choices }) };
  },
  // A digit.
  tiny: (random) => ({ data: `${random() % 10}` }),
  // A number with a type and an id.
  typed: (random, number) => ({ type: TYPES[random() % 4], id: `${number}`, data: `${random()}` }),
};

/** The types of `typed`. */
export const TYPES = ["tick", "trade", "quote", "message"];

// Now and then a word that is not ASCII, as an answer has them.
const WORDS = ["the", "event", "of", "and", "stream", "is", "a", "whole", "café", "naïve", "→", "🙂"];

function word(random) {
  const at = random() % 64;
  return at < WORDS.length ? WORDS[at] : WORDS[at % 8];
}

/** How a stream is cut into the chunks of HTTP: a name, and the bytes of a chunk; 0 for an event. */
export const CHUNKS = { event: 0, "16k": 16 << 10 };

/** The events of a pass. */
export function events(workload) {
  const random = xorshift(SEED);
  return Array.from({ length: PASS_EVENTS }, (_, number) => {
    return { type: "message", id: "", ...WORKLOADS[workload](random, number) };
  });
}

/** The bytes of each event of a pass. */
export function blocks(workload) {
  return events(workload).map(({ type, id, data }) => {
    const named = type === "message" ? "" : `event: ${type}\n`;
    return Buffer.from(`${named}${id && `id: ${id}\n`}data: ${data}\n\n`);
  });
}

/** A pass, framed for the chunked transfer coding. */
export function framed(workload, chunks) {
  const each = blocks(workload);
  if (CHUNKS[chunks] === 0) {
    return Buffer.concat(each.map(chunk));
  }
  const whole = Buffer.concat(each);
  const cut = [];
  for (let from = 0; from < whole.length; from += CHUNKS[chunks]) {
    cut.push(chunk(whole.subarray(from, from + CHUNKS[chunks])));
  }
  return Buffer.concat(cut);
}

export function chunk(bytes) {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}

/** What ends a body. */
export const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** Compares what a source hears with what it must. */
export class Check {
  count = 0;
  #expected;

  constructor(expected) {
    this.#expected = expected;
  }

  event(type, data, id) {
    const expected = this.#expected[this.count % PASS_EVENTS];
    if (data !== expected.data || id !== expected.id || type !== expected.type) {
      const shown = JSON.stringify([type, data, id]);
      throw new Error(`event ${this.count} is ${shown}, not ${JSON.stringify(expected)}`);
    }
    this.count += 1;
  }
}

function xorshift(state) {
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
