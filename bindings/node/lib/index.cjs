"use strict";

const { EventSource, ref, unref } = require("./event-source.cjs");
const { CookieJar } = require("./native.cjs");
const { setDefaults } = require("./options.cjs");

module.exports = { EventSource, CookieJar, ref, unref, setDefaults };
