// The types of the package. They lean on the globals that both @types/node and TypeScript's own
// library of the DOM declare, and on nothing that only one of them has.

/**
 * A message of the stream: what `message` and named events are dispatched as.
 *
 * It is a `MessageEvent` like any other; its data is always text.
 */
export interface EventSourceMessage extends MessageEvent {
  /** The data: the values of the event's `data` fields, with an LF between each two. */
  readonly data: string;
  /**
   * The id that the stream has set last, with this event or before it; empty if it has set none. It
   * is what a reconnect resumes after.
   */
  readonly lastEventId: string;
  /** The origin of the URL that the stream came from, after redirects. */
  readonly origin: string;
}

/** The events that are of a known type; every other is of a name that the server chose. */
export interface EventSourceEventMap {
  /** The connection was lost, or is closed for good: `readyState` says which. */
  error: Event;
  /** A message that the server has not named. */
  message: EventSourceMessage;
  /** A connection stands. */
  open: Event;
}

/** How a listener is added, as for every `EventTarget`. */
export interface EventSourceListenerOptions {
  /** Of no effect: a source has no ancestors. Default: false. */
  capture?: boolean;
  /** Whether the listener is removed when it is first called. Default: false. */
  once?: boolean;
  /** Of no effect: nothing that a source dispatches can be prevented. Default: false. */
  passive?: boolean;
  /** Removes the listener when it is aborted. Default: none. */
  signal?: AbortSignal;
}

/** An object that listens. */
export interface EventSourceListenerObject<E extends Event = EventSourceMessage> {
  /** Called with every event, `this` being the object. */
  handleEvent(event: E): any;
}

/** What a listener for the events of a name is called with. */
export type EventSourceEvent<K extends string> = K extends keyof EventSourceEventMap
  ? EventSourceEventMap[K]
  : EventSourceMessage;

/** Why a connection is gone, and what comes next. */
export interface Disconnection {
  /** A sentence, for people: it may change with any release. */
  readonly reason: string;
  /** The milliseconds until the next attempt; null if the source is closed for good. */
  readonly delay: number | null;
}

/** Names and values of headers, in any form that the constructor of `Headers` takes. */
export type HeadersLike = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

/** The attempt to connect that headers are asked for. */
export interface Attempt {
  /** The id that it resumes after; empty if the stream has set none. */
  readonly lastEventId: string;
  /** Its number: 1 for the first. */
  readonly attempt: number;
}

/** What this package offers beyond the standard. Every option may be left out. */
export interface TidingsOptions {
  /**
   * The absolute URL against which a relative one is resolved. Default: the `href` of the global
   * `location` if there is one, else none, so that a relative URL is a `SyntaxError`.
   */
  baseURL?: string | URL | undefined;
  /**
   * Headers of every request, such as `Authorization`; or a function that is asked for them before
   * each attempt, and may answer with a promise, such as of a fresh token. While it cannot say, because
   * it throws or its promise is rejected, it is asked again after the reconnection time. There is no
   * limit to how long it may take: give it one of its own.
   *
   * They stay within the origin of the URL: they do not follow a redirect to another, and with a
   * function every reconnect goes to the URL that was given. `Accept` and `Cache-Control` replace the
   * usual ones; `Last-Event-ID` is refused, as {@link TidingsOptions.lastEventId} sets it, and so are
   * `Content-Length` and `Transfer-Encoding`, which follow from the body. Default: none.
   */
  headers?: HeadersLike | ((attempt: Attempt) => HeadersLike | Promise<HeadersLike>) | undefined;
  /**
   * The method. A request whose method is not safe, such as POST, is made once: when its connection
   * is lost or its answer ends, the source is closed. Default: GET.
   */
  method?: string | undefined;
  /**
   * The body of every request; give its type with a `Content-Type` header. It is copied. Default:
   * none.
   */
  body?: string | ArrayBuffer | ArrayBufferView | undefined;
  /**
   * Certificate authorities to trust besides the system's, as PEM; any number in one text. Default:
   * those of the file that `NODE_EXTRA_CA_CERTS` names, if it does.
   */
  ca?: string | ArrayBuffer | ArrayBufferView | undefined;
  /**
   * Acts as a page of this origin does in a browser, such as `https://example.com` or `null`: other
   * origins must allow it by the rules of CORS, or the source is closed. Default: none, and no CORS,
   * as a program has no origin.
   */
  origin?: string | undefined;
  /**
   * Where cookies are taken from and kept. Those for the URL are sent; `withCredentials` lets them
   * go to other origins, too. Several sources may share one jar. Default: none, and no cookies.
   */
  cookieJar?: CookieJar | undefined;
  /**
   * `strict` is the standard: any answer but 200 with `text/event-stream` closes the source for
   * good, and a lost connection is made again after the reconnection time, which is 3 seconds until
   * the stream sets another, and at least 100 milliseconds.
   *
   * `resilient` is for services: it also outlasts 429 and 5xx, heeds `Retry-After`, backs off with
   * jitter (of up to 30 seconds more), and takes a connection for dead that is silent for 5 minutes.
   *
   * Default: `strict`.
   */
  profile?: "strict" | "resilient" | undefined;
  /**
   * The id to resume after: the first request already sends it as `Last-Event-ID`. No line end and
   * no NUL. Default: none.
   */
  lastEventId?: string | undefined;
  /** Whether the process stays alive for the source until it is closed. Default: true. */
  ref?: boolean | undefined;
  /** Closes the source when it is aborted, without an event. Default: none. */
  signal?: AbortSignal | undefined;
  /**
   * Called before each `error` event, which says nothing itself: why the connection is gone, and
   * when the next attempt is. What it throws is reported as what a listener throws. Default: none.
   */
  onDisconnect?: ((disconnection: Disconnection) => void) | undefined;
}

