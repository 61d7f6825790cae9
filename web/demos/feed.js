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
  database.onversionchange = () => database.close(); // for whoever deletes the store
  const store = () => database.transaction("news", "readwrite").objectStore("news");

  const news = await done(store().getAll());
  const last_event_id = news.at(-1)?.id ?? "earliest";
  restored(news, last_event_id);

  const source = new EventSource("/events/demo/news?" + new URLSearchParams({ last_event_id }));
  source.onmessage = ({ lastEventId: id, data: text }) => {
    // Text and id in one transaction: neither is ever there without the other.
    done(store().add({ id, text })).then(() => arrived(text), () => repeated(text));
  };
  source.addEventListener("tidings.gap", (event) => {
    const { reason } = JSON.parse(event.data);
    if (reason !== "trimmed") store().clear(); // another history: ours is void
    gap(reason);
  });
  return source;
}
