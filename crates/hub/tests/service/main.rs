//! The service over real sockets: a hub in this process, and clients that count every byte.

mod access;
mod connections;
mod delivery;
mod follow;
mod idempotency;
mod kinds;
mod leaving;
mod publish;
mod status;
mod subscribers;
mod support;
