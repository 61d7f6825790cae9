const topic = "/events/demo/list";

// Each event becomes a line of the list, newest last.
export function start(list) {
  const source = new EventSource(topic);

  source.addEventListener("message", (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    list.append(item);
    if (list.children.length > 100) list.firstElementChild.remove();
  });

  return source;
}

// Anything that can POST can publish.
export function publish(text) {
  return fetch(topic, { method: "POST", body: text });
}
