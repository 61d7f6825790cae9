"use strict";
// EventSource, as the HTML standard has it in "Server-sent events". The network, the parsing and the
// reconnecting are in the native part; here is what a page would see of them.

const { follow, hold, letGo, kind, AS_BEFORE, NUMBERS } = require("./post.cjs");
const { TrustedEvent, TrustedMessageEvent } = require("./events.cjs");
const { Handler } = require("./handler.cjs");
const { readInit, readHeaders, documentURL } = require("./options.cjs");

// As they were when this was loaded: whoever replaces a global, such as a test its timers, does not
// stop the sources.
const { DOMException, EventTarget, URL, setImmediate } = globalThis;
const { dispatchEvent } = EventTarget.prototype;

// The tasks, which reach into a source.
let takeBatch, message, announce, reestablish, fail, ask, setRef;

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

class EventSource extends EventTarget {
  #url;
  #withCredentials;
  #readyState = CONNECTING;
  #onopen = new Handler("open");
  #onmessage = new Handler("message");
  #onerror = new Handler("error");
  // What follows the stream; nothing once the source is closed.
  #follower = null;
  #origin = "";
  // Of the message before: most messages repeat one or both.
  #type = "message";
  #lastEventId = "";
  #isRef;
  #onDisconnect;
  #headersOf;
  #forgetSignal = null;

