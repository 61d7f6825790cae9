//! The disk log.
