// What must compile, and what must not, whichever library declares the globals.

import { CookieJar, EventSource, ref, setDefaults, unref } from "tidings";
import type { Disconnection, EventSourceInit, EventSourceMessage, TidingsOptions } from "tidings";

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_ extends true>(): void => {};

// The constructor.
const source = new EventSource("https://example.com/events");
new EventSource(new URL("https://example.com/events"), { withCredentials: true });
new EventSource("/events", {});
new EventSource("/events", undefined);
new EventSource("/events", null);
// @ts-expect-error: it needs a URL.
new EventSource();
// @ts-expect-error: it needs `new`.
EventSource("https://example.com/events");
// @ts-expect-error: not an option of the standard, nor in ours.
new EventSource("/events", { headers: {} });
// @ts-expect-error: a dictionary.
new EventSource("/events", 1);

// The constants.
holds<Equals<typeof EventSource.CONNECTING, 0>>();
holds<Equals<typeof source.OPEN, 1>>();
holds<Equals<typeof EventSource.CLOSED, 2>>();
// @ts-expect-error: it cannot be set.
EventSource.OPEN = 1;

// The attributes.
holds<Equals<typeof source.url, string>>();
holds<Equals<typeof source.withCredentials, boolean>>();
holds<Equals<typeof source.readyState, number>>();
// @ts-expect-error: it cannot be set.
source.url = "";
// @ts-expect-error: it cannot be set.
source.readyState = EventSource.CLOSED;
// @ts-expect-error: it cannot be set.
source.withCredentials = true;

// The handlers.
source.onopen = (event) => holds<Equals<typeof event, Event>>();
source.onerror = function (event) {
  holds<Equals<typeof event, Event>>();
  holds<Equals<typeof this, EventSource>>();
};
source.onmessage = (event) => {
  holds<Equals<typeof event, EventSourceMessage>>();
  holds<Equals<typeof event.data, string>>();
  holds<Equals<typeof event.lastEventId, string>>();
  holds<Equals<typeof event.origin, string>>();
  // @ts-expect-error: a message tells nothing that can be set.
  event.data = "";
};
source.onmessage = (event: MessageEvent) => void event.data;
source.onmessage = null;
// @ts-expect-error: `null` takes a handler away.
source.onmessage = undefined;
// @ts-expect-error: data is text.
source.onmessage = (event: { data: number }) => event.data;
// @ts-expect-error: an error says nothing; the option `onDisconnect` does.
source.onerror = (event) => event.message;
// @ts-expect-error: the id is the message's.
source.lastEventId;

// Listeners.
source.addEventListener("open", (event) => holds<Equals<typeof event, Event>>());
source.addEventListener("error", (event) => holds<Equals<typeof event, Event>>(), { once: true });
source.addEventListener("message", (event) => holds<Equals<typeof event, EventSourceMessage>>(), true);
source.addEventListener("join", function (event) {
  holds<Equals<typeof event, EventSourceMessage>>();
  holds<Equals<typeof this, EventSource>>();
});
source.addEventListener("join", (event) => JSON.parse(event.data), { signal: new AbortController().signal });
source.addEventListener("join", { handleEvent: (event) => void event.data });
source.addEventListener("open", { handleEvent: (event) => void event.type });
// @ts-expect-error: a listener, as in the library of the DOM.
source.addEventListener("join", null);
const join = (event: MessageEvent): void => void event.data;
source.addEventListener("join", join);
source.removeEventListener("join", join);
const failed = (event: Event): void => void event.type;
source.addEventListener("error", failed);
source.removeEventListener("error", failed, { capture: false });
// @ts-expect-error: no data of an error.
source.addEventListener("error", (event) => event.data);
// @ts-expect-error: nothing that listens.
source.addEventListener("join", 1);
// @ts-expect-error: it needs a listener.
source.addEventListener("join");
// @ts-expect-error: no such option.
source.addEventListener("join", join, { twice: true });

// It is an EventTarget, which can be extended.
const target: EventTarget = source;
target.dispatchEvent(new Event("join"));
class Clock extends EventSource {
  readonly zone = "UTC";
}
new Clock("https://example.com/clock").close();
// @ts-expect-error: it takes nothing.
source.close(1);

// The options.
const jar = new CookieJar();
holds<Equals<ReturnType<typeof jar.setCookie>, void>>();
const all: Required<TidingsOptions> = {
  baseURL: new URL("https://example.com"),
  headers: { authorization: "Bearer abc" },
  method: "POST",
  body: "{}",
  ca: new Uint8Array(1),
  origin: "https://app.example.com",
  cookieJar: jar,
  profile: "resilient",
  lastEventId: "7",
  ref: false,
  signal: AbortSignal.timeout(1000),
  onDisconnect: ({ reason, delay }) => {
    holds<Equals<typeof reason, string>>();
    holds<Equals<typeof delay, number | null>>();
  },
};
const init: EventSourceInit = { withCredentials: true, tidings: all };
new EventSource("/events", init);
new EventSource("/events", { tidings: { headers: new Headers(), body: new Uint8Array(1) } });
new EventSource("/events", { tidings: { headers: [["a", "b"]], body: new ArrayBuffer(1), signal: undefined } });
new EventSource("/events", { tidings: { headers: new Map([["a", "b"]]) } });
new EventSource("/events", {
  tidings: {
    async headers({ lastEventId, attempt }) {
      holds<Equals<typeof lastEventId, string>>();
      holds<Equals<typeof attempt, number>>();
      return { authorization: "Bearer fresh" };
    },
  },
});
// @ts-expect-error: headers, or a promise of them.
new EventSource("/events", { tidings: { headers: () => 1 } });
const log = (disconnection: Disconnection): void => void disconnection.reason;
setDefaults({ onDisconnect: log });
setDefaults(null);
setDefaults();
// @ts-expect-error: one of two.
setDefaults({ profile: "lenient" });
// @ts-expect-error: not an option.
setDefaults({ retry: 1 });
// @ts-expect-error: `withCredentials` is the standard's.
setDefaults({ withCredentials: true });
// @ts-expect-error: text, or bytes.
new EventSource("/events", { tidings: { body: { question: "Why?" } } });
// @ts-expect-error: values are text.
new EventSource("/events", { tidings: { headers: { a: 1 } } });
// @ts-expect-error: a jar of this package.
new EventSource("/events", { tidings: { cookieJar: {} } });
// @ts-expect-error: text.
new EventSource("/events", { tidings: { lastEventId: 7 } });

// The functions.
ref(source);
unref(source);
// @ts-expect-error: a source.
unref(1);
holds<Equals<ReturnType<typeof jar.cookiesFor>, string>>();
// @ts-expect-error: it needs a URL.
jar.cookiesFor();
