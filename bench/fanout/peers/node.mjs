// What a Node.js program without any package does: a set of answers, each written to in turn.
import http from "node:http";

const clients = new Set();

const server = http.createServer((request, response) => {
  if (request.method === "POST") {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      for (const client of clients) client.write(`data: ${body}\n\n`);
      response.writeHead(204).end();
    });
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.flushHeaders();
  clients.add(response);
  response.on("close", () => clients.delete(response));
});
// The publisher pauses for longer than the default.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", 4096, () => console.log(`127.0.0.1:${server.address().port}`));
