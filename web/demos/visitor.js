// The URL is of another origin, which must answer with
//   Access-Control-Allow-Origin: (the origin of this page)
// and, with credentials, for which "*" is not enough, also with
//   Access-Control-Allow-Credentials: true
export function start(url, withCredentials, tell) {
  const source = new EventSource(url, { withCredentials });

  source.addEventListener("visitor", (event) => tell(event.data));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) tell("refused");
  });

  return source;
}

// POST: the other origin gives its cookie. DELETE: it takes it back.
export function cookie(url, method) {
  return fetch(url, { method, credentials: "include" });
}
