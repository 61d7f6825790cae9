const room = "/events/demo/chat";

export function join(name, show) {
  const source = new EventSource(room);

  const send = (type, text) => fetch(`${room}?event=${type}&ephemeral`, {
    method: "POST",
    body: JSON.stringify({ name, text }),
    keepalive: true, // is sent even while the page goes away
  });
  const leave = () => {
    removeEventListener("pagehide", leave);
    if (source.readyState === EventSource.CLOSED) return;
    source.close();
    send("leave");
  };

  for (const type of ["join", "message", "leave"]) {
    source.addEventListener(type, (event) => {
      show(type, JSON.parse(event.data));
    });
  }
  source.addEventListener("open", () => send("join"), { once: true });
  addEventListener("pagehide", leave);
  return { source, leave, say: (text) => send("message", text) };
}