  constructor(url, eventSourceInitDict = undefined) {
    if (arguments.length === 0) {
      throw new TypeError("Failed to construct 'EventSource': it needs a URL");
    }
    super();
    url = `${url}`.toWellFormed();
    const { withCredentials, base, isRef, signal, onDisconnect, headersOf, extensions } = readInit(eventSourceInitDict);
    const parsed = parse(url, base);
    this.#url = parsed.href;
    this.#withCredentials = withCredentials;
    this.#isRef = isRef;
    this.#onDisconnect = onDisconnect;
    this.#headersOf = headersOf;
    if (signal?.aborted) {
      this.#readyState = CLOSED;
      return;
    }
    if (parsed.protocol === "http:" || parsed.protocol === "https:") {
      const options = { url: this.#url, withCredentials, ...extensions };
      this.#follower = follow(options, () => this.#takeBatch());
    } else {
      // A network error that is futile to try again.
      setImmediate(fail, this, `a URL of ${parsed.protocol} cannot be followed`);
    }
    if (isRef) {
      hold();
    }
    if (signal) {
      const close = () => this.close();
      signal.addEventListener("abort", close, { once: true });
      this.#forgetSignal = () => signal.removeEventListener("abort", close);
    }
  }

  get url() {
    return this.#url;
  }

  get withCredentials() {
    return this.#withCredentials;
  }

  get readyState() {
    return this.#readyState;
  }

  get onopen() {
    return this.#onopen.callback;
  }

  set onopen(callback) {
    this.#onopen.set(this, callback);
  }

  get onmessage() {
    return this.#onmessage.callback;
  }

  set onmessage(callback) {
    this.#onmessage.set(this, callback);
  }

  get onerror() {
    return this.#onerror.callback;
  }

  set onerror(callback) {
    this.#onerror.set(this, callback);
  }

  close() {
    if (this.#readyState === CLOSED) {
      return;
    }
    this.#readyState = CLOSED;
    this.#follower?.close();
    this.#follower = null;
    this.#forgetSignal?.();
    this.#forgetSignal = null;
    if (this.#isRef) {
      letGo();
    }
  }

  // Each thing that happened gets a task of its own, as in a browser: what a listener left to a
  // microtask or to the next tick is done before the next event.
  #takeBatch() {
    const text = this.#follower?.take() ?? null;
    if (text === null) {
      return;
    }
    let from = 0;
    const part = (length) => text.slice(from, (from += length));
    for (let entry = 0, at = 1; entry < NUMBERS[0]; entry++, at += 4) {
      const first = NUMBERS[at + 1];
      switch (NUMBERS[at]) {
        case kind.MESSAGE: {
          const second = NUMBERS[at + 2];
          if (first !== AS_BEFORE) {
            this.#type = part(first);
          }
          if (second !== AS_BEFORE) {
            this.#lastEventId = part(second);
          }
          setImmediate(message, this, this.#type, this.#lastEventId, part(NUMBERS[at + 3]));
          break;
        }
        case kind.OPEN:
          setImmediate(announce, this, part(first));
          break;
        case kind.DISCONNECTED:
          setImmediate(reestablish, this, part(first), NUMBERS[at + 3]);
          break;
        case kind.ASKED:
          setImmediate(ask, this, part(first), NUMBERS[at + 3]);
          break;
        default:
          setImmediate(fail, this, part(first));
      }
    }
    setImmediate(takeBatch, this);
  }

  // Has the headers of an attempt made; the attempt waits for them.
  async #ask(lastEventId, attempt) {
    let answer;
    try {
      answer = readHeaders(await this.#headersOf({ lastEventId, attempt }));
    } catch (error) {
      this.#follower?.refuse(`tidings.headers: ${error?.message ?? error}`);
      return;
    }
    this.#follower?.answer(answer);
  }

  #report(reason, delay) {
    try {
      this.#onDisconnect?.({ reason, delay });
    } catch (error) {
      // As Node reports what a listener throws.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  static {
    takeBatch = (source) => source.#takeBatch();

    message = (source, type, lastEventId, data) => {
      if (source.#readyState !== CLOSED) {
        const origin = source.#origin;
        dispatchEvent.call(source, new TrustedMessageEvent(type, { data, lastEventId, origin }));
      }
    };

    announce = (source, origin) => {
      if (source.#readyState !== CLOSED) {
        source.#readyState = OPEN;
        source.#origin = origin;
        dispatchEvent.call(source, new TrustedEvent("open"));
      }
    };

    reestablish = (source, reason, delay) => {
      if (source.#readyState !== CLOSED) {
        source.#readyState = CONNECTING;
        source.#report(reason, delay);
        // Whoever was told of it may have closed the source.
        if (source.#readyState !== CLOSED) {
          dispatchEvent.call(source, new TrustedEvent("error"));
        }
      }
    };

    fail = (source, reason) => {
      if (source.#readyState !== CLOSED) {
        source.close();
        source.#report(reason, null);
        dispatchEvent.call(source, new TrustedEvent("error"));
      }
    };

    ask = (source, lastEventId, attempt) => {
      if (source.#readyState !== CLOSED) {
        source.#ask(lastEventId, attempt);
      }
    };

    setRef = (source, isRef) => {
      if (source.#readyState !== CLOSED && source.#isRef !== isRef) {
        isRef ? hold() : letGo();
      }
      source.#isRef = isRef;
    };
  }
}

function parse(url, base) {
  try {
    return new URL(url, base ?? documentURL());
  } catch {
    const advice = base === undefined && documentURL() === undefined
      ? "; a relative URL needs the option tidings.baseURL"
      : "";
    throw new DOMException(
      `Failed to construct 'EventSource': ${JSON.stringify(url)} is not a URL${advice}`,
      "SyntaxError",
    );
  }
}

const ENUMERABLE = { enumerable: true };
Object.defineProperties(EventSource.prototype, {
  url: ENUMERABLE,
  withCredentials: ENUMERABLE,
  readyState: ENUMERABLE,
  onopen: ENUMERABLE,
  onmessage: ENUMERABLE,
  onerror: ENUMERABLE,
  close: ENUMERABLE,
  [Symbol.toStringTag]: { value: "EventSource", configurable: true },
});
for (const constants of [EventSource, EventSource.prototype]) {
  Object.defineProperties(constants, {
    CONNECTING: { value: CONNECTING, enumerable: true },
    OPEN: { value: OPEN, enumerable: true },
    CLOSED: { value: CLOSED, enumerable: true },
  });
}

/** Has the process stay alive for the source until it is closed, as it does unless told otherwise. */
function ref(source) {
  setRef(source, true);
}

/** Lets the process end although the source is open. */
function unref(source) {
  setRef(source, false);
}

module.exports = { EventSource, ref, unref };
