//! The Tidings event hub.

pub mod disk;
