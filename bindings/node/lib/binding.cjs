"use strict";
// The native part: of the package for this platform, or as it was built beside this file.

try {
  module.exports = require("./native.cjs");
} catch (cause) {
  throw new Error(
    `tidings: there is no native module for ${platform()} that can be loaded. ` +
      "If npm was told to leave optional dependencies out, install again with them. Otherwise build the " +
      "module from the sources of tidings, with Rust: run `npm ci && npm run build` in their folder " +
      "bindings/node, and install that folder with `npm install PATH/bindings/node`.",
    { cause },
  );
}

function platform() {
  const { platform, arch, versions } = process;
  return `${platform} ${arch} (Node.js ${versions.node}, Node-API ${versions.napi})`;
}
