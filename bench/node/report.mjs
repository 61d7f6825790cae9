// The tables, and the bars.

import { CONTENDERS, OURS, PEERS } from "./contenders.mjs";

const isRate = (kind) => kind === "full";
const isStream = (kind) => kind === "full" || kind === "paced";
const perEvent = (figure) => (figure.cpu / figure.events) * 1e9;

const TABLES = [
  ["Events a second, in thousands", isRate, (f) => f.events / f.seconds / 1e3, 0],
  ["CPU time an event, ns", isStream, perEvent, 0],
  ["Busy, % of a core", isStream, (f) => (f.cpu / f.seconds) * 100, 0],
  ["Memory of an open source that is idle, KiB", (kind) => kind === "crowd", (f) => f.idle / 1024, 1],
  ["The same once it has taken 10,000 events, KiB", (kind) => kind === "crowd", (f) => f.taken / 1024, 1],
  ["CPU time an event meanwhile, ns", (kind) => kind === "crowd", perEvent, 0],
  ["What an import adds to the start of a process, ms", (kind) => kind === "import", (f) => f.seconds * 1e3, 1],
];

/** Medians with the least and the most; behind a figure of another, how many times ours is better. */
export function printFigures(cells) {
  const names = Object.keys(CONTENDERS);
  console.log(`\nNode.js ${process.versions.node}. Each hears: ${names.map((n) => `${n}: ${CONTENDERS[n].hears}`).join("; ")}.`);
  for (const [title, isOf, figure, digits] of TABLES) {
    const rows = cells.filter(({ parameters }) => isOf(parameters.kind));
    if (rows.length === 0) {
      continue;
    }
    console.log(`\n| ${title} | ${names.join(" | ")} |\n| --- |${" ---: |".repeat(names.length)}`);
    for (const { name, figures } of rows) {
      const shown = names.map((contender) => {
        const ratio = contender === OURS ? "" : ` ×${median(ratios(figures, contender, figure)).toFixed(2)}`;
        return spread(figures[contender].map(figure), digits) + ratio;
      });
      console.log(`| ${name} | ${shown.join(" | ")} |`);
    }
  }
  console.log("\n×: the median of the rounds' ratios, theirs divided by ours.");
}

/** Prints the bars, and whether all are met. */
export function printBars(cells) {
  console.log();
  const bars = cells.filter(({ name, parameters }) => isRate(parameters.kind) && /^(llm|tiny)/.test(name));
  const found = bars.flatMap(({ name, figures }) => PEERS.map((peer) => {
    const faster = 1 / median(ratios(figures, peer, (f) => f.events / f.seconds));
    const cheaper = median(ratios(figures, peer, perEvent));
    const isMet = faster >= BAR;
    const note = CONTENDERS[peer].hears === CONTENDERS[OURS].hears ? "" : ` (it makes no events: ${CONTENDERS[peer].hears})`;
    console.log(
      `${isMet ? "met   " : "MISSED"} ${name}: to ${peer}${note}: ${faster.toFixed(2)} times the events a second, ` +
        `the bar is ${BAR}; ${cheaper.toFixed(2)} times as few ns of CPU time`,
    );
    return isMet;
  }));
  const met = found.every(Boolean);
  if (found.length > 0) {
    console.log(met ? "Every bar is met." : "A bar is missed.");
  }
  return met;
}

/** Of each round, theirs divided by ours. */
function ratios(figures, contender, figure) {
  return figures[contender].map((theirs, round) => figure(theirs) / figure(figures[OURS][round]));
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function spread(values, digits) {
  const [least, middle, most] = [Math.min(...values), median(values), Math.max(...values)];
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

/** How many times as many events a second we must have. */
const BAR = 1.5;
