// How many streams this page may hold. Over HTTP/1.1 a browser opens at most six connections to a
// host, for all its tabs together, and a request that finds none waits without a word. Four leave
// one for another tab, and one for publishing.
export const STREAMS_MAX = 4;

const running = []; // the oldest first

const total = () => running.reduce((sum, card) => sum + card.streams, 0);

// Makes room for the streams of `card`, by stopping the demos that run longest.
export function enter(card) {
  while (running.length > 0 && total() + card.streams > STREAMS_MAX) {
    running[0].stop("Stopped to make room: of the six connections that a browser opens to one host, "
      + `this page takes ${STREAMS_MAX} at most.`);
  }
  running.push(card);
  show();
}

export function leave(card) {
  const at = running.indexOf(card);
  if (at >= 0) running.splice(at, 1);
  show();
}

function show() {
  const count = total();
  const words = count === 0 ? "no stream is open" : `${count} of ${STREAMS_MAX} streams open`;
  document.getElementById("state").textContent = words;
  document.getElementById("dot").dataset.state = count === 0 ? 2 : 1;
}
