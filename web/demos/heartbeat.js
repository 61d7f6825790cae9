// A beat comes every second. After three seconds without one something is
// wrong, though the connection may look open for long: only silence tells.
export function start(show) {
  const source = new EventSource("/events/demo/heartbeat");
  let timer;

  function listen() {
    clearTimeout(timer);
    timer = setTimeout(() => show("silent"), 3000);
  }

  source.addEventListener("open", listen);
  source.addEventListener("heartbeat", () => {
    show("alive");
    listen();
  });

  return source;
}
