// Who is compared. Each opens a source and says what it hears: `onEvent(type, data, id)`, or
// `onBytes(count)` of who does not parse.

import net from "node:net";

/** The limit: reads a socket and counts the bytes of the body. */
const bare = {
  specifier: "node:net",
  hears: "bytes",
  load: async () => ({ url, onOpen, onBytes }) => {
    const { hostname, port, pathname } = new URL(url);
    const socket = net.connect(port, hostname, () => {
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    });
    let head = "";
    const onBody = (bytes) => onBytes(bytes.length);
    const onHead = (bytes) => {
      head += bytes.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end >= 0) {
        socket.off("data", onHead).on("data", onBody);
        onOpen();
        onBytes(head.length - end - 4);
      }
    };
    socket.on("data", onHead);
    return { close: () => socket.destroy() };
  },
};

/** The browsers' interface. */
function browserLike(specifier, name = "EventSource") {
  return {
    specifier,
    hears: "MessageEvent",
    load: async () => {
      const { [name]: EventSource } = await import(specifier);
      return ({ url, types, onOpen, onEvent, onEnd }) => {
        const source = new EventSource(url);
        const listener = (event) => onEvent(event.type, event.data, event.lastEventId);
        for (const type of types) {
          if (type === "message") {
            source.onmessage = listener;
          } else {
            source.addEventListener(type, listener);
          }
        }
        source.onopen = onOpen;
        source.onerror = onEnd;
        return source;
      };
    },
  };
}

/** Hands a plain object to a callback: no `Event` is made, none is dispatched. */
const eventsourceClient = {
  specifier: "eventsource-client",
  hears: "plain object",
  load: async () => {
    const { createEventSource } = await import("eventsource-client");
    return ({ url, onOpen, onEvent, onEnd }) => {
      const onMessage = ({ event = "message", data, id = "" }) => onEvent(event, data, id);
      return createEventSource({ url, onMessage, onConnect: onOpen, onDisconnect: onEnd });
    };
  },
};

// The newest that this Node.js can load.
const undici = Number.parseInt(process.versions.node, 10) >= 22 ? "undici" : "undici-7";

export const CONTENDERS = {
  // Another build of it, to compare with: the path of its index.mjs.
  tidings: browserLike(process.env.TIDINGS ?? "tidings"),
  eventsource: browserLike("eventsource"),
  "eventsource-client": eventsourceClient,
  undici: browserLike(undici),
  "bare socket": bare,
};

export const OURS = "tidings";
export const LIMIT = "bare socket";
export const PEERS = Object.keys(CONTENDERS).filter((name) => name !== OURS && name !== LIMIT);
