// Compares the package with its peers, end to end over HTTP/1.1 on loopback.
//
//   npm ci && npm run bench                 everything, some twenty minutes
//   npm run bench -- --quick                whether all works, in under a minute
//   npm run bench -- --rounds 3 --only llm  what has it in its name, in so many rounds
//
// TIDINGS=PATH/lib/index.mjs measures another build in its place, to compare a change with. The package
// is else the build that lies in bindings/node: `npm run build` there first. It exits with 1 if a bar is
// missed, but not with --quick, whose figures say little.
//
// The server is a process of its own, and each figure is taken in another, which has nothing in it but
// one contender. The contenders take turns in every round, so that whatever else the machine does falls
// on all of them; a figure is the median of the rounds with the least and the most, and a ratio the
// median of the rounds' ratios. Each process compares every event with the one that was sent, by type,
// data and id, and sees that nothing follows the last; it does so with the peers' as with ours.
//
// The server has the streams framed before and writes as much as the socket takes. The bare socket
// shows what that leaves: it counts the bytes of the body, and looks at none.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

import { CONTENDERS } from "./contenders.mjs";
import { printBars, printFigures } from "./report.mjs";
import { startServer } from "./server.mjs";

const run = promisify(execFile);
const MEASURE = fileURLToPath(new URL("measure.mjs", import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));
/** A process that takes longer hangs. */
const DEADLINE_MS = 300_000;

function measurements(quick) {
  const full = (workload, chunks, passes) => ({
    name: `${workload}, ${chunks === "event" ? "a chunk an event" : "chunks of 16 KiB"}`,
    rounds: 5,
    parameters: { kind: "full", workload, chunks, passes: quick ? 2 : passes, warmup: quick ? 1 : 10 },
  });
  const crowd = (workload) => ({
    name: `${workload}, ${quick ? 20 : "1,000"} sources`,
    rounds: quick ? 1 : 2,
    parameters: quick
      ? { kind: "crowd", workload, chunks: "16k", sources: 20, passes: 1 }
      : { kind: "crowd", workload, chunks: "16k", sources: 1000, passes: 1 },
  });
  return [
    full("llm", "16k", 100),
    full("llm", "event", 50),
    full("tiny", "16k", 150),
    full("typed", "16k", 80),
    {
      name: `llm, ${quick ? 20 : 200} sources, 50 a second each`,
      rounds: 3,
      parameters: quick
        ? { kind: "paced", workload: "llm", sources: 20, warmup: 5, events: 25 }
        : { kind: "paced", workload: "llm", sources: 200, warmup: 50, events: 200 },
    },
    crowd("llm"),
    { name: "import", rounds: quick ? 2 : 25, parameters: { kind: "import" } },
  ];
}

async function take(contender, origin, { parameters }) {
  if (parameters.kind === "import") {
    return { seconds: (await importSeconds(CONTENDERS[contender].specifier)) - (await importSeconds()) };
  }
  const argv = ["--expose-gc", MEASURE, contender, origin, JSON.stringify(parameters)];
  try {
    const { stdout } = await run(process.execPath, argv, { timeout: DEADLINE_MS });
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error(`${contender}, ${JSON.stringify(parameters)}: ${error.stderr || error}`);
  }
}

/** A process that imports it, or nothing, from its start to its end. */
async function importSeconds(specifier) {
  const program = specifier === undefined ? "" : `import ${JSON.stringify(specifier)}`;
  const from = process.hrtime.bigint();
  await run(process.execPath, ["--input-type=module", "-e", program], { cwd: HERE });
  return Number(process.hrtime.bigint() - from) / 1e9;
}

const { values: options } = parseArgs({
  options: { quick: { type: "boolean" }, rounds: { type: "string" }, only: { type: "string", default: "" } },
});
const wanted = measurements(options.quick).filter(({ name }) => name.includes(options.only));
if (wanted.length === 0) {
  const names = measurements(options.quick).map(({ name }) => name).join("; ");
  throw new Error(`nothing has ${JSON.stringify(options.only)} in its name; there are ${names}`);
}
const server = await startServer();
const cells = wanted.map((measurement) => ({ ...measurement, figures: {} }));
for (const cell of cells) {
  const rounds = options.quick ? Math.min(cell.rounds, 2) : Number(options.rounds ?? cell.rounds);
  for (let round = 1; round <= rounds; round++) {
    process.stderr.write(`${cell.name}: round ${round} of ${rounds}\n`);
    for (const contender of Object.keys(CONTENDERS)) {
      (cell.figures[contender] ??= []).push(await take(contender, server.origin, cell));
    }
  }
}
server.stop();
printFigures(cells);
const met = printBars(cells);
process.exitCode = met || options.quick ? 0 : 1;
