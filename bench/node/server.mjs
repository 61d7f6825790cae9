// The server: a process of its own that writes what it has framed before, as fast as the socket
// takes it. Started by `startServer`; it ends with the process that started it.
//
//   /full/WORKLOAD/CHUNKS/PASSES   so many passes at full speed, then the end of the body
//   /paced/WORKLOAD/EVENTS         an event each 20 ms, a write each, then the end
//   /held/WORKLOAD/CHUNKS/PASSES   nothing until /go is asked for, then the passes; it stays open
//   /go                            lets go of all that is held

import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";

import { blocks, chunk, framed, LAST_CHUNK } from "./workload.mjs";

/** Milliseconds between the events of a paced source: 50 a second. */
export const PACE_MS = 20;

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const DONE = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const UNKNOWN = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** Starts it; `origin` is where it listens. */
export async function startServer() {
  const child = fork(fileURLToPath(import.meta.url), ["serve"], { execArgv: [] });
  const [port] = await once(child, "message");
  return { origin: `http://127.0.0.1:${port}`, stop: () => child.kill() };
}

const made = new Map();
const held = new Set();

function remembered(key, make) {
  if (!made.has(key)) {
    made.set(key, make());
  }
  return made.get(key);
}

// The next pass goes once the kernel has taken the one before; none, once the socket is gone.
function writePasses(socket, pass, passes, last = Buffer.alloc(0)) {
  if (passes === 0) {
    socket.write(last);
  } else {
    socket.write(pass, (error) => error || writePasses(socket, pass, passes - 1, last));
  }
}

const ROUTES = {
  full(socket, [workload, chunks, passes]) {
    const pass = remembered(`${workload}/${chunks}`, () => framed(workload, chunks));
    writePasses(socket, pass, Number(passes), LAST_CHUNK);
  },
  paced(socket, [workload, events]) {
    const each = remembered(workload, () => blocks(workload).map(chunk));
    let sent = 0;
    const timer = setInterval(() => {
      if (sent === Number(events)) {
        clearInterval(timer);
        socket.write(LAST_CHUNK);
      } else {
        socket.write(each[sent++ % each.length]);
      }
    }, PACE_MS);
    socket.on("close", () => clearInterval(timer));
  },
  held(socket, [workload, chunks, passes]) {
    const pass = remembered(`${workload}/${chunks}`, () => framed(workload, chunks));
    const letGo = () => writePasses(socket, pass, Number(passes));
    held.add(letGo);
    socket.on("close", () => held.delete(letGo));
  },
};

function serve() {
  const server = net.createServer({ noDelay: true }, (socket) => {
    let head = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      head += bytes.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) {
        return;
      }
      const [name, ...parameters] = head.slice(0, end).split(" ")[1].slice(1).split("/");
      head = "";
      if (name === "go") {
        held.forEach((letGo) => letGo());
        held.clear();
        socket.end(DONE);
      } else if (Object.hasOwn(ROUTES, name)) {
        socket.write(HEAD);
        ROUTES[name](socket, parameters);
      } else {
        socket.end(UNKNOWN);
      }
    });
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => process.send(server.address().port));
  process.on("disconnect", () => process.exit());
}

if (process.argv[2] === "serve") {
  serve();
}
