"use strict";
// How long events go to their listeners before timers and input have their turn.

const { performance } = globalThis;

const TURN_MS = 10;

class Turn {
  #until = performance.now() + TURN_MS;
  #events = 0;
  #lookAt = 1;

  /** Counts an event, and says whether it was the last one of the turn. */
  isOver() {
    this.#events++;
    if (this.#events < this.#lookAt) {
      return false;
    }
    // Often at first, to notice a slow listener; then seldom, as a look at the clock is a sixth of the
    // time of a tiny event.
    this.#lookAt += Math.min(this.#events, 16);
    return performance.now() >= this.#until;
  }
}

module.exports = { Turn };
