//! Ports that a server can come back to.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

use rand::RngExt as _;

const PORT_MIN: u16 = 10_000;
/// Where the system's choice begins if it does not say: that of IANA.
const EPHEMERAL_MIN: u16 = 49_152;
const ATTEMPTS: usize = 1_000;

/// A port of loopback that nobody has right now.
///
/// It is below those that the system gives to outgoing connections: a server that is down would
/// find its port taken by one of them, or a client that tries to reach it again and again would
/// one day be connected to itself.
pub fn free_port() -> u16 {
    let mut random = rand::rng();
    (0..ATTEMPTS)
        .map(|_| random.random_range(candidates()))
        .find(|&port| TcpListener::bind(loopback(port)).is_ok())
        .expect("there is a free port")
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn candidates() -> Range<u16> {
    let told = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let first = told.and_then(|range| range.split_whitespace().next()?.parse().ok());
    let end = first.unwrap_or(EPHEMERAL_MIN);
    // A machine may give out nearly all ports; then there is no better choice than any.
    if end > PORT_MIN + 1_000 { PORT_MIN..end } else { PORT_MIN..u16::MAX }
}
