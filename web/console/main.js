// The console: follows with a real EventSource, publishes, and shows what goes on.

import { startChart, countEvent } from "./chart.js";
import { copyOnClick, showCode } from "./code.js";
import { connectionOf } from "./connection.js";
import { every } from "./draw.js";
import { element } from "./element.js";
import { Following } from "./following.js";
import { startIntro } from "./intro.js";
import { list, startList } from "./list.js";
import { startPublishing } from "./publish.js";
import { choose, eventsQuery } from "./query.js";
import { showSubscribers } from "./subscribers.js";
import { isShown, select, startTabs } from "./tabs.js";
import { showTopics } from "./topics.js";
import { startWhy } from "./why.js";

let following = null;
const own = () => following?.names ?? new Set();
const showConnection = connectionOf(() => following);

function follow() {
  following?.close();
  list.clear();
  const types = element("types").value.split(/[\s,]+/).filter(Boolean);
  // What one tells that was left for another is no concern of the page any more.
  const mine = () => following === now;
  const now = new Following(eventsQuery(), types, {
    added(item, after) {
      if (!mine()) return;
      countEvent();
      list.add(item, after);
    },
    revised(item) { if (mine()) list.revise(item); },
    changed() { if (mine()) showConnection(); },
  });
  following = now;
  showConnection();
}

function followTopic(topic) {
  choose(topic);
  element("earliest").checked = true;
  element("topic").value = topic;
  showCode();
  follow();
  select(element("tab-events"));
  element("tab-events").focus();
}

element("follow").addEventListener("submit", (event) => { event.preventDefault(); follow(); });
element("close").addEventListener("click", () => following?.close());
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
document.addEventListener("input", showCode);

startIntro();
startTabs();
startPublishing();
startList(startWhy(() => following?.name ?? ""));
showTopics(followTopic);
showSubscribers(own);
const lookAtChart = startChart(() => isShown("events"));
document.addEventListener("tidings-tab", lookAtChart);
every(1_000, () => true, showConnection);
copyOnClick();
showCode();
follow();
