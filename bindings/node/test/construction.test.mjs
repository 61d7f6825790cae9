// What `new EventSource` takes, and what it refuses.

import assert from "node:assert/strict";
import { EventSource, setDefaults } from "tidings";
import { connect, test, watch } from "./harness.mjs";
import { begin, serve, stream } from "./server.mjs";

// Nobody listens there, and each source is closed before it could matter.
const NOWHERE = "http://127.0.0.1:1/";

function url(t, given, tidings) {
  return connect(t, given, { tidings }).url;
}

test("it is called with new, and with a URL", () => {
  assert.throws(() => EventSource(NOWHERE), TypeError);
  assert.throws(() => new EventSource(), TypeError);
});

test("what is not a URL is a SyntaxError", () => {
  for (const wrong of ["http://", "http://[", "http://a b/", "https://:80", "http://host:99999/", "//"]) {
    assert.throws(
      () => new EventSource(wrong),
      (error) => error instanceof DOMException && error.name === "SyntaxError" && error.code === 12,
      wrong,
    );
  }
});

test("a relative URL needs a base, and the error says so", () => {
  for (const relative of ["", "events", "/events", "?q", "#f", "//host/"]) {
    assert.throws(
      () => new EventSource(relative),
      (error) => error.name === "SyntaxError" && error.message.includes("tidings.baseURL"),
      relative,
    );
  }
});

test("a relative URL is resolved against the base", (t) => {
  const baseURL = "http://127.0.0.1:1/a/b?q#f";
  for (const [relative, expected] of [
    ["events", "/a/events"],
    ["/events", "/events"],
    ["../x/./y", "/x/y"],
    ["?r", "/a/b?r"],
    ["#g", "/a/b?q#g"],
    ["", "/a/b?q"],
    ["http://127.0.0.1:2/", "http://127.0.0.1:2/"],
  ]) {
    assert.equal(url(t, relative, { baseURL }), new URL(expected, "http://127.0.0.1:1/").href);
  }
  assert.equal(url(t, "x", { baseURL: new URL(NOWHERE) }), `${NOWHERE}x`);
  // That it has a base does not make it a URL.
  assert.throws(() => url(t, "http://[", { baseURL }), { name: "SyntaxError" });
});

test("defaults hold for sources that are not told otherwise", (t) => {
  t.after(() => setDefaults({}));
  setDefaults({ baseURL: "http://127.0.0.1:1/one/" });
  assert.equal(url(t, "x"), "http://127.0.0.1:1/one/x");
  assert.equal(url(t, "x", { lastEventId: "1" }), "http://127.0.0.1:1/one/x");
  assert.equal(url(t, "x", { baseURL: "http://127.0.0.1:1/two/" }), "http://127.0.0.1:1/two/x");
  setDefaults({ baseURL: "http://127.0.0.1:1/three/" });
  assert.equal(url(t, "x"), "http://127.0.0.1:1/three/x");
  assert.throws(() => setDefaults({ baseUrl: NOWHERE }), { name: "TypeError", message: /baseUrl/ });
  assert.throws(() => setDefaults(5), TypeError);
  // What was refused has changed nothing; and what is set replaces all that was.
  assert.equal(url(t, "x"), "http://127.0.0.1:1/three/x");
  setDefaults({});
  assert.throws(() => url(t, "x"), { name: "SyntaxError" });
});

test("defaults are sent", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  t.after(() => setDefaults({}));
  setDefaults({ headers: { "x-of": "all" }, lastEventId: "7" });
  const source = connect(t, server.url, { tidings: { headers: { "x-of": "one" } } });
  await watch(source).data(1);
  assert.equal(server.requests[0].headers["x-of"], "one");
  assert.equal(server.requests[0].headers["last-event-id"], "7");
});

test("a runtime with a location has it as the base", (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "location");
  t.after(() => {
    delete globalThis.location;
    if (before) {
      Object.defineProperty(globalThis, "location", before);
    }
  });
  Object.defineProperty(globalThis, "location", {
    value: { href: "http://127.0.0.1:1/page/" },
    configurable: true,
  });
  assert.equal(url(t, "x"), "http://127.0.0.1:1/page/x");
  assert.equal(url(t, "x", { baseURL: NOWHERE }), `${NOWHERE}x`);
});

