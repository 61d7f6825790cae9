//! The whole of the client over real sockets, against a server that does as the test says.

#[cfg(feature = "blocking")]
mod blocking;
mod handle;
mod idle;
mod listeners;
#[path = "../peer/mod.rs"]
mod peer;
mod told;
