// Installs EventSource as the global, as a browser has it.
//
// @types/node and TypeScript's library of the DOM declare the global already, each in its way, and a
// variable has one type only. So it keeps the type that it has there, which learns our options.

// Its declaration must come before ours, which asks for the type of the one before.
// @ts-ignore: it may be missing.
/// <reference types="node" />

import type { EventSource as TidingsEventSource, TidingsOptions } from "./index.cjs";

declare global {
  interface EventSourceInit {
    /** What the package `tidings` offers beyond the standard. */
    tidings?: TidingsOptions | null | undefined;
  }

  /** The EventSource of the package `tidings`. */
  var EventSource: typeof globalThis extends { EventSource: infer T } ? T : typeof TidingsEventSource;
}

// From where @types/node has it.
// @ts-ignore: it may be missing.
declare module "undici-types/eventsource" {
  interface EventSourceInit {
    /** What the package `tidings` offers beyond the standard. */
    tidings?: TidingsOptions | null | undefined;
  }
}
