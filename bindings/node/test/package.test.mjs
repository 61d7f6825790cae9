// The package as it is installed: packed, with the native module of this platform beside it.

import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { feed, open } from "./feed.mjs";
import { node, run } from "./run.mjs";

const timeout = 60_000;
const home = fileURLToPath(new URL("..", import.meta.url));
// Of the npm that runs the tests, if one does.
const npm = process.env.npm_execpath
  ? (args, cwd) => node([process.env.npm_execpath, ...args], { cwd })
  : (args, cwd) => run("npm", args, { cwd });

let place;
let tarball;
let files;

before(async () => {
  place = await mkdtemp(join(tmpdir(), "tidings-"));
  [tarball, files] = await pack(home);
});
after(() => rm(place, { recursive: true, force: true }));

test("it packs the interface, its types and the loader, and no native module", { timeout }, async () => {
  const library = await readdir(join(home, "lib"));
  const expected = library.filter((name) => !name.endsWith(".node")).map((name) => `lib/${name}`);
  const about = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"];
  assert.deepEqual(files, [...expected, ...about].sort());
  assert.ok(files.includes("lib/native.cjs"));
});

test("its licences are those of the project", async () => {
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) {
    assert.equal(await readFile(join(home, name), "utf8"), await readFile(join(home, "../..", name), "utf8"));
  }
});

test("nothing runs when it is installed, and nothing else is", async () => {
  const { scripts, dependencies } = JSON.parse(await readFile(join(home, "package.json"), "utf8"));
  const atInstall = ["preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"];
  assert.deepEqual(Object.keys(scripts).filter((name) => atInstall.includes(name)), []);
  assert.equal(dependencies, undefined);
});

test("the lock file names no host to download from", async () => {
  const { packages } = JSON.parse(await readFile(join(home, "package-lock.json"), "utf8"));
  const named = Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined);
  assert.deepEqual(named, []);
});

test("installed, an event arrives by import, require and the global", { timeout }, async (t) => {
  const url = await feed(t, (_, response) => open(response, "data: here\n\n"));
  const folder = await installed("whole", [tarball, await platformPackage()]);
  const listen = "source.onmessage = ({ data }) => { console.log(data); source.close(); };";
  const beginnings = {
    "by-import.mjs": 'import { EventSource } from "tidings";',
    "by-require.cjs": 'const { EventSource } = require("tidings");',
    "by-global.mjs": 'import "tidings/global";',
    "by-global.cjs": 'require("tidings/global");',
  };
  for (const [name, beginning] of Object.entries(beginnings)) {
    await writeFile(join(folder, name), `${beginning} const source = new EventSource(process.argv[2]); ${listen}`);
    const { stdout } = await node([name, url], { cwd: folder });
    assert.equal(stdout, "here\n", name);
  }
  const same = 'import { EventSource } from "tidings"; import { createRequire } from "node:module";'
    + 'console.log(createRequire(import.meta.url)("tidings").EventSource === EventSource);';
  await writeFile(join(folder, "same.mjs"), same);
  assert.equal((await node(["same.mjs"], { cwd: folder })).stdout, "true\n");
});

test("without a native module, the error says how to get one", { timeout }, async () => {
  const folder = await installed("bare", [tarball]);
  const program = 'try { require("tidings") } catch (error) { console.log(error.message, !!error.cause) }';
  const { stdout } = await node(["-e", program], { cwd: folder });
  const { platform, arch } = process;
  assert.match(stdout, new RegExp(`^tidings: there is no native module for ${platform} ${arch} `));
  assert.match(stdout, /npm ci && npm run build/);
  assert.match(stdout, /true\n$/);
});

/** Packs a folder; the tarball, and the names of the files in it. */
async function pack(folder) {
  const { stdout } = await npm(["pack", "--json", "--pack-destination", place], folder);
  const [{ filename, files }] = JSON.parse(stdout);
  return [join(place, filename), files.map(({ path }) => path).sort()];
}

/** The package of the native module for this platform, as a release has it. */
async function platformPackage() {
  const modules = (await readdir(join(home, "lib"))).filter((name) => name.endsWith(".node"));
  assert.equal(modules.length, 1, "npm run build leaves one native module");
  const platform = modules[0].split(".")[1];
  const { napi, version, license } = JSON.parse(await readFile(join(home, "package.json"), "utf8"));
  const folder = join(place, platform);
  await mkdir(folder);
  await cp(join(home, "lib", modules[0]), join(folder, modules[0]));
  const name = `${napi.packageName}-${platform}`;
  await writeFile(join(folder, "package.json"), JSON.stringify({ name, version, license, main: modules[0] }));
  return folder;
}

/** An empty project with these packages installed, and nothing asked of anybody else. */
async function installed(name, packages) {
  const folder = join(place, name);
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), '{ "private": true }');
  await npm(["install", "--offline", "--no-audit", "--no-fund", ...packages], folder);
  return folder;
}
