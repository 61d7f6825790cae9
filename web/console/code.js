// The code panel: what the forms do, as one would write it.

import { element, write } from "./element.js";
import { eventsQuery, publishHeaders, publishUrl } from "./query.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function showCode() {
  const url = `${location.origin}/events?${eventsQuery()}`;
  const type = element("type").value || "message";
  const hear = type === "message" ? "source.onmessage = (event) => {" : `source.addEventListener(${JSON.stringify(type)}, (event) => {`;
  write(element("page-code"),
    `const source = new EventSource(\n  ${JSON.stringify(url)});\n\n` +
    `${hear}\n  console.log(event.lastEventId, event.data);\n}${type === "message" ? "" : ")"};\n` +
    `source.addEventListener("tidings.gap", (event) => {\n  // History was lost: reload what you show.\n});`);
  const headers = Object.entries(publishHeaders()).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)} `).join("");
  // Not -d, which would take data that begins with @ for the name of a file.
  write(element("shell-code"),
    `# follow\ncurl -N ${quoted(url)}\n\n` +
    `# publish\ncurl ${headers}--data-raw ${quoted(element("data").value)} \\\n${quoted(location.origin + publishUrl())}`);
}

// Copies the text of the element that a button names, and says so on the button for a while.
export function copyOnClick() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.firstChild;
    button.addEventListener("click", async () => {
      const source = element(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        label.data = "Copied";
      } catch {
        // Without leave for the clipboard it is marked, for the reader to copy.
        getSelection().selectAllChildren(source);
        label.data = "Marked: press Ctrl+C";
      }
      setTimeout(() => { label.data = "Copy"; }, 2_000);
    });
  }
}
