// The event stream format, with the bytes cut into chunks in every way that has ever mattered.

import assert from "node:assert/strict";
import { brief, connect, test, watch } from "./harness.mjs";
import { begin, serve } from "./server.mjs";

const BOM = "\ufeff";

// A message of these data, of no type and no id.
const of = (...data) => data.map((text) => ["message", text, ""]);

// What a stream says, and the messages it stands for: type, data and last event id.
const CASES = {
  "byte order marks": [
    [`${BOM}data: 1\n\n`, of("1")],
    ["data: 1\n\n", of("1")],
    // The second one belongs to the name of the field.
    [`${BOM}${BOM}data: 1\n\ndata: 2\n\n`, of("2")],
    [`${BOM}:${BOM}\ndata: 1\n\n`, of("1")],
    [`data: 1\n\n${BOM}data: 2\n\ndata: 3\n\n`, of("1", "3")],
    [`data:${BOM}1${BOM}\n\n`, of(`${BOM}1${BOM}`)],
    [`\n${BOM}data: 1\n\ndata: 2\n\n`, of("2")],
    // Half of one is no mark, but something that is not UTF-8.
    [bytes(0xef, 0xbb, "data: 1\n\ndata: 2\n\n"), of("2")],
    [bytes(0xfe, 0xff, "data: 1\n\ndata: 2\n\n"), of("2")],
    [`${BOM}\ndata: 1\n\n`, of("1")],
  ],
  "line ends": [
    ["data: 1\ndata: 2\n\n", of("1\n2")],
    ["data: 1\rdata: 2\r\r", of("1\n2")],
    ["data: 1\r\ndata: 2\r\n\r\n", of("1\n2")],
    ["data: 1\ndata: 2\rdata: 3\r\n\ndata: 4\r\n\r", of("1\n2\n3", "4")],
    ["data: 1\n\rdata: 2\n\n", of("1", "2")],
    ["data: 1\r\n\r\n\r\n\r\ndata: 2\r\r\n", of("1", "2")],
    ["\n\n\r\r\r\n\r\ndata: 1\n\n\n\n", of("1")],
    // These end no line, whatever they look like.
    ["data: a\u0085b\u2028c\u2029d\x0be\x0cf\n\n", of("a\u0085b\u2028c\u2029d\x0be\x0cf")],
    ["data: 1\\n\\n\n\n", of("1\\n\\n")],
  ],
  "fields": [
    ["data:1\n\n", of("1")],
    ["data: 1\n\n", of("1")],
    ["data:  1\n\n", of(" 1")],
    ["data:\t1\n\n", of("\t1")],
    ["data: \n\n", of("")],
    ["data: 1 \n\n", of("1 ")],
    ["data: a:b: c\n\n", of("a:b: c")],
    ["data::\n\n", of(":")],
    ["data:\u00a01\n\n", of("\u00a01")],
    // Names are compared exactly.
    ["Data: 1\nDATA: 2\n data: 3\ndata : 4\ndata\t: 5\ndat: 6\ndata2: 7\n\ndata: end\n\n", of("end")],
    ["d\u0430ta: 1\n\ndata: end\n\n", of("end")],
    ["unknown: 1\nunknown\ndata: 1\nfoo:bar:baz\n\n", of("1")],
    ["\0data: 1\n\ndata: 2\n\n", of("2")],
  ],
  "comments": [
    [":\n:::\n: data: 1\n:data: 2\ndata: 3\n: a comment\ndata: 4\n:\n\n", of("3\n4")],
    [": alone\n\n: and again\n\ndata: 1\n\n", of("1")],
    [` ${":"} not a comment\ndata: 1\n\n`, of("1")],
    [`:${"x".repeat(5000)}\ndata: 1\n\n`, of("1")],
    [":\0\ndata: 1\n\n", of("1")],
  ],
  "data": [
    ["data\n\n", of("")],
    ["data:\n\n", of("")],
    ["data\ndata\n\n", of("\n")],
    ["data:\ndata: 1\ndata:\n\n", of("\n1\n")],
    ["data\ndata\ndata: x\ndata\n\n", of("\n\nx\n")],
    ["data: a\0b\n\n", of("a\0b")],
    ["data: {\ndata: \"a\": 1\ndata: }\n\n", of('{\n"a": 1\n}')],
    ["event: x\n\nid: 5\n\nretry: 100\n\n\ndata: 1\n\n", [["message", "1", "5"]]],
  ],
  "types": [
    ["event: x\ndata: 1\n\ndata: 2\n\n", [["x", "1", ""], ["message", "2", ""]]],
    ["data: 1\nevent: x\n\n", [["x", "1", ""]]],
    ["event: y\nevent: x\ndata: 1\n\n", [["x", "1", ""]]],
    ["event: x\nevent:\ndata: 1\n\n", of("1")],
    ["event: x\nevent\ndata: 1\n\n", of("1")],
    ["event\ndata: 1\n\nevent:\ndata: 2\n\nevent: message\ndata: 3\n\n", of("1", "2", "3")],
    // The type goes with its block, dispatched or not.
    ["event: x\n\ndata: 1\n\n", of("1")],
    ["event:  x\ndata: 1\n\nevent:x\ndata: 2\n\n", [[" x", "1", ""], ["x", "2", ""]]],
    ["event: a\0b\ndata: 1\n\n", [["a\0b", "1", ""]]],
    ["event: \u{1f600} ü\ndata: 1\n\n", [["\u{1f600} ü", "1", ""]]],
    ["event: __proto__\ndata: 1\n\nevent: constructor\ndata: 2\n\n", [["__proto__", "1", ""], ["constructor", "2", ""]]],
    ["event: open\ndata: 1\n\nevent: error\ndata: 2\n\n", [["open", "1", ""], ["error", "2", ""]]],
  ],
  "ids": [
    ["id: 1\ndata: a\n\ndata: b\n\n", [["message", "a", "1"], ["message", "b", "1"]]],
    ["data: a\nid: 1\n\n", [["message", "a", "1"]]],
    ["id: 1\nid: 2\ndata: a\n\n", [["message", "a", "2"]]],
    ["id: 1\ndata: a\n\nid\ndata: b\n\n", [["message", "a", "1"], ["message", "b", ""]]],
    ["id: 1\ndata: a\n\nid:\ndata: b\n\n", [["message", "a", "1"], ["message", "b", ""]]],
    ["id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [["message", "a", "1"], ["message", "b", "1"]]],
    ["id: \0\ndata: a\n\n", of("a")],
    ["id: 1\nid: 2\0\ndata: a\n\n", [["message", "a", "1"]]],
    ["id: 1\n\ndata: a\n\n", [["message", "a", "1"]]],
    ["id: 1\n\nid: 2\nevent: x\n\ndata: a\n\n", [["message", "a", "2"]]],
    ["id:  1 \ndata: a\n\n", [["message", "a", " 1 "]]],
    ["id: ü\u{1f600}…\ndata: a\n\n", [["message", "a", "ü\u{1f600}…"]]],
    [`id: ${"i".repeat(5000)}\ndata: a\n\n`, [["message", "a", "i".repeat(5000)]]],
  ],
  "text": [
    ["data: ok…\n\ndata: ü\u{1f600}\u{10ffff}\u0800\n\n", of("ok…", "ü\u{1f600}\u{10ffff}\u0800")],
    [bytes("data: ", 0xff, "a", 0xfe, "\n\n"), of("\ufffda\ufffd")],
    [bytes("data: ", 0xc3, "\n\ndata: ", 0xc3, 0x28, "\n\n"), of("\ufffd", "\ufffd(")],
    // As many as the Encoding standard says: one for the longest start of a character.
    [bytes("data: ", 0xe2, 0x82, "|", 0xf0, 0x9f, 0x98, "|\n\n"), of("\ufffd|\ufffd|")],
    [bytes("data: ", 0xc0, 0xaf, "|", 0xed, 0xa0, 0x80, "|", 0xf4, 0x90, 0x80, 0x80, "\n\n"), of("\ufffd\ufffd|\ufffd\ufffd\ufffd|\ufffd\ufffd\ufffd\ufffd")],
    [bytes("event: ", 0xff, "\nid: ", 0x80, "\ndata: 1\n\n"), [["\ufffd", "1", "\ufffd"]]],
    [bytes(0xff, "data: 1\n\ndata", 0xff, ": 2\n\ndata: 3\n\n"), of("3")],
  ],
  "the end": [
    ["", of()],
    ["data: 1\n\ndata: 2\n", of("1")],
    ["data: 1\n\ndata: 2", of("1")],
    ["data: 1\n\nid: 2\nevent: x\ndata: 3\n:", of("1")],
    ["data: 1\n\ndata: 2\r", of("1")],
    [bytes("data: 1\n\ndata: ", 0xe2, 0x82), of("1")],
    ["data: 1", of()],
    [BOM, of()],
  ],
};

// How long the chunks are.
const CUTS = { "whole": Infinity, "a byte each": 1, "two bytes each": 2, "three bytes each": 3, "seven bytes each": 7 };

for (const [name, cases] of Object.entries(CASES)) {
  test(`${name}, however they are cut`, async (t) => {
    const server = await serve(t, (request, response) => {
      const [number, length] = request.url.slice(1).split("/").map(Number);
      send(response, Buffer.from(cases[number][0]), length);
    });
    for (const [number, [text, expected]] of cases.entries()) {
      await Promise.all(Object.entries(CUTS).map(async ([cut, length]) => {
        const found = await follow(t, `${server.url}${number}/${length}`, expected);
        assert.deepEqual(found, expected, `${JSON.stringify(String(text))}, ${cut}`);
      }));
    }
  });
}

test("an event is there with its last byte, and LF after CR is of the same line", async (t) => {
  const server = await serve(t, (_, response) => begin(response));
  const source = connect(t, server.url);
  const watched = watch(source, "x");
  const { response } = await server.request(1);
  for (const [chunk, expected] of [
    ["data: 1\n\n", "1"],
    ["data: 2\r\r", "2"],
    // The LF goes with the CR before it, and the event is told before its own LF comes.
    ["\ndata: 3\r\n\r", "3"],
    ["\nevent: x\r", null],
    ["\ndata: 4\r", null],
    ["\n\r", "4"],
    ["\n", null],
    ["data: 5\n", null],
    ["\n", "5"],
  ]) {
    await new Promise((resolve) => response.write(chunk, resolve));
    if (expected !== null) {
      assert.deepEqual(await watched.data(1), [expected]);
    }
  }
  response.write("data: end\n\n");
  assert.deepEqual(await watched.data(1), ["end"]);
});

// The bytes in chunks of this length, each on its way before the next.
async function send(response, data, length) {
  begin(response);
  for (let at = 0; at < data.length; at += length) {
    response.write(data.subarray(at, at + length));
    await new Promise(setImmediate);
  }
  response.end();
}

// The messages of a stream that ends: all that come before its first error.
async function follow(t, url, expected) {
  const source = connect(t, url);
  const types = new Set(["message", ...expected.map(([type]) => type)]);
  const found = [];
  await new Promise((resolve) => {
    for (const type of types) {
      source.addEventListener(type, (event) => event instanceof MessageEvent && found.push(brief(event)));
    }
    source.addEventListener("error", (event) => !(event instanceof MessageEvent) && resolve());
  });
  source.close();
  return found;
}

function bytes(...parts) {
  return Buffer.concat(parts.map((part) => Buffer.from(typeof part === "number" ? [part] : part)));
}
