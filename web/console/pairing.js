// Makes one list of two streams. The EventSource hears only the types it listens for, and is told
// neither topics nor times; the second stream, of JSON lines, tells all of that. Both have one
// order, so each event is paired with the other stream's next one that is the same.
//
// An id alone does not tell events apart, as a publisher may use one again, and an ephemeral event
// has none: the EventSource then still tells the id before.

export const isNotice = (type) => type.startsWith("tidings.");

const isSame = (item, line) =>
  item.type === line.type && (line.ephemeral ? item.data === null || item.data === line.data : item.id === line.id);

export class Pairing {
  ahead = []; // what the second stream told first
  behind = []; // items that the second stream has not come to yet
  told = null; // the item of the second stream's last line
  #lastId = "";

  // How far, in events, one stream is ahead of the other.
  get apart() { return Math.max(this.ahead.length, this.behind.length); }

  // An id that the EventSource was told without an event to be shown.
  move(id) { this.#lastId = id; }

  // An event of the EventSource: answers its item, or null if the second stream told it already.
  // `paired` says whether the second stream will come to it.
  hear(type, id, data, paired) {
    const ownId = id !== this.#lastId;
    this.#lastId = id;
    const item = { type, id, data, ownId, arrived: Date.now() };
    const at = this.ahead.findIndex((line) => isSame(item, line));
    // Whatever was told before this one does not come here any more. If this one was not told, then
    // the second stream has not come to it; only an ephemeral one it may also have missed.
    if (at >= 0 || ownId) this.ahead.splice(0, at < 0 ? this.ahead.length : at + 1);
    if (at >= 0) return null;
    if (paired) this.behind.push(item);
    return item;
  }

  // A line of the second stream: answers its item, and whether that is new, and after which one it
  // belongs. Of the hub's own notices, which the EventSource hears itself, it answers null.
  tell({ id, event: type, data, topics, time_ms, ephemeral = false }) {
    const line = { type, id, ephemeral, data: ephemeral ? data : undefined };
    const at = this.behind.findIndex((item) => isSame(item, line));
    if (at < 0 && isNotice(type)) return null;
    const passed = this.behind.splice(0, at + 1);
    const found = passed.pop();
    // What it left out was live while it was away, that is ephemeral.
    for (const item of passed) item.ephemeral = !item.ownId && !isNotice(item.type);
    const after = this.told;
    const item = found ?? { type, id: id ?? "", data, ownId: !ephemeral, arrived: Date.now() };
    this.told = item;
    if (isNotice(type)) return { item, isNew: false, passed };
    Object.assign(item, { topics, time: time_ms, ephemeral });
    if (!found) this.ahead.push(line);
    return { item, isNew: !found, after, passed };
  }
}
