"use strict";
// What a source is set up with: the standard's dictionary, and our own options in one member of it.

const { readFileSync } = require("node:fs");

const { CookieJar } = require("./binding.cjs");

const READERS = {
  baseURL: (value) => {
    if (!URL.canParse(`${value}`)) {
      throw wrong("baseURL", "an absolute URL", value);
    }
    return `${value}`;
  },
  headers: (value) => (typeof value === "function" ? value : readHeaders(value)),
  method: (value, key) => {
    let method = "HEAD";
    try {
      // Some are in capitals whichever way they are written, and some are for nobody.
      ({ method } = new Request("http://localhost/", { method: text(value, key) }));
    } catch {
      // It is refused as HEAD is, whose answer has no events.
    }
    if (method === "HEAD") {
      throw wrong(key, "a method that fetch would send, and whose answer has a body", value);
    }
    return method;
  },
  body: bytes,
  ca: bytes,
  origin: (value) => {
    const { origin, href } = URL.canParse(value) ? new URL(value) : {};
    if (value !== "null" && (typeof value !== "string" || href !== `${origin}/`)) {
      throw wrong("origin", "an origin such as https://example.com, or null", value);
    }
    return origin ?? value;
  },
  cookieJar: (value) => {
    if (!(value instanceof CookieJar)) {
      throw wrong("cookieJar", "a CookieJar of this package", value);
    }
    return value;
  },
  profile: (value) => {
    if (value !== "strict" && value !== "resilient") {
      throw wrong("profile", '"strict" or "resilient"', value);
    }
    return value;
  },
  lastEventId: (value, key) => {
    if (/[\0\r\n]/.test(text(value, key))) {
      throw wrong(key, "without CR, LF and NUL, as any id of a stream is", value);
    }
    return value;
  },
  ref: (value) => {
    if (typeof value !== "boolean") {
      throw wrong("ref", "true or false", value);
    }
    return value;
  },
  signal: (value) => {
    if (!(value instanceof AbortSignal)) {
      throw wrong("signal", "an AbortSignal", value);
    }
    return value;
  },
  onDisconnect: (value) => {
    if (typeof value !== "function") {
      throw wrong("onDisconnect", "a function", value);
    }
    return value;
  },
};

let defaults = {};

/** Sets what sources are set up with that are not told otherwise. It replaces what was set before. */
function setDefaults(options) {
  defaults = read(options, "setDefaults");
}

/** The dictionary that `new EventSource` was given, with all that it stands for. */
function readInit(dictionary) {
  if (dictionary === undefined || dictionary === null) {
    dictionary = {};
  }
  if (typeof dictionary !== "object" && typeof dictionary !== "function") {
    throw new TypeError("Failed to construct 'EventSource': the second argument is not an object");
  }
  const { tidings, withCredentials } = dictionary;
  const options = { ...defaults, ...read(tidings, "tidings") };
  const { headers, method, body, origin, cookieJar, profile, lastEventId } = options;
  return {
    withCredentials: Boolean(withCredentials),
    base: options.baseURL,
    isRef: options.ref ?? true,
    signal: options.signal,
    onDisconnect: options.onDisconnect,
    headersOf: typeof headers === "function" ? headers : undefined,
    // For the native part.
    extensions: {
      headers: typeof headers === "function" ? [] : (headers ?? []),
      asksHeaders: typeof headers === "function",
      method,
      body,
      ca: options.ca ?? certificatesOfEnvironment(),
      origin,
      cookieJar,
      isResilient: profile === "resilient",
      // Nobody else reads what a refusal says, and a browser does not wait for it.
      waitsForRefusal: options.onDisconnect !== undefined,
      lastEventId,
    },
  };
}

/** Names and values, one after the other. */
function readHeaders(value) {
  let headers;
  try {
    headers = new Headers(value);
  } catch (error) {
    throw new TypeError(`tidings.headers cannot be sent: ${error.message}`);
  }
  if (headers.has("last-event-id")) {
    throw new TypeError("tidings.headers must not have Last-Event-ID, which tidings.lastEventId is for");
  }
  for (const name of ["content-length", "transfer-encoding"]) {
    if (headers.has(name)) {
      throw new TypeError(`tidings.headers must not have ${name}: it follows from tidings.body`);
    }
  }
  return [...headers].flat();
}

/** The URL of the document, in a runtime that has one. */
function documentURL() {
  return globalThis.location?.href;
}

function read(options, name) {
  if (options === undefined || options === null) {
    return {};
  }
  if (typeof options !== "object") {
    throw new TypeError(`${name} is not an object of options`);
  }
  const found = {};
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(READERS, key)) {
      const known = Object.keys(READERS).join(", ");
      throw new TypeError(`tidings.${key} is not an option; there are ${known}`);
    }
    if (value !== undefined && value !== null) {
      found[key] = READERS[key](value, key);
    }
  }
  return found;
}

function bytes(value, key) {
  if (typeof value === "string") {
    return Buffer.from(value);
  }
  if (value instanceof ArrayBuffer) {
    return new Uint8Array(value.slice(0));
  }
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  }
  throw wrong(key, "a string, an ArrayBuffer or a view of one", value);
}

// The certificates that the environment names, as Node itself takes them.
let environmentCertificates;

function certificatesOfEnvironment() {
  if (environmentCertificates === undefined) {
    try {
      environmentCertificates = readFileSync(process.env.NODE_EXTRA_CA_CERTS);
    } catch {
      // Node has said so at its start.
      environmentCertificates = null;
    }
  }
  return environmentCertificates ?? undefined;
}

/** Goes on without them, as Node does, if they are what cannot be read. */
function leaveOutCertificatesOfEnvironment(ca, error) {
  const isTheirs = ca !== undefined && ca === environmentCertificates;
  if (isTheirs) {
    environmentCertificates = null;
    const path = process.env.NODE_EXTRA_CA_CERTS;
    process.emitWarning(`tidings leaves out NODE_EXTRA_CA_CERTS=${path}: ${error.message}`);
  }
  return isTheirs;
}

function text(value, key) {
  if (typeof value !== "string") {
    throw wrong(key, "a string", value);
  }
  return value;
}

function wrong(key, expected, value) {
  const shown = typeof value === "string" ? JSON.stringify(value) : `${typeof value}`;
  return new TypeError(`tidings.${key} must be ${expected}, not ${shown}`);
}

module.exports = { leaveOutCertificatesOfEnvironment, readInit, readHeaders, setDefaults, documentURL };
