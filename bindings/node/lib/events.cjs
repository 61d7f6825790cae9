"use strict";
// The events of a source. As in a browser they are trusted, which Node says only of its own.

const { Event, MessageEvent } = globalThis;

/** An event without data, such as `open`. */
class TrustedEvent extends Event {
  get isTrusted() {
    return true;
  }
}

/**
 * A message. It is a MessageEvent, but is not made by that class, which looks at much that is known
 * here: that would take a sixth of the time of an event in the bench with tiny ones.
 */
class TrustedMessageEvent extends Event {
  #data;
  #origin;
  #lastEventId;

  constructor(type, data, origin, lastEventId) {
    super(type);
    this.#data = data;
    this.#origin = origin;
    this.#lastEventId = lastEventId;
  }

  get isTrusted() {
    return true;
  }

  get data() {
    return this.#data;
  }

  get origin() {
    return this.#origin;
  }

  get lastEventId() {
    return this.#lastEventId;
  }

  get source() {
    return null;
  }

  get ports() {
    return NO_PORTS;
  }
}

const NO_PORTS = Object.freeze([]);

// Nothing else tells them from those that Node's own classes make.
const ENUMERABLE = { enumerable: true };
Object.defineProperties(TrustedEvent.prototype, {
  constructor: { value: Event },
  isTrusted: ENUMERABLE,
});
Object.setPrototypeOf(TrustedMessageEvent.prototype, MessageEvent.prototype);
Object.defineProperties(TrustedMessageEvent.prototype, {
  constructor: { value: MessageEvent },
  isTrusted: ENUMERABLE,
  data: ENUMERABLE,
  origin: ENUMERABLE,
  lastEventId: ENUMERABLE,
  source: ENUMERABLE,
  ports: ENUMERABLE,
  // As it should be, and is not in every version of Node.
  [Symbol.toStringTag]: { value: "MessageEvent", configurable: true },
});

module.exports = { TrustedEvent, TrustedMessageEvent };
