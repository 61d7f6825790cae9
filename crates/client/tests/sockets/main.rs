//! The whole of the client over real sockets, against a server that does as the test says.

mod acknowledge;
#[cfg(feature = "blocking")]
mod blocking;
mod cancellation;
#[cfg(feature = "cookies")]
mod cookies;
mod cors;
mod handle;
mod hook;
mod hook_origins;
mod http2;
mod idle;
mod listeners;
#[path = "../peer/mod.rs"]
mod peer;
mod replay;
mod told;
