//! The guides in `docs/guides` do what they say: their code is run as it stands there.
//!
//! ```text
//!  docs/guides/chat.md ──┬─ files ───────▶ a directory of their own ──▶ python3, Chromium
//!                        └─ commands ────▶ sh, and the hub's options
//! ```
//!
//! A code block of a guide has a title, which is not shown: `title=chat.html` names the file that it
//! is, and in a block of commands `title=join` names these. Every one of them is run.
//!
//! Run by `scripts/test`, which installs Chromium, Python and curl.

mod chat;
#[path = "../browser/driver.rs"]
#[allow(dead_code, reason = "the guides are tried in one browser")]
mod driver;
#[path = "../hub/follower.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod follower;
mod guide;
#[path = "../hub/mod.rs"]
mod hub;
mod llm_tokens;
mod markdown;
mod news_feed;
mod notifications;
mod progress;
mod tabs;
