// Short questions to the hub, answered in words when something is wrong.

const PATIENCE_MS = 3_000;
const GIVE_UP_MS = 20_000;

export const NO_ROOM =
  "The hub is slow, or this browser has no connection left: over HTTP/1.1 it opens six to a host, for all its tabs " +
  "together, and each stream that is open holds one. Close a tab, or a stream in one.";

// What a refusal says of itself.
export async function detail(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail || problem.title || `the hub answered ${response.status}`;
}

// Tells the rest of the page that a request waits, so that it may leave a connection to it.
const announce = () => document.dispatchEvent(new Event("tidings-crowded"));

// Asks, and answers { response } or { trouble }, a sentence. `waiting` hears when it takes long.
export async function ask(url, init = {}, waiting = () => {}) {
  const patience = setTimeout(() => {
    announce();
    waiting(`No answer for ${PATIENCE_MS / 1000} seconds. ${NO_ROOM}`);
  }, PATIENCE_MS);
  try {
    return { response: await fetch(url, { ...init, signal: AbortSignal.timeout(GIVE_UP_MS) }) };
  } catch (error) {
    if (error.name === "TimeoutError") return { trouble: `No answer within ${GIVE_UP_MS / 1000} seconds. ${NO_ROOM}` };
    return { trouble: `The hub cannot be reached (${error.message}). Is it running?` };
  } finally { clearTimeout(patience); }
}

// Asks for JSON. `absent` is what to say when the hub has no such answer.
export async function askJson(url, absent, waiting) {
  const { response, trouble } = await ask(url, {}, waiting);
  if (trouble) return { trouble };
  try {
    if (response.ok) return { answer: await response.json() };
  } catch { return { trouble: "The answer broke off. It is asked again." }; }
  const why = await detail(response);
  // Two kinds of 404: nothing at this path, or nothing of this name.
  if (response.status === 404 && why.startsWith("there is nothing at")) return { trouble: absent, absent: true };
  return { trouble: why };
}
