import tidings from "./index.cjs";

export const { EventSource, CookieJar, ref, unref, setDefaults } = tidings;
