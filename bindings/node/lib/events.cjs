"use strict";
// The events of a source. As in a browser they are trusted, which Node says only of its own.

const { Event, MessageEvent } = globalThis;

class TrustedEvent extends Event {
  get isTrusted() {
    return true;
  }
}

class TrustedMessageEvent extends MessageEvent {
  get isTrusted() {
    return true;
  }
}

// Nothing else tells them from those that Node's own classes make.
for (const trusted of [TrustedEvent, TrustedMessageEvent]) {
  Object.defineProperties(trusted.prototype, {
    isTrusted: { enumerable: true },
    constructor: { value: Object.getPrototypeOf(trusted) },
  });
}

// As it should be, and is not in every version of Node.
Object.defineProperty(TrustedMessageEvent.prototype, Symbol.toStringTag, {
  value: "MessageEvent",
  configurable: true,
});

module.exports = { TrustedEvent, TrustedMessageEvent };
