// The events that are kept to be shown: the newest, so many and so long at most.

export const ROWS_MAX = 500;
const CHARS_MAX = 16 * 1024 * 1024;

export class History {
  items = []; // oldest first
  heard = 0;
  #chars = 0;

  // Adds an item after another one, which is null for the oldest, or without that as the newest.
  // One that is older than what was trimmed is only counted.
  add(item, after) {
    this.heard += 1;
    let at = this.items.length;
    if (after !== undefined) at = after?.kept ? this.items.lastIndexOf(after) + 1 : 0;
    if (at === 0 && this.items.length === ROWS_MAX) {
      this.#forget(item);
      return;
    }
    item.kept = true;
    this.items.splice(at, 0, item);
    this.#chars += item.data.length;
    while (this.items.length > ROWS_MAX || (this.#chars > CHARS_MAX && this.items.length > 1)) {
      const oldest = this.items.shift();
      this.#chars -= oldest.data.length;
      this.#forget(oldest);
    }
  }

  get newest() { return this.items.at(-1); }

  clear() {
    for (const item of this.items) this.#forget(item);
    [this.items, this.heard, this.#chars] = [[], 0, 0];
  }

  // What is kept now, to be shown on although newer events come: until it is released.
  hold() {
    for (const item of this.items) item.held = true;
    return [...this.items];
  }

  release(items) {
    for (const item of items) {
      item.held = false;
      if (!item.kept) this.#forget(item);
    }
  }

  // Emptied, for the pairing of the streams may have it for long.
  #forget(item) {
    item.kept = false;
    if (!item.held) Object.assign(item, { data: null, row: null, text: null });
  }
}
