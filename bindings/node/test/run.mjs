// Programs that a test runs.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Runs a program to its end; an error if it fails or takes longer than a minute. */
export async function run(program, args, { cwd, env = {} } = {}) {
  const options = { cwd, env: { ...process.env, ...env }, timeout: 60_000, shell: false };
  try {
    return await promisify(execFile)(program, args, options);
  } catch (error) {
    error.message += `\n${error.stdout}\n${error.stderr}`;
    throw error;
  }
}

/** Runs JavaScript in a process of its own. */
export function node(args, options) {
  return run(process.execPath, args, options);
}
