//! `tidings relay`, as it is run: between a scripted upstream and a scripted hub, and between real
//! ones that are killed.

mod again;
mod flow;
#[path = "../hub/follower.rs"]
mod follower;
#[path = "../hub/mod.rs"]
mod hub;
mod ids;
mod keyed_hub;
mod kills;
#[path = "../../../client/tests/peer/mod.rs"]
mod peer;
#[path = "../program/mod.rs"]
mod program;
mod real_hub;
mod refusals;
mod sides;
