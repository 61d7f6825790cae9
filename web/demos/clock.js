// The hub publishes its time once a second, while anybody follows.
export function start(show) {
  const source = new EventSource("/events/demo/clock");

  source.onmessage = (event) => {
    const time = new Date(event.data);
    show(time.toLocaleTimeString());
  };

  return source;
}
