"use strict";
// What comes between two tasks: all that was left to a microtask, or to the next tick.

const { process } = globalThis;

// What Node.js itself calls between two immediates. To call it costs a tenth of what an immediate for
// each event does. It is not documented; where it is missing, or is not what it was, as in another
// runtime or with --pending-deprecation, each event gets an immediate.
const candidate = process?._tickCallback;
const runNextTicks = candidate?.name === "runNextTicks" ? candidate : null;

/**
 * Does all that was left to a microtask or to the next tick, and is true; or is false, and has done
 * nothing of it. Throws what any of it has thrown. Only for who is called by nobody else's code.
 */
function doWhatWasLeft() {
  if (runNextTicks === null) {
    return false;
  }
  runNextTicks();
  return true;
}

module.exports = { doWhatWasLeft };
