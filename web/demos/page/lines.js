// The lines of a log on a card.
const LINES_MAX = 60;

// Adds a line to a log on a card, in the words given, and keeps the newest in sight.
export function addLine(log, ...words) {
  const line = document.createElement("li");
  for (const word of words) line.appendChild(document.createElement("span")).textContent = word;
  log.append(line);
  while (log.children.length > LINES_MAX) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}
