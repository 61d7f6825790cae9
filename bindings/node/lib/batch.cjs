"use strict";
// A batch of what a source has received, as the native part hands it over: texts, and the numbers that
// say how they are cut.

// As the native part has them.
const kind = { MESSAGE: 0, OPEN: 1, DISCONNECTED: 2, CLOSED: 3, ASKED: 4 };
const AS_BEFORE = 0xffff_ffff;
const WIDE = 0x8000_0000;
const HEAD = 2;
const NUMBERS = HEAD + 4 * (1024 + 1);

// What the batch that was taken last is cut by. One array for all sources: a batch is read before
// another is taken, or keeps a copy.
const numbers = new Uint32Array(NUMBERS);

/** The next batch of a source, and null if there is none. */
function takeBatch(native) {
  const text = native.take(numbers);
  return text === null ? null : new Batch(native, text);
}

class Batch {
  /** The kind of the entry, and its three parts. Those that are as before are null. */
  kind = 0;
  first = null;
  second = null;
  third = null;
  /** Whether there is another batch. If not, the mailbox tells when there is. */
  isMore = numbers[1] !== 0;
  #native;
  #text;
  #from = 0;
  #wide = null;
  #wideFrom = 0;
  #numbers = numbers;
  #at = HEAD;
  #end = HEAD + 4 * numbers[0];

  constructor(native, text) {
    this.#native = native;
    this.#text = text;
  }

  /** Whether it has so much text that nobody should hold it for a short piece. */
  get isLarge() {
    return this.#text.length + (this.#wide?.length ?? 0) > 4096;
  }

  /** Goes to the next entry, or to the first. False if there is none. */
  next() {
    const at = this.#at;
    if (at === this.#end) {
      return false;
    }
    const cut = this.#numbers;
    this.kind = cut[at];
    this.first = this.#part(cut[at + 1]);
    this.second = this.#part(cut[at + 2]);
    const isText = this.kind === kind.MESSAGE;
    this.third = isText ? this.#part(cut[at + 3]) : cut[at + 3];
    this.#at = at + 4;
    return true;
  }

  /** Keeps it for when another has been taken. */
  keep() {
    if (this.#numbers === numbers) {
      this.#numbers = numbers.slice(this.#at, this.#end);
      this.#end -= this.#at;
      this.#at = 0;
    }
    this.#wide ??= this.#native.wide();
  }

  #part(length) {
    if (length < WIDE) {
      const from = this.#from;
      this.#from = from + length;
      return this.#text.slice(from, this.#from);
    }
    if (length === AS_BEFORE) {
      return null;
    }
    this.#wide ??= this.#native.wide();
    const from = this.#wideFrom;
    this.#wideFrom = from + (length - WIDE);
    return this.#wide.slice(from, this.#wideFrom);
  }
}

module.exports = { takeBatch, kind };
