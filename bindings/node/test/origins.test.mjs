// Between origins: CORS for sources that act for one, cookies, and headers that stay at home.

import assert from "node:assert/strict";
import { CookieJar, EventSource, setDefaults } from "tidings";
import { connect, test, watch } from "./harness.mjs";
import { begin, redirect, serve, stream, whole } from "./server.mjs";

const PAGE = "http://page.example";

// An answer: an event, with these headers. It ends, as a refusal is read to its end.
function allowing(headers) {
  return (_, response) => {
    begin(response, headers);
    response.end("data: 1\n\n");
  };
}

const origin = (value) => ({ "access-control-allow-origin": value });
const credentials = { "access-control-allow-credentials": "true" };

// Whether a source for the page may read this answer; a source that may not fails for good.
async function isAllowed(t, answer, { url, init = {}, tidings = {} } = {}) {
  const server = url ? null : await serve(t, answer);
  const reasons = [];
  const onDisconnect = (why) => reasons.push(why);
  const source = connect(t, url ?? server.url, { ...init, tidings: { origin: PAGE, onDisconnect, ...tidings } });
  const event = await watch(source).next();
  if (event.type === "open") {
    return true;
  }
  assert.equal(source.readyState, EventSource.CLOSED);
  assert.equal(reasons[0].delay, null);
  assert.match(reasons[0].reason, /allow|preflight|user name/);
  return false;
}

test("without an origin there is no CORS", async (t) => {
  const server = await serve(t, allowing({}));
  await watch(connect(t, server.url)).data(1);
  assert.equal("origin" in server.requests[0].headers, false);
});

test("an origin's own server needs to allow nothing", async (t) => {
  const server = await serve(t, allowing({}));
  assert.equal(await isAllowed(t, null, { url: server.url, tidings: { origin: server.origin } }), true);
  assert.equal("origin" in server.requests[0].headers, false);
  assert.equal(await isAllowed(t, null, { url: server.url, tidings: { origin: server.otherOrigin } }), false);
});

test("another server must allow the origin, or all", async (t) => {
  for (const [headers, expected] of [
    [{}, false],
    [origin("*"), true],
    [origin(PAGE), true],
    [origin(`${PAGE}/`), false],
    [origin("http://PAGE.example"), false],
    [origin("https://page.example"), false],
    [origin("http://other.example"), false],
    [origin("null"), false],
    [origin(`${PAGE}, ${PAGE}`), false],
    [credentials, false],
  ]) {
    assert.equal(await isAllowed(t, allowing(headers)), expected, JSON.stringify(headers));
  }
});

test("with credentials it must allow the origin by name, and the credentials", async (t) => {
  for (const [headers, expected] of [
    [{}, false],
    [origin("*"), false],
    [{ ...origin("*"), ...credentials }, false],
    [origin(PAGE), false],
    [{ ...origin(PAGE), ...credentials }, true],
    [{ ...origin(PAGE), "access-control-allow-credentials": "True" }, false],
    [{ ...origin(PAGE), "access-control-allow-credentials": "false" }, false],
  ]) {
    const init = { withCredentials: true };
    assert.equal(await isAllowed(t, allowing(headers), { init }), expected, JSON.stringify(headers));
  }
});

test("the origin is sent, and may be null or a default", async (t) => {
  t.after(() => setDefaults({}));
  setDefaults({ origin: PAGE });
  const server = await serve(t, allowing(origin("*")));
  await watch(connect(t, server.url)).data(1);
  await watch(connect(t, server.url, { tidings: { origin: "null" } })).data(1);
  assert.deepEqual(server.requests.slice(0, 2).map((request) => request.headers.origin), [PAGE, "null"]);
});

test("the messages are of the server's origin", async (t) => {
  const server = await serve(t, allowing(origin("*")));
  const message = await watch(connect(t, server.url, { tidings: { origin: PAGE } })).nextOf("message");
  assert.equal(message.origin, server.origin);
});

test("a failed check is final, and nothing of the answer is heard", async (t) => {
  const server = await serve(t, allowing({}));
  const source = connect(t, server.url, { tidings: { origin: PAGE } });
  const watched = watch(source);
  assert.equal((await watched.next()).type, "error");
  await server.requests[0].gone;
  assert.deepEqual(watched.rest(), []);
  assert.equal(server.requests.length, 1);
});

