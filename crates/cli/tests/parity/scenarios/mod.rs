//! What is compared.

mod cors;
mod decoding;
mod ids;
mod listeners;
mod network;
mod redirects;
mod responses;

use crate::scenario::Scenario;

/// All scenarios.
pub(crate) fn all() -> Vec<Scenario> {
    [
        decoding::all(),
        ids::all(),
        responses::all(),
        redirects::all(),
        cors::all(),
        network::all(),
        listeners::all(),
    ]
    .concat()
}