/** What a source is set up with. */
export interface EventSourceInit {
  /**
   * Whether credentials (cookies, and the user name and password of a URL) go to other origins, too.
   * Default: false.
   */
  withCredentials?: boolean | undefined;
  /** What this package offers beyond the standard. Default: what {@link setDefaults} has set. */
  tidings?: TidingsOptions | null | undefined;
}

/**
 * Follows an event stream: connects, dispatches an event for each that the stream has, and connects
 * again after the last one it has seen when the connection is lost.
 *
 * Its interface is that of browsers. An open source keeps the process alive; {@link unref} and
 * {@link TidingsOptions.signal} change that.
 */
export class EventSource extends EventTarget {
  /** Connecting, for the first time or again. */
  static readonly CONNECTING: 0;
  /** A connection stands. */
  static readonly OPEN: 1;
  /** Closed for good. */
  static readonly CLOSED: 2;

  /**
   * Connects, from the next task on: listeners that are added at once miss nothing.
   *
   * @param url absolute, or relative to {@link TidingsOptions.baseURL}. One that is neither http nor
   * https closes the source with an `error`.
   * @throws `DOMException` named `SyntaxError` if it is no URL; `TypeError` if an option is wrong.
   */
  constructor(url: string | URL, eventSourceInitDict?: EventSourceInit | null);

  /** Connecting, for the first time or again. */
  readonly CONNECTING: 0;
  /** A connection stands. */
  readonly OPEN: 1;
  /** Closed for good. */
  readonly CLOSED: 2;

  /** The URL it was given, resolved. Redirects do not change it. */
  get url(): string;
  /** Whether credentials go to other origins, too. */
  get withCredentials(): boolean;
  /** `CONNECTING`, `OPEN` or `CLOSED`. */
  get readyState(): number;

  /** Called when a connection stands. Default: null. */
  onopen: ((this: EventSource, ev: Event) => any) | null;
  /** Called with each message that the server has not named. Default: null. */
  onmessage: ((this: EventSource, ev: EventSourceMessage) => any) | null;
  /**
   * Called when a connection is lost (`readyState` is `CONNECTING`) or the source is closed for good
   * (`CLOSED`). The event does not say why: {@link TidingsOptions.onDisconnect} does. Default: null.
   */
  onerror: ((this: EventSource, ev: Event) => any) | null;

  /** Closes it for good, at once: no event comes after that, not even what is received already. */
  close(): void;

  /** Adds a listener for `open`, `message` or `error`. */
  addEventListener<K extends keyof EventSourceEventMap>(
    type: K,
    listener: (this: EventSource, ev: EventSourceEventMap[K]) => any,
    options?: boolean | EventSourceListenerOptions,
  ): void;
  /** Adds a listener for the events that the server gives this name. */
  addEventListener(
    type: string,
    listener: (this: EventSource, ev: EventSourceMessage) => any,
    options?: boolean | EventSourceListenerOptions,
  ): void;
  /** Adds an object that listens. */
  addEventListener<K extends string>(
    type: K,
    listener: EventSourceListenerObject<EventSourceEvent<K>>,
    options?: boolean | EventSourceListenerOptions,
  ): void;

  /** Removes a listener for `open`, `message` or `error`. */
  removeEventListener<K extends keyof EventSourceEventMap>(
    type: K,
    listener: (this: EventSource, ev: EventSourceEventMap[K]) => any,
    options?: boolean | { capture?: boolean },
  ): void;
  /** Removes a listener for the events that the server gives this name. */
  removeEventListener(
    type: string,
    listener: (this: EventSource, ev: EventSourceMessage) => any,
    options?: boolean | { capture?: boolean },
  ): void;
  /** Removes an object that listens. */
  removeEventListener<K extends string>(
    type: K,
    listener: EventSourceListenerObject<EventSourceEvent<K>>,
    options?: boolean | { capture?: boolean },
  ): void;
}

/** Cookies in memory, kept as a browser keeps them until it is closed. */
export class CookieJar {
  /** An empty jar. */
  constructor();
  /**
   * Keeps a cookie as if a response of `url` had set it.
   *
   * @param cookie written as in `Set-Cookie`. One that is not a cookie, or not for `url`, is ignored.
   * @throws `Error` if `url` is not an absolute URL.
   */
  setCookie(cookie: string, url: string): void;
  /**
   * The cookies that go with a request to `url`, written as in `Cookie`; empty if there are none.
   *
   * @throws `Error` if `url` is not an absolute URL.
   */
  cookiesFor(url: string): string;
}

/** A source of this package, also where another library types the global. */
export type AnySource = Pick<EventSource, "url" | "withCredentials" | "readyState" | "close">;

/** Has the process stay alive for the source until it is closed, as it does unless told otherwise. */
export function ref(source: AnySource): void;

/** Lets the process end although the source is open. */
export function unref(source: AnySource): void;

/**
 * Sets the options of all sources that are made from now on and are not told otherwise, option by
 * option. It replaces what was set before; without options there are none any more.
 *
 * @throws `TypeError` that names the option which is wrong.
 */
export function setDefaults(options?: TidingsOptions | null): void;
