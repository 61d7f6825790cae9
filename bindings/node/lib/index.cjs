"use strict";

const { EventSource, ref, unref } = require("./event-source.cjs");
const { CookieJar } = require("./binding.cjs");
const { setDefaults } = require("./options.cjs");

module.exports = { EventSource, CookieJar, ref, unref, setDefaults };
