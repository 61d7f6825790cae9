// Events a second over the last two minutes: counted as they come, drawn once a second while seen.

import { count, element, write } from "./element.js";
import { every } from "./draw.js";

const SECONDS = 120;
const HEIGHT = 30;

const counts = new Uint32Array(SECONDS);
let last = second();

function second() { return Math.floor(performance.now() / 1000); }

// Empties the seconds since the last event, whose places hold older ones.
function advance() {
  const now = second();
  for (let s = Math.max(last + 1, now - SECONDS + 1); s <= now; s += 1) counts[s % SECONDS] = 0;
  last = now;
}

export function countEvent() {
  advance();
  counts[last % SECONDS] += 1;
}

function draw() {
  advance();
  const peak = Math.max(...counts);
  let path = "";
  // The second under way is not whole yet, and is left out.
  for (let x = 0; x < SECONDS - 1; x += 1) {
    const number = counts[(last + 1 + x) % SECONDS];
    if (number) path += `M${x + 1} ${HEIGHT}h1v${-Math.max(0.6, HEIGHT * number / peak).toFixed(2)}h-1z`;
  }
  if (element("bars").getAttribute("d") !== path) element("bars").setAttribute("d", path);
  const now = counts[(last + SECONDS - 1) % SECONDS];
  write(element("rate"), `Events a second, over the last two minutes: now ${count(now)}, peak ${count(peak)}.`);
}

// Draws while `seen()`; answers a function that looks again whether it is.
export const startChart = (seen) => every(1_000, seen, draw);
