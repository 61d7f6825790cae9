const topic = "/events/demo/talk";
const say = (text) => fetch(topic, { method: "POST", body: text });
const second = () => new Promise((wake) => setTimeout(wake, 1000));

export async function start(tell) {
  await say("(silence)"); // opens the topic again, if the last talk ended it
  const source = new EventSource(topic);

  source.onmessage = (event) => tell(`“${event.data}”`);
  source.onerror = () => tell(source.readyState === EventSource.CONNECTING
    ? "The hub closed the stream. The browser will ask once more."
    : "The answer was 204 No Content: the browser never asks again.");

  source.addEventListener("open", async () => {
    for (const text of ["Welcome.", "One thing only:", "streams can end."]) {
      await say(text);
      await second();
    }
    await fetch(topic, { method: "DELETE" }); // ends the topic
  }, { once: true });
  return source;
}
