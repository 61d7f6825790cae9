// A demo's card: starts and stops it, and says in words how it stands.
import * as streams from "./streams.js";
import { showCode } from "./code.js";

const STATES = ["connecting", "open", "closed"];
// A connection on loopback opens in milliseconds, if the browser has one left.
const NO_ANSWER_MS = 5000;

export class Card {
  // `start(part)` starts the demo and answers its EventSources, or a promise of them; `part(name)`
  // finds an element of the card. `stopped` runs when it was stopped.
  constructor(name, { streams: count = 1, start, stopped = () => {} }) {
    this.element = document.getElementById(name);
    this.streams = count;
    this.starting = start;
    this.stopped = stopped;
    this.run = null;
    this.toggle = this.part("toggle");
    this.toggle.addEventListener("click", () => (this.run ? this.stop() : this.start()));
    showCode(this.part("code"), `${name}.js`);
    this.show();
  }

  part(name) {
    return this.element.querySelector(`[data-part="${name}"]`);
  }

  async start() {
    this.stop();
    streams.enter(this);
    const run = this.run = { sources: [], opened: false };
    this.show();
    try {
      const sources = await this.starting((name) => this.part(name));
      // Stopped while it was starting.
      if (run !== this.run) return sources.forEach((source) => source.close());
      run.sources = sources;
    } catch (error) {
      if (run === this.run) this.stop(`It could not start (${error.message}). Is the hub running?`);
      return;
    }
    run.sources.forEach((source) => this.watch(run, source));
    run.timer = setTimeout(() => this.changed(run, true), NO_ANSWER_MS);
    this.changed(run);
  }

  // One more of its streams, in place of one that was closed.
  add(source) {
    this.run.sources.push(source);
    this.watch(this.run, source);
    this.changed(this.run);
  }

  watch(run, source) {
    source.addEventListener("open", () => { run.opened = true; this.changed(run); });
    source.addEventListener("error", () => this.changed(run));
  }

  stop(why = "") {
    if (!this.run) return;
    const run = this.run;
    this.run = null;
    clearTimeout(run.timer);
    this.stopped();
    run.sources.forEach((source) => source.close());
    streams.leave(this);
    this.show(EventSource.CLOSED, "stopped", why);
  }

  // The state of a demo is that of its stream which is worst off.
  changed(run, late = false) {
    if (run !== this.run) return;
    const states = run.sources.map((source) => source.readyState);
    if (states.every((state) => state === EventSource.CLOSED)) {
      this.run = null;
      clearTimeout(run.timer);
      streams.leave(this);
      return this.show(EventSource.CLOSED, "closed for good", "readyState is 2, CLOSED: the browser does not connect again by itself.");
    }
    const state = Math.min(...states);
    const again = state === EventSource.CONNECTING && run.opened;
    let why = again ? "The browser connects again by itself." : "";
    if (late && !run.opened) {
      why = "No answer yet. Are other tabs of this hub open? The browser shares six connections "
        + "among them all, and lets the seventh request wait: close one.";
    }
    this.show(state, again ? "reconnecting" : STATES[state], why);
  }

  show(state = this.run ? EventSource.CONNECTING : EventSource.CLOSED, word = this.run ? "connecting" : "stopped", why = "") {
    this.part("dot").dataset.state = state;
    this.part("status").textContent = word;
    this.part("why").textContent = why;
    const name = this.element.querySelector("h2").textContent;
    this.toggle.textContent = this.run ? "Stop" : "Start";
    this.toggle.setAttribute("aria-label", `${this.toggle.textContent} ${name}`);
    this.element.classList.toggle("running", this.run !== null);
  }
}
