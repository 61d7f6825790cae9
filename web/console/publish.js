// The form that publishes, and ends topics.

import { ask, detail } from "./ask.js";
import { element } from "./element.js";
import { publishHeaders, publishUrl, topicUrl } from "./query.js";

function say(text, bad = false) {
  const answer = element("answer");
  answer.classList.toggle("bad", bad);
  answer.textContent = text;
}

const OPEN_OUTCOME = "It may have been published or not; with an idempotency key it is safe to send it again.";

async function publish() {
  const isPrivate = element("private").checked;
  const init = { method: "POST", body: element("data").value, headers: publishHeaders() };
  const { response, trouble } = await ask(publishUrl(), init, (patience) => say(patience));
  if (trouble) return say(`No answer to the publish: ${trouble} ${OPEN_OUTCOME}`, true);
  if (!response.ok) return say(`Not published: ${await detail(response)}`, true);
  const { id } = await response.json();
  const hidden = isPrivate ? ". It is private: it is kept, but shown to nobody until there are access tokens." : "";
  say(id == null ? "Published to whoever follows now; it is not kept and has no id." : `Published as ${id}${hidden}`);
}

async function end(topic) {
  const { response, trouble } = await ask(topicUrl(topic), { method: "DELETE" }, (patience) => say(patience));
  if (trouble) return say(`No answer: ${trouble}`, true);
  if (!response.ok) return say(`Not ended: ${await detail(response)}`, true);
  say(`Ended “${topic}”. A new publish opens it again.`);
}

export function startPublishing() {
  const form = element("publish");
  form.addEventListener("submit", (event) => { event.preventDefault(); publish(); });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  element("new-key").addEventListener("click", () => {
    element("key").value = crypto.randomUUID();
    element("key").dispatchEvent(new Event("input", { bubbles: true }));
  });
  const dialog = element("ending");
  element("end").addEventListener("click", () => {
    if (!element("topic").reportValidity()) return;
    element("ending-topic").textContent = element("topic").value;
    dialog.showModal();
  });
  element("end-now").addEventListener("click", () => {
    dialog.close();
    end(element("ending-topic").textContent);
  });
}
