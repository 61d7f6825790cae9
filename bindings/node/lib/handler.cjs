"use strict";
// Event handler attributes, as the HTML standard has them in "Event handlers".

/** One attribute of a source, such as `onmessage`. */
class Handler {
  callback = null;
  #type;
  #listener = null;

  constructor(type) {
    this.#type = type;
  }

  /**
   * Sets it. Its place among the listeners is that of the first callback since there was none, so
   * that replacing one by another does not move it. `members` are those of its interface, which a
   * class derived from it may have overridden.
   */
  set(source, callback, members) {
    const isObject = typeof callback === "function" || (typeof callback === "object" && callback !== null);
    this.callback = isObject ? callback : null;
    if (this.callback === null) {
      members.removeEventListener.call(source, this.#type, this.#listener);
      this.#listener = null;
    } else if (this.#listener === null) {
      this.#listener = (event) => {
        // The standard keeps an object that cannot be called, and calls nothing.
        if (typeof this.callback === "function") {
          return this.callback.call(source, event);
        }
      };
      members.addEventListener.call(source, this.#type, this.#listener);
    }
  }
}

module.exports = { Handler };
