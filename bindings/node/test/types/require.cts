// The same by `require`.

import tidings = require("tidings");
import { EventSource } from "tidings";
import "tidings/global";

const source: tidings.EventSource = new tidings.EventSource("https://example.com/events");
const same: EventSource = source;
tidings.unref(same);
// @ts-expect-error: everything has a name.
tidings.default;
