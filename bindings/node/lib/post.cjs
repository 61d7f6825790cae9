"use strict";
// What passes between the sources of this thread and the native part.

const { AsyncResource } = require("node:async_hooks");

const { takeBatch } = require("./batch.cjs");
const { Mailbox, Source } = require("./binding.cjs");
const { leaveOutCertificatesOfEnvironment } = require("./options.cjs");

const { setInterval, clearInterval } = globalThis;

// What looks at a source, by its number, until it is closed.
const looks = new Map();
let mailbox = null;
// What is for all sources belongs to nobody's asynchronous context.
const nobody = new AsyncResource("tidings");

/**
 * Connects, and calls `look` when there is a batch to take: the first one, and the next after one that
 * said that there are no more.
 */
function follow(options, look) {
  mailbox ??= nobody.runInAsyncScope(() => new Mailbox(() => {
    for (const number of mailbox.rung()) {
      looks.get(number)?.();
    }
  }));
  const { cookieJar, ...rest } = options;
  let native;
  try {
    native = new Source(mailbox, rest, cookieJar);
  } catch (error) {
    if (leaveOutCertificatesOfEnvironment(options.ca, error)) {
      return follow({ ...options, ca: undefined }, look);
    }
    throw new TypeError(`Failed to construct 'EventSource': ${error.message}`);
  }
  const number = native.id;
  looks.set(number, look);
  return {
    /** The next batch, and null if there is none. */
    take: () => takeBatch(native),
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
    alive = nobody.runInAsyncScope(() => setInterval(() => {}, 0x7fff_ffff));
  }
}

function letGo() {
  if (--holders === 0) {
    clearInterval(alive);
  }
}

module.exports = { follow, hold, letGo };
