//! The clustered log, on real servers.

mod away;
mod contract;
mod epochs;
mod logs;
mod nodes;
