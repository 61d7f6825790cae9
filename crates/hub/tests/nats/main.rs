//! The clustered log, on real servers.

mod contract;
