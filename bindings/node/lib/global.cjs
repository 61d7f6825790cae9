"use strict";
// Installs EventSource as the global, as a browser has it.

const { EventSource } = require("./event-source.cjs");

Object.defineProperty(globalThis, "EventSource", {
  value: EventSource,
  configurable: true,
  enumerable: false,
  writable: true,
});
