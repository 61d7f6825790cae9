// `url` is of another origin. It must answer with Access-Control-Allow-Origin, and with
// credentials also with Access-Control-Allow-Credentials: true, and then "*" is not enough.
export function start(url, withCredentials, tell) {
  const source = new EventSource(url, { withCredentials });

  source.addEventListener("visitor", (event) => tell(event.data));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) tell("refused");
  };

  return source;
}

// The other origin gives its cookie, or with DELETE takes it back.
export function cookie(url, method) {
  return fetch(url, { method, credentials: "include" });
}
