// Where a page's types are: what was written for its EventSource takes ours.

import { EventSource } from "tidings";

const source = new EventSource("https://example.com/events");
const asInPage: globalThis.EventSource = source;
asInPage.onmessage = (event: MessageEvent<string>) => void event.data.length;
source.onmessage = (event: MessageEvent<string>) => void event.data.length;
source.addEventListener("join", (event: MessageEvent<string>) => void event.data.length);
const listener: EventListenerOrEventListenerObject = () => {};
source.addEventListener("join", listener);
