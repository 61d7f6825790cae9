const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

export async function start({ restored, arrived, repeated, gap }) {
  const opening = indexedDB.open("tidings-demo", 1);
  opening.onupgradeneeded = () => opening.result
    .createObjectStore("news", { autoIncrement: true })
    .createIndex("id", "id", { unique: true });
  const database = await done(opening);
  database.onversionchange = () => database.close(); // to delete it
  const store = () =>
    database.transaction("news", "readwrite").objectStore("news");

  const news = await done(store().getAll());
  const last_event_id = news.at(-1)?.id ?? "earliest";
  restored(news, last_event_id);

  const query = new URLSearchParams({ last_event_id });
  const source = new EventSource("/events/demo/news?" + query);
  source.onmessage = ({ lastEventId: id, data: text }) => {
    // One transaction: no text is ever there without the id to go on from.
    done(store().add({ id, text }))
      .then(() => arrived(text), () => repeated(text));
  };
  source.addEventListener("tidings.gap", (event) => {
    const { reason } = JSON.parse(event.data);
    if (reason !== "trimmed") store().clear(); // it is of another history
    gap(reason);
  });
  return source;
}
