"use strict";
// What passes between the sources of this thread and the native part.

const { Mailbox, Source } = require("./binding.cjs");

const { setInterval, clearInterval } = globalThis;

// As the native part has them.
const kind = { MESSAGE: 0, OPEN: 1, DISCONNECTED: 2, CLOSED: 3, ASKED: 4 };
const AS_BEFORE = 0xffff_ffff;
/** How the batch that was taken last is cut: the count of its entries, and four numbers for each. */
const NUMBERS = new Uint32Array(1 + 4 * (256 + 1));

// What looks at a source, by its number, until it is closed.
const looks = new Map();
let mailbox = null;

/**
 * Connects, and calls `look` whenever there is a batch to take and the last one to be asked for one
 * found none.
 */
function follow(options, look) {
  mailbox ??= new Mailbox(() => {
    for (const number of mailbox.rung()) {
      looks.get(number)?.();
    }
  });
  const { cookieJar, ...rest } = options;
  let native;
  try {
    native = new Source(mailbox, rest, cookieJar);
  } catch (error) {
    throw new TypeError(`Failed to construct 'EventSource': ${error.message}`);
  }
  const number = native.id;
  looks.set(number, look);
  return {
    // The text of the next batch, and null if there is none.
    take: () => native.take(NUMBERS),
    answer: (headers) => native.answer(headers),
    refuse: (reason) => native.refuse(reason),
    close() {
      looks.delete(number);
      native.close();
    },
  };
}

let holders = 0;
let alive = null;

/** Keeps the process alive until it is let go as often. */
function hold() {
  if (holders++ === 0) {
    alive = setInterval(() => {}, 0x7fff_ffff);
  }
}

function letGo() {
  if (--holders === 0) {
    clearInterval(alive);
  }
}

module.exports = { follow, hold, letGo, kind, AS_BEFORE, NUMBERS };
