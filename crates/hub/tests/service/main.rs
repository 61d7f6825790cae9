//! The service over real sockets: a hub in this process, and clients that count every byte.

mod access;
mod connections;
mod delivery;
mod demo;
mod follow;
mod idempotency;
mod kinds;
mod leaving;
mod openapi;
mod publish;
mod status;
mod stream;
mod subscribers;
mod support;
mod tls;