test("a long or unsafe Last-Event-ID asks for leave first", async (t) => {
  for (const [id, isAsked] of [
    ["7", false],
    ["ü…\u{1f600}", false],
    ["x".repeat(128), false],
    ["x".repeat(129), true],
    // Bytes, not characters.
    ["ü".repeat(65), true],
    ['{"a":1}', true],
    ["a@b", true],
    ["(1)", true],
  ]) {
    const server = await serve(t, (request, response) => {
      if (request.method === "OPTIONS") {
        response.writeHead(204, { ...origin(PAGE), "access-control-allow-headers": "Last-Event-ID" });
        response.end();
      } else {
        allowing(origin(PAGE))(request, response);
      }
    });
    const tidings = { lastEventId: id };
    assert.equal(await isAllowed(t, null, { url: server.url, tidings }), true);
    const methods = server.requests.map((request) => request.method);
    assert.deepEqual(methods, isAsked ? ["OPTIONS", "GET"] : ["GET"], id);
    const sent = server.requests.at(-1).headers["last-event-id"];
    assert.equal(Buffer.from(sent, "latin1").toString(), id);
    if (isAsked) {
      const { headers } = server.requests[0];
      assert.equal(headers.origin, PAGE);
      assert.equal(headers["access-control-request-method"], "GET");
      assert.equal(headers["access-control-request-headers"], "last-event-id");
      assert.equal("last-event-id" in headers, false);
    }
  }
});

test("leave that is not given is final", async (t) => {
  for (const [status, headers] of [
    [204, {}],
    [204, origin(PAGE)],
    [204, { "access-control-allow-headers": "last-event-id" }],
    [404, { ...origin(PAGE), "access-control-allow-headers": "last-event-id" }],
    [302, { ...origin(PAGE), "access-control-allow-headers": "last-event-id", location: "/x" }],
  ]) {
    const server = await serve(t, (_, response) => response.writeHead(status, headers).end());
    const tidings = { lastEventId: "(1)" };
    assert.equal(await isAllowed(t, null, { url: server.url, tidings }), false);
    assert.deepEqual(server.requests.map((request) => request.method), ["OPTIONS"]);
  }
});

test("headers of one's own ask for leave, and methods do", async (t) => {
  for (const [tidings, method, names] of [
    [{ headers: { "x-b": "1", Authorization: "Bearer x" } }, "GET", "authorization,x-b"],
    [{ method: "PUT", body: "x" }, "PUT", undefined],
    [{ method: "POST", body: "x", headers: { "content-type": "application/json" } }, "POST", "content-type"],
  ]) {
    const server = await serve(t, (request, response) => {
      if (request.method === "OPTIONS") {
        const { "access-control-request-headers": headers = "" } = request.headers;
        response.writeHead(204, {
          ...origin(PAGE),
          "access-control-allow-headers": headers,
          "access-control-allow-methods": request.headers["access-control-request-method"],
        });
        response.end();
      } else {
        allowing(origin(PAGE))(request, response);
      }
    });
    assert.equal(await isAllowed(t, null, { url: server.url, tidings }), true);
    const [preflight, request] = server.requests;
    assert.equal(preflight.method, "OPTIONS");
    assert.equal(preflight.headers["access-control-request-method"], method);
    assert.equal(preflight.headers["access-control-request-headers"], names);
    assert.equal("authorization" in preflight.headers, false);
    assert.equal(request.method, method);
  }
});

test("an origin that redirects elsewhere is checked there, and blurred", async (t) => {
  const target = await serve(t, allowing(origin("null")));
  const between = await serve(t, redirect(302, target.url, origin(PAGE)));
  assert.equal(await isAllowed(t, null, { url: between.url }), true);
  assert.equal(between.requests[0].headers.origin, PAGE);
  // Two origins are between them, so that nobody can say who asks.
  assert.equal(target.requests[0].headers.origin, "null");

  const home = await serve(t, redirect(302, target.url));
  assert.equal(await isAllowed(t, null, { url: home.url, tidings: { origin: home.origin } }), false);
  assert.equal(target.requests[1].headers.origin, home.origin);

  // A redirect, too, must be allowed.
  const silent = await serve(t, redirect(302, target.url));
  assert.equal(await isAllowed(t, null, { url: silent.url }), false);
  assert.equal(target.requests.length, 2);
});

test("Authorization and other headers stay in their origin", async (t) => {
  const headers = { authorization: "Bearer x", "x-own": "1", cookie: "a=b" };
  const target = await serve(t, stream("data: 1\n\n"));
  const server = await serve(t, redirect(302, "/there"), redirect(302, target.url));
  await watch(connect(t, server.url, { tidings: { headers, lastEventId: "7" } })).data(1);
  for (const request of server.requests) {
    for (const [name, value] of Object.entries(headers)) {
      assert.equal(request.headers[name], value);
    }
  }
  for (const name of Object.keys(headers)) {
    assert.equal(name in target.requests[0].headers, false, name);
  }
  assert.equal(target.requests[0].headers.accept, "text/event-stream");
  assert.equal(target.requests[0].headers["last-event-id"], "7");
});