test("the URL is what the value is as a string", (t) => {
  const baseURL = NOWHERE;
  for (const [given, expected] of [
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    [true, "true"],
    [["a", "b"], "a,b"],
    [{}, "[object%20Object]"],
    [{ toString: () => "from-string", valueOf: () => "from-value" }, "from-string"],
    [new URL("http://127.0.0.1:1/url"), "url"],
    ["ü", "%C3%BC"],
    // Not well-formed, so that each becomes U+FFFD.
    ["\ud800", "%EF%BF%BD"],
    ["a\udc00b", "a%EF%BF%BDb"],
    ["\ud83d\ude00", "%F0%9F%98%80"],
    // Stripped by the URL parser.
    [" \t\nx\r ", "x"],
  ]) {
    assert.equal(url(t, given, { baseURL }), `${NOWHERE}${expected}`);
  }
});

test("what cannot be a string is told as it comes", () => {
  const own = new RangeError("mine");
  const throwing = {
    toString() {
      throw own;
    },
  };
  assert.throws(() => new EventSource(throwing), own);
  assert.throws(() => new EventSource(Symbol("s")), TypeError);
  // The URL is looked at first, once, and then the dictionary.
  const order = [];
  const counted = {
    toString() {
      order.push("url");
      return NOWHERE;
    },
  };
  const dictionary = {
    get withCredentials() {
      order.push("withCredentials");
      throw own;
    },
  };
  assert.throws(() => new EventSource(counted, dictionary), own);
  assert.deepEqual(order, ["url", "withCredentials"]);
});

test("the URL is kept with its fragment and its user", async (t) => {
  const server = await serve(t, stream("data: 1\n\n"));
  const given = `http://me:secret@${server.origin.slice(7)}/a?b=c#d`;
  const source = connect(t, given);
  assert.equal(source.url, given);
  await watch(source).data(1);
  assert.equal(server.requests[0].url, "/a?b=c");
  assert.equal(server.requests[0].headers.authorization, `Basic ${btoa("me:secret")}`);
});

test("the dictionary is one, or none", (t) => {
  for (const dictionary of [undefined, null, {}, [], () => {}, Object.create(null)]) {
    assert.equal(connect(t, NOWHERE, dictionary).withCredentials, false);
  }
  for (const wrong of [5, 0, "", "x", true, false, Symbol("s"), 1n]) {
    assert.throws(() => new EventSource(NOWHERE, wrong), TypeError);
  }
});

test("withCredentials is what the value is as a boolean", (t) => {
  for (const value of [true, 1, -1, "x", "false", {}, [], Symbol("s"), 1n]) {
    assert.equal(connect(t, NOWHERE, { withCredentials: value }).withCredentials, true);
  }
  for (const value of [false, 0, "", null, undefined, NaN, 0n]) {
    assert.equal(connect(t, NOWHERE, { withCredentials: value }).withCredentials, false);
  }
  const inherited = Object.create({ withCredentials: true });
  assert.equal(connect(t, NOWHERE, inherited).withCredentials, true);
  assert.equal(connect(t, NOWHERE, { withcredentials: true, x: 1 }).withCredentials, false);
});

test("an unknown option is named", () => {
  for (const name of ["baseUrl", "header", "withCredentials", "__proto__x", "toString"]) {
    assert.throws(() => new EventSource(NOWHERE, { tidings: { [name]: 1 } }), (error) => {
      return error instanceof TypeError && error.message.includes(`tidings.${name} `);
    });
  }
});

