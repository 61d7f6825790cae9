// The types, with each set of libraries that declares the globals.

import { test } from "node:test";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { node } from "./run.mjs";

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");

for (const library of ["node", "dom", "both"]) {
  test(`the types hold with ${library}.json`, { timeout: 60_000 }, async () => {
    await node([tsc, "--project", fileURLToPath(new URL(`types/${library}.json`, import.meta.url))]);
  });
}