test("headers that a redirect left behind stay behind on the way back, and in later attempts", async (t) => {
  const headers = { authorization: "Bearer x" };
  const other = await serve(t, (request, response) => redirect(302, `${server.url}back`)(request, response));
  const server = await serve(t, redirect(302, other.url), whole("retry: 0\n"), stream("data: 1\n\n"));
  await watch(connect(t, server.url, { tidings: { headers } })).data(1);
  assert.deepEqual(server.paths, ["/", "/back", "/back"]);
  assert.deepEqual(server.requests.map((request) => request.headers.authorization), ["Bearer x", undefined, undefined]);
});

test("a jar keeps cookies and sends them", async (t) => {
  const jar = new CookieJar();
  const server = await serve(
    t,
    (_, response) => {
      begin(response, { "set-cookie": ["a=1; Path=/", "b=2; Path=/elsewhere", "c=3; HttpOnly"] });
      response.end("retry: 0\n");
    },
    stream("data: 1\n\n"),
  );
  jar.setCookie("before=0", server.url);
  await watch(connect(t, server.url, { tidings: { cookieJar: jar } })).data(1);
  const sent = server.requests.map((request) => request.headers.cookie.split("; ").sort());
  assert.deepEqual(sent, [["before=0"], ["a=1", "before=0", "c=3"]]);
  assert.equal(jar.cookiesFor(`${server.url}elsewhere`).includes("b=2"), true);
  assert.equal(jar.cookiesFor("http://other.example/"), "");
});

test("without a jar no cookie is kept", async (t) => {
  const server = await serve(
    t,
    (_, response) => {
      begin(response, { "set-cookie": "a=1" });
      response.end("retry: 0\n");
    },
    stream("data: 1\n\n"),
  );
  await watch(connect(t, server.url, { withCredentials: true })).data(1);
  assert.equal("cookie" in server.requests[1].headers, false);
});

test("a jar takes URLs, and says what is none", () => {
  const jar = new CookieJar();
  assert.throws(() => jar.setCookie("a=1", "/x"), /absolute URL/);
  assert.throws(() => jar.cookiesFor("x"), /absolute URL/);
  assert.throws(() => jar.setCookie(1, "http://host/"));
  assert.throws(() => CookieJar.prototype.cookiesFor.call({}, "http://host/"));
  // Something that only looks like one.
  const cookieJar = Object.create(CookieJar.prototype);
  assert.throws(() => new EventSource("http://127.0.0.1:1/", { tidings: { cookieJar } }), TypeError);
});

test("cookies cross origins with credentials alone", async (t) => {
  for (const withCredentials of [false, true]) {
    const cookieJar = new CookieJar();
    const server = await serve(t, (_, response) => {
      begin(response, { ...origin(PAGE), ...credentials, "set-cookie": "b=2" });
      response.write("data: 1\n\n");
    });
    cookieJar.setCookie("a=1", server.url);
    const tidings = { origin: PAGE, cookieJar };
    await watch(connect(t, server.url, { withCredentials, tidings })).data(1);
    assert.equal(server.requests[0].headers.cookie, withCredentials ? "a=1" : undefined);
    assert.equal(cookieJar.cookiesFor(server.url).includes("b=2"), withCredentials);
    // Its own origin's it sends in any case.
    await watch(connect(t, server.url, { tidings: { origin: server.origin, cookieJar } })).data(1);
    assert.match(server.requests[1].headers.cookie, /a=1/);
  }
});

test("a preflight carries no cookies", async (t) => {
  const cookieJar = new CookieJar();
  const server = await serve(t, (request, response) => {
    const headers = { ...origin(PAGE), ...credentials, "access-control-allow-headers": "last-event-id" };
    if (request.method === "OPTIONS") {
      response.writeHead(204, { ...headers, "set-cookie": "b=2" }).end();
    } else {
      allowing(headers)(request, response);
    }
  });
  cookieJar.setCookie("a=1", server.url);
  const tidings = { cookieJar, lastEventId: "(1)" };
  assert.equal(await isAllowed(t, null, { url: server.url, init: { withCredentials: true }, tidings }), true);
  assert.deepEqual(server.requests.map((request) => request.headers.cookie), [undefined, "a=1"]);
  assert.equal(cookieJar.cookiesFor(server.url), "a=1");
});

test("cookies of each origin on the way go to it alone", async (t) => {
  const cookieJar = new CookieJar();
  const target = await serve(t, stream("data: 1\n\n"));
  const there = target.url.replace("127.0.0.1", "localhost");
  const server = await serve(t, redirect(302, there, { "set-cookie": "mine=1" }));
  cookieJar.setCookie("here=1", server.url);
  cookieJar.setCookie("there=1", there);
  await watch(connect(t, server.url, { withCredentials: true, tidings: { cookieJar } })).data(1);
  assert.equal(server.requests[0].headers.cookie, "here=1");
  assert.equal(target.requests[0].headers.cookie, "there=1");
  assert.match(cookieJar.cookiesFor(server.url), /mine=1/);
});
