// A server for the tests of examples and packages: it answers each request as it is told.

import { once } from "node:events";
import { createServer } from "node:http";

/**
 * Serves on a free port of loopback until the test ends. `answer` is called with each request, which
 * has its `text`, and with its response.
 */
export async function feed(t, answer) {
  const server = createServer(async (request, response) => {
    request.text = "";
    for await (const chunk of request.setEncoding("utf8")) {
      request.text += chunk;
    }
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Opens an event stream with this text. */
export function open(response, text) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(text);
}
