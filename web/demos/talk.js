const topic = "/events/demo/talk";
const say = (text) => fetch(topic, { method: "POST", body: text });
const second = () => new Promise((wake) => setTimeout(wake, 1000));

export async function start(tell) {
  await say("…"); // opens the topic again, if a talk has ended it
  const source = new EventSource(topic);

  source.onmessage = (event) => tell(`“${event.data}”`);
  source.addEventListener("open", async () => {
    for (const text of ["Welcome.", "One thing:", "streams can end."]) {
      await say(text);
      await second();
      if (source.readyState === EventSource.CLOSED) return; // by the user
    }
    await fetch(topic, { method: "DELETE" }); // ends the topic
  }, { once: true });
  source.addEventListener("error", () => {
    tell(source.readyState === EventSource.CONNECTING
      ? "The stream was closed. The browser will ask once more."
      : "The answer was 204 No Content: it never asks again.");
  });
  return source;
}
