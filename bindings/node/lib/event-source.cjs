"use strict";
// EventSource, as the HTML standard has it in "Server-sent events". The network, the parsing and the
// reconnecting are in the native part; here is what a page would see of them.

const { AsyncResource } = require("node:async_hooks");

const { kind } = require("./batch.cjs");
const { doWhatWasLeft } = require("./between.cjs");
const { TrustedEvent, TrustedMessageEvent } = require("./events.cjs");
const { Handler } = require("./handler.cjs");
const { readInit, readHeaders, documentURL } = require("./options.cjs");
const { follow, hold, letGo } = require("./post.cjs");
const { Turn } = require("./turn.cjs");

// As they were when this was loaded: whoever replaces a global, such as a test its timers, does not
// stop the sources.
const { AbortSignal, DOMException, EventTarget, URL, setImmediate } = globalThis;
const { addEventListener, removeEventListener, dispatchEvent } = EventTarget.prototype;

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
  // A batch of which not all has been dispatched.
  #batch = null;
  // The type of the event that is being dispatched, and the listeners that wait until it has been.
  #dispatching = null;
  #later = [];
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
      // In the asynchronous context of whoever made the source, not of whoever made the first one.
      const look = AsyncResource.bind(() => setImmediate(takeBatch, this), "EventSource");
      this.#follower = follow(options, look);
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
    this.#onopen.set(this, callback, EventSource.prototype);
  }

  get onmessage() {
    return this.#onmessage.callback;
  }

  set onmessage(callback) {
    this.#onmessage.set(this, callback, EventSource.prototype);
  }

  get onerror() {
    return this.#onerror.callback;
  }

  set onerror(callback) {
    this.#onerror.set(this, callback, EventSource.prototype);
  }

  // Node calls a listener that is added during an event for that very event if others come after it;
  // as DOM has it, it waits for the next.
  addEventListener(type, callback, options) {
    const isListener = typeof callback === "function" || (typeof callback === "object" && callback !== null);
    if (this.#dispatching !== null && isListener && `${type}` === this.#dispatching) {
      const flat = flattened(options);
      if (flat.signal === undefined || flat.signal instanceof AbortSignal) {
        this.#later.push({ callback, options: flat });
        return;
      }
    }
    addEventListener.apply(this, arguments);
  }

  removeEventListener(type, callback, options) {
    if (this.#later.length > 0 && `${type}` === this.#dispatching) {
      const isOther = (one) => one.callback !== callback || one.options.capture !== flattened(options).capture;
      this.#later = this.#later.filter(isOther);
    }
    removeEventListener.apply(this, arguments);
  }

  close() {
    if (this.#readyState === CLOSED) {
      return;
    }
    this.#readyState = CLOSED;
    this.#follower?.close();
    this.#follower = null;
    this.#batch = null;
    this.#forgetSignal?.();
    this.#forgetSignal = null;
    if (this.#isRef) {
      letGo();
    }
  }

  #dispatch(event) {
    this.#dispatching = event.type;
    dispatchEvent.call(this, event);
    this.#dispatching = null;
    if (this.#later.length > 0) {
      const later = this.#later;
      this.#later = [];
      later.forEach(({ callback, options }) => addEventListener.call(this, event.type, callback, options));
    }
  }

  // Each thing that happened is a task of its own, as in a browser: what a listener left to a
  // microtask or to the next tick is done before the next event.
  #takeBatch() {
    const isBegun = this.#batch !== null;
    const batch = this.#batch ?? this.#follower?.take() ?? null;
    if (batch === null) {
      return;
    }
    this.#batch = null;
    // Before any listener: what it enters of an AsyncLocalStorage does not go on to the next batch.
    if (!isBegun && batch.isMore) {
      setImmediate(takeBatch, this);
    }
    let isWhole = false;
    try {
      // Something threw, and what else was left of the event before is still to be done.
      if (isBegun) {
        doWhatWasLeft();
      }
      const turn = new Turn();
      while (!(isWhole = !batch.next())) {
        this.#handle(batch);
        if (!doWhatWasLeft() || turn.isOver()) {
          break;
        }
      }
      if (isWhole && batch.isLarge) {
        this.#type = copied(this.#type);
        this.#lastEventId = copied(this.#lastEventId);
      }
    } finally {
      // What a listener threw comes out here; or the turn is over; or each event gets an immediate.
      if (!isWhole && this.#readyState !== CLOSED) {
        batch.keep();
        this.#batch = batch;
        setImmediate(takeBatch, this);
      }
    }
  }

  #handle({ kind: what, first, second, third }) {
    switch (what) {
      case kind.MESSAGE:
        this.#type = first ?? this.#type;
        this.#lastEventId = second ?? this.#lastEventId;
        message(this, this.#type, this.#lastEventId, third);
        break;
      case kind.OPEN:
        announce(this, first);
        break;
      case kind.DISCONNECTED:
        reestablish(this, first, third);
        break;
      case kind.ASKED:
        ask(this, first, third);
        break;
      default:
        fail(this, first);
    }
  }

  // Has the headers of an attempt made; the attempt waits for them.
  async #ask(lastEventId, attempt) {
    let answer;
    try {
      const headersOf = this.#headersOf;
      answer = readHeaders(await headersOf({ lastEventId, attempt }));
    } catch (error) {
      const reason = told(error);
      this.#follower?.refuse(reason.startsWith("tidings.headers") ? reason : `tidings.headers: ${reason}`);
      return;
    }
    this.#follower?.answer(answer);
  }

  #report(reason, delay) {
    try {
      const onDisconnect = this.#onDisconnect;
      onDisconnect?.({ reason, delay });
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
        source.#dispatch(new TrustedMessageEvent(type, data, source.#origin, lastEventId));
      }
    };

    announce = (source, origin) => {
      if (source.#readyState !== CLOSED) {
        source.#readyState = OPEN;
        source.#origin = origin;
        source.#dispatch(new TrustedEvent("open"));
      }
    };

    reestablish = (source, reason, delay) => {
      if (source.#readyState !== CLOSED) {
        source.#readyState = CONNECTING;
        source.#report(reason, delay);
        // Whoever was told of it may have closed the source.
        if (source.#readyState !== CLOSED) {
          source.#dispatch(new TrustedEvent("error"));
        }
      }
    };

    fail = (source, reason) => {
      if (source.#readyState !== CLOSED) {
        source.close();
        source.#report(reason, null);
        source.#dispatch(new TrustedEvent("error"));
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

// What a listener is added with, as it is at this moment.
function flattened(options) {
  if (typeof options !== "object" || options === null) {
    return { capture: Boolean(options) };
  }
  const { capture, once, passive, signal } = options;
  return { capture: Boolean(capture), once: Boolean(once), passive: Boolean(passive), signal };
}

// The same text, without the batch that it was cut from.
function copied(text) {
  return Buffer.from(text, "utf16le").toString("utf16le");
}

// What was thrown, whatever it is.
function told(error) {
  try {
    return `${error?.message ?? error}`;
  } catch {
    return "what was thrown is no text";
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
  addEventListener: ENUMERABLE,
  removeEventListener: ENUMERABLE,
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
