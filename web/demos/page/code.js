// Shows the file that runs, as it is served, with its words coloured.
const PARTS = /(\/\/.*)|("(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)|\b(const|let|function|export|return|if|for|of|new|async|await)\b/g;
const KINDS = ["comment", "string", "keyword"];

export async function showCode(place, file) {
  try {
    const response = await fetch(`/assets/demos/${file}`);
    if (!response.ok) throw new Error(`status ${response.status}`);
    colour(place, await response.text());
  } catch (error) {
    place.textContent = `// The code could not be fetched (${error.message}). Is the hub running?`;
  }
}

function colour(place, text) {
  let end = 0;
  place.replaceChildren();
  for (const match of text.matchAll(PARTS)) {
    place.append(text.slice(end, match.index));
    const part = place.appendChild(document.createElement("span"));
    part.className = KINDS[match.slice(1).findIndex((found) => found !== undefined)];
    part.textContent = match[0];
    end = match.index + match[0].length;
  }
  place.append(text.slice(end));
}
