// The second stream: the same events as JSON lines, which tell topics, times and unknown types.
// It follows for as long as the EventSource lives, but leaves its connection to others while the
// page is out of sight, or when another request of the page gets none: a browser has only six to a
// host, for all its pages.

const AGAIN_MS = 1_000;
// How long it stays away when another request had no connection.
const AWAY_MS = 15_000;

export class Second {
  #connection = null;
  #away = 0;
  #over = false;
  #source; #query; #hear; #say;

  // `hear` is told { line }, or {} for a sign of life, and answers whether to go on; `say` a sentence.
  constructor(source, query, hear, say) {
    this.#source = source;
    this.#query = new URLSearchParams(query);
    this.#hear = hear;
    this.#say = say;
    document.addEventListener("visibilitychange", this.#hide);
    document.addEventListener("tidings-crowded", this.#leave);
  }

  close() {
    this.#over = true;
    this.#connection?.abort();
    document.removeEventListener("visibilitychange", this.#hide);
    document.removeEventListener("tidings-crowded", this.#leave);
  }

  #hide = () => { if (document.hidden) this.#connection?.abort(); };

  #leave = () => {
    if (!this.#connection || this.#over) return;
    this.#away = performance.now() + AWAY_MS;
    this.#say("The second stream, which tells topics, times and new types, has left its connection to other requests for a while: this browser has none free.");
    this.#connection.abort();
  };

  // Follows from the id on. Answers false if the hub refuses, or the streams came too far apart.
  async follow(from) {
    let more = true;
    while (!this.#over && more) {
      while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
      if (this.#over) break;
      this.#connection = new AbortController();
      this.#query.set("last_event_id", from);
      try {
        const init = { headers: { Accept: "application/x-ndjson" }, signal: this.#connection.signal };
        const response = await fetch("/events?" + this.#query, init);
        if (response.status === 204) break; // ended for good, as the EventSource is about to hear
        if (!response.ok && response.status !== 503) return false;
        if (response.ok) {
          this.#say("");
          for await (const line of lines(response.body)) {
            if (this.#connection.signal.aborted) break;
            const told = line ? JSON.parse(line) : {};
            from = told.id ?? from;
            more = this.#hear(told);
            if (!more) break;
          }
        }
      } catch { /* cut off: it goes on from the last id */ }
      this.#connection.abort();
      this.#connection = null;
      // No knocking while the EventSource cannot reach the hub either.
      do await pause(AGAIN_MS);
      while (!this.#over && (this.#source.readyState === EventSource.CONNECTING || performance.now() < this.#away));
    }
    return more;
  }
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    yield* whole;
  }
}

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));
