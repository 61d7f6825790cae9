// A table that the hub tells page by page, asked again every two seconds while it is seen.

import { askJson } from "./ask.js";
import { every } from "./draw.js";
import { add, element, write } from "./element.js";
import { isShown } from "./tabs.js";

const EVERY_MS = 2_000;
const PAGE = 50;

export class Table {
  #pages = [null]; // what to give as `after`, for each page up to this one
  #next = null;
  #round = 0;
  #rows = new Map();
  #name; #about;

  // `about`: { path, member, key(entry), columns: [{ title, number, cell(entry) or button(entry) }], empty, absent, press }
  constructor(name, about) {
    this.#name = name;
    this.#about = about;
    this.#build(element(`${name}-table`));
    const look = every(EVERY_MS, () => isShown(name), () => this.#refresh());
    document.addEventListener("tidings-tab", look);
  }

  #build(place) {
    this.status = add(place, "p", "hint", "Asking the hub…");
    this.status.setAttribute("role", "status");
    const frame = add(place, "div", "tableframe", "");
    const table = add(frame, "table", "", "");
    add(table, "caption", "unseen", this.#name);
    const head = add(add(table, "thead", "", ""), "tr", "", "");
    for (const { title, number } of this.#about.columns) add(head, "th", number ? "number" : "", title).scope = "col";
    this.body = add(table, "tbody", "", "");
    this.turn = add(place, "div", "buttons", "");
    this.turn.hidden = true;
    this.back = add(this.turn, "button", "plain small", "Page before");
    this.forth = add(this.turn, "button", "plain small", "Next page");
    for (const [button, step] of [[this.back, () => this.#pages.pop()], [this.forth, () => this.#pages.push(this.#next)]]) {
      button.type = "button";
      button.disabled = true;
      button.addEventListener("click", () => { step(); this.#refresh(); });
    }
  }

  async #refresh() {
    const round = ++this.#round;
    const query = new URLSearchParams({ limit: PAGE });
    const after = this.#pages.at(-1);
    if (after !== null) query.set("after", after);
    const { answer, trouble, absent } = await askJson(`${this.#about.path}?${query}`, this.#about.absent, (sentence) => write(this.status, sentence));
    if (round !== this.#round) return; // another page was asked for meanwhile
    if (absent) this.#show([]);
    if (trouble) return write(this.status, trouble);
    const entries = answer[this.#about.member];
    this.#next = answer.next;
    this.#show(entries);
    this.back.disabled = this.#pages.length === 1;
    this.forth.disabled = this.#next === null;
    const several = this.#pages.length > 1 || this.#next !== null;
    this.turn.hidden = !several;
    const pages = several ? `Page ${this.#pages.length}${this.#next === null ? ", the last" : ""}.` : "";
    write(this.status, entries.length ? pages : this.#about.empty);
  }

  // Rows that stay are written over, so that the focus stays in them.
  #show(entries) {
    const before = this.#rows;
    this.#rows = new Map();
    let next = this.body.firstElementChild;
    for (const entry of entries) {
      const key = this.#about.key(entry);
      const row = before.get(key) ?? this.#newRow();
      before.delete(key);
      this.#rows.set(key, row);
      this.#write(row, entry);
      if (row === next) next = row.nextElementSibling;
      else this.body.insertBefore(row, next);
    }
    for (const row of before.values()) row.remove();
  }

  #newRow() {
    const row = document.createElement("tr");
    for (const { number, press } of this.#about.columns) {
      const cell = add(row, "td", number ? "number" : "", "");
      if (!press) continue;
      const button = add(cell, "button", "link", "");
      button.type = "button";
      button.addEventListener("click", () => press(row.entry));
    }
    return row;
  }

  #write(row, entry) {
    row.entry = entry;
    for (const [at, { cell, press }] of this.#about.columns.entries()) {
      const node = row.children[at];
      write(press ? node.firstChild : node, cell(entry));
    }
    row.className = this.#about.look?.(entry) ?? "";
  }
}
