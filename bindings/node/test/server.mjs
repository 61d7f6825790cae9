// A server whose answers a test writes, and which remembers what it was asked.

import http from "node:http";
import { once } from "node:events";

/**
 * A server that ends with the test. `answers` are functions of the request and the response, one for
 * each request in turn; the last one answers all that follow.
 */
export async function serve(t, ...answers) {
  const server = new Server(answers);
  await server.listen();
  t.after(() => server.leave());
  return server;
}

/** An answer: an event stream of these chunks, which stays open. */
export function stream(...chunks) {
  return (_, response) => {
    begin(response);
    for (const chunk of chunks) {
      response.write(chunk);
    }
  };
}

/** An answer: an event stream of these chunks, and its end. */
export function whole(...chunks) {
  return (_, response) => {
    stream(...chunks)(_, response);
    response.end();
  };
}

/** An answer: an event stream of these chunks, whose connection then breaks. */
export function cut(...chunks) {
  return (_, response) => {
    stream(...chunks)(_, response);
    // Once they are on their way, or they would be lost with it.
    response.write(": the last\n", () => response.destroy());
  };
}

/** An answer that never ends, as fast as it is taken. */
export function flood(_, response) {
  begin(response);
  const text = "data: 1\n\n".repeat(500);
  const more = () => {
    while (!response.destroyed && response.write(text));
  };
  response.on("drain", more);
  more();
}

/** An answer with this status, and these headers, and a body that must not be read as events. */
export function status(code, headers = {}) {
  return (_, response) => {
    response.writeHead(code, { "content-type": "text/event-stream", ...headers });
    response.end(code === 204 || code === 304 ? undefined : "data: not for anybody\n\n");
  };
}

/** An answer that leads elsewhere. */
export function redirect(code, location, headers = {}) {
  return status(code, { location, ...headers });
}

/** An answer: the head of an event stream, whose body the test writes. */
export function begin(response, headers = {}) {
  response.writeHead(200, { "content-type": "text/event-stream", ...headers });
  response.flushHeaders();
}

class Server {
  /** What has come: the requests, each with its `response`, and with `gone`, a promise of its end. */
  requests = [];
  #answers;
  #server = http.createServer((request, response) => this.#handle(request, response));
  #sockets = new Set();
  #waiting = [];
  #port = 0;

  constructor(answers) {
    this.#answers = answers;
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The same server under a name, which makes it another origin. */
  get otherOrigin() {
    return `http://localhost:${this.#port}`;
  }

  get url() {
    return `${this.origin}/`;
  }

  /** Connections that stand. */
  get connections() {
    return this.#sockets.size;
  }

  /** The paths that were asked for. */
  get paths() {
    return this.requests.map((request) => request.url);
  }

  /** The request of this number, of which 1 is the first, as soon as it is there. */
  request(number) {
    if (this.requests.length >= number) {
      return Promise.resolve(this.requests[number - 1]);
    }
    return new Promise((resolve) => this.#waiting.push({ number, resolve }));
  }

  /** Listens, on the same port as before if it has listened before. */
  async listen() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
  }

  /** Goes away: its connections break, and nobody reaches it. */
  async leave() {
    if (this.#server.listening) {
      this.#server.close();
      this.#sockets.forEach((socket) => socket.destroy());
      await once(this.#server, "close");
    }
  }

  #handle(request, response) {
    request.response = response;
    request.gone = once(response, "close");
    response.on("error", () => {});
    this.requests.push(request);
    const answer = this.#answers[Math.min(this.requests.length, this.#answers.length) - 1];
    answer(request, response);
    this.#waiting = this.#waiting.filter(({ number, resolve }) => {
      const isHere = this.requests.length >= number;
      if (isHere) {
        resolve(this.requests[number - 1]);
      }
      return !isHere;
    });
  }
}
