// The global, of whatever type it has been before.

import "tidings/global";
import { unref } from "tidings";

const source = new EventSource("https://example.com/events", {
  withCredentials: true,
  tidings: { profile: "resilient", onDisconnect: ({ delay }) => void delay },
});
source.onmessage = (event) => void event.data;
source.addEventListener("join", (event) => void event.type);
unref(source);
source.close();
// @ts-expect-error: not an option.
new EventSource("https://example.com/events", { tidings: { retry: 1 } });
