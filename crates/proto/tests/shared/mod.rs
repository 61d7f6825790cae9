//! What the tests, the benches and the fuzz targets have in common.

// Each of them includes these files and uses a part of them.
#![allow(dead_code, unreachable_pub)]

pub mod cuts;
pub mod fixtures;
pub mod oracle;
