// When to draw: at most once a frame, less often when drawing takes long, and never out of sight.

const REST_OF_COST = 3;

// Answers a function that asks for `paint`, however often it is called.
export function painter(paint) {
  let [asked, free] = [false, 0];
  const frame = () => {
    const wait = free - performance.now();
    if (wait > 0) return setTimeout(() => requestAnimationFrame(frame), wait);
    asked = false;
    const begun = performance.now();
    paint();
    // Layout comes after the frame, and takes about as long again: leave time for both and for input.
    const cost = performance.now() - begun;
    free = performance.now() + (cost > 4 ? cost * REST_OF_COST : 0);
  };
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(frame);
  };
}

// Calls `tick` every so many milliseconds while `wanted()`, and at once when it begins to be.
// A tick that takes longer is waited for. Answers a function that looks again whether it is wanted.
export function every(ms, wanted, tick) {
  let [timer, under_way] = [null, false];
  const round = async () => {
    timer = null;
    if (document.hidden || !wanted()) return;
    under_way = true;
    try { await tick(); } finally { under_way = false; }
    look(ms);
  };
  const look = (wait = 0) => {
    if (timer !== null || under_way || document.hidden || !wanted()) return;
    timer = setTimeout(round, wait);
  };
  document.addEventListener("visibilitychange", () => look());
  look();
  return () => look();
}