test("a wrong option is named", () => {
  for (const [name, ...wrong] of [
    ["baseURL", "", "/x", "x", 5],
    ["headers", 5, { "a b": "c" }, { a: "b\nc" }, { a: "\u{100}" }, { "Last-Event-ID": "1" }],
    ["method", "", "G T", "CONNECT", "trace", "GÉT", "GET\n", 5, {}],
    ["body", 5, {}, ["x"], true],
    ["ca", 5, {}, ["x"]],
    ["origin", "", "nonsense", "http://a/b", "http://a/?q", "http://b@a", "mailto:a@b", 5, {}],
    ["cookieJar", {}, "a=b", new Map()],
    ["profile", "Strict", "", 1, {}],
    ["lastEventId", 5, {}, "a\nb", "a\rb", "a\0b"],
    ["ref", 1, "true", {}],
    ["signal", {}, new AbortController(), true],
    ["onDisconnect", {}, "f", 1],
  ]) {
    for (const value of wrong) {
      assert.throws(() => new EventSource(NOWHERE, { tidings: { [name]: value } }), (error) => {
        const isNamed = error instanceof TypeError && error.message.includes(`tidings.${name}`);
        return isNamed || assert.fail(`${name}: ${JSON.stringify(value)} gives ${error}`);
      });
      assert.throws(() => setDefaults({ [name]: value }), TypeError);
    }
  }
  for (const tidings of [5, "x", true]) {
    assert.throws(() => new EventSource(NOWHERE, { tidings }), { name: "TypeError", message: /tidings/ });
  }
});

test("an option that is undefined is not there", (t) => {
  const names = ["baseURL", "headers", "method", "body", "ca", "origin", "cookieJar", "profile"];
  const rest = ["lastEventId", "ref", "signal", "onDisconnect"];
  const tidings = Object.fromEntries([...names, ...rest].map((name) => [name, undefined]));
  assert.equal(connect(t, NOWHERE, { tidings }).readyState, EventSource.CONNECTING);
  assert.equal(connect(t, NOWHERE, { tidings: null }).readyState, EventSource.CONNECTING);
});

test("options are sent", async (t) => {
  const server = await serve(t, (request, response) => {
    request.setEncoding("utf8").on("data", (text) => {
      stream(`data: ${request.method} ${text}\n\n`)(request, response);
    });
  });
  const bytes = new TextEncoder().encode("<body>");
  for (const body of ["body", bytes.subarray(1, 5), bytes.slice(1, 5).buffer, new DataView(bytes.buffer, 1, 4)]) {
    const source = connect(t, server.url, {
      tidings: { method: "POST", body, headers: new Headers([["x-a", "1"], ["x-a", "2"]]) },
    });
    assert.deepEqual(await watch(source).data(1), ["POST body"]);
    assert.equal(server.requests.at(-1).headers["x-a"], "1, 2");
  }
});

test("a method and an origin are written as fetch would", async (t) => {
  const server = await serve(t, (request, response) => {
    begin(response, { "access-control-allow-origin": request.headers.origin });
    response.write(`data: ${request.method} ${request.headers.origin}\n\n`);
  });
  const tidings = { method: "post", origin: "HTTP://Page.Example:80" };
  assert.deepEqual(await watch(connect(t, server.url, { tidings })).data(1), ["POST http://page.example"]);
});

test("other schemes are a network error, which comes later", async (t) => {
  for (const given of ["ftp://host/", "about:blank", "mailto:a@b", "javascript:0", "data:,x", "file:///x", "x:y"]) {
    const reasons = [];
    const onDisconnect = (why) => reasons.push(why);
    const source = connect(t, given, { tidings: { onDisconnect } });
    assert.equal(source.readyState, EventSource.CONNECTING);
    assert.equal(source.url, given);
    const watched = watch(source);
    // Neither now nor in this task.
    await Promise.resolve();
    assert.deepEqual(watched.rest(), []);
    const error = await watched.next();
    assert.deepEqual([error.type, source.readyState], ["error", EventSource.CLOSED]);
    assert.equal(reasons.length, 1);
    assert.equal(reasons[0].delay, null);
    assert.match(reasons[0].reason, new RegExp(new URL(given).protocol));
    assert.deepEqual(watched.rest(), []);
  }
});

test("a source of another scheme that was closed hears nothing", async (t) => {
  const closed = connect(t, "ftp://host/");
  const watched = watch(closed);
  closed.close();
  await watch(connect(t, "ftp://host/")).nextOf("error");
  assert.deepEqual(watched.rest(), []);
});
