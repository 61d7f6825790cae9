//! The Tidings event hub.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod config;
pub mod disk;
