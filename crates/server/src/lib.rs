//! server
pub mod cursor;
pub mod log;
pub mod matcher;
pub mod record;
pub mod topic;
