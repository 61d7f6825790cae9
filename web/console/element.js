// Elements: found by id, made with text. Never with markup: what comes from events is text.

export const element = (id) => document.getElementById(id);

export function add(parent, tag, name, text) {
  const node = parent.appendChild(document.createElement(tag));
  node.className = name;
  node.textContent = text;
  return node;
}

// Writes only what is new, so that what is drawn often costs nothing while it stays the same.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const count = (number) => number.toLocaleString("en");

export const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

// "3 s", "5 min", "2 h" for milliseconds.
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
