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

module.exports = { TrustedEvent, TrustedMessageEvent };
