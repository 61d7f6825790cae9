// The server sends three numbers with ids, then "bye", and closes the
// connection. The rest is the browser's: it waits the two seconds that the
// server asked for, connects again with "Last-Event-ID: 3", and gets a 4.
export function start(print) {
  const source = new EventSource("/demo/counter");

  source.onmessage = (event) => {
    print(event.data, `id ${event.lastEventId}`);
  };
  source.addEventListener("bye", (event) => print("bye", event.data));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CONNECTING) {
      print("…", "connecting again");
    }
  });

  return source;
}
