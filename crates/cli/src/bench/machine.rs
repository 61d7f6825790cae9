//! What this machine can take: descriptors and local ports.

use indicatif::HumanCount;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::text::count;

/// Makes room for this many connections to one address, or says what stands in the way and what to
/// do about it.
pub(super) fn make_room(connections: usize) -> Result<(), String> {
    raise_descriptors(connections as u64 + OWN_DESCRIPTORS)?;
    match local_ports() {
        Some(ports) if connections as u64 > ports => Err(format!(
            "{} to one address need a local port each, and this machine gives out {} of them. Widen \
             the range with sysctl -w net.ipv4.ip_local_port_range='1024 65535', or start the \
             benchmark on several machines.",
            count(connections as u64, "connection"),
            HumanCount(ports)
        )),
        _ => Ok(()),
    }
}

fn raise_descriptors(needed: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if is_enough(limit.current) {
        return Ok(());
    }
    let wanted = Rlimit { current: limit.maximum, ..limit };
    if is_enough(limit.maximum) && setrlimit(Resource::Nofile, wanted).is_ok() {
        return Ok(());
    }
    Err(too_few_descriptors(needed, limit.maximum.unwrap_or(u64::MAX)))
}

fn too_few_descriptors(needed: u64, allowed: u64) -> String {
    format!(
        "this takes {} file descriptors, and this process may have {}. Raise the limit in the shell \
         with ulimit -n {needed} (as root, or in /etc/security/limits.conf for everybody), or have \
         fewer --subscribers.",
        HumanCount(needed),
        HumanCount(allowed)
    )
}

/// How many local ports the machine gives out, where it says so.
fn local_ports() -> Option<u64> {
    ports(&std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

fn ports(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace();
    let (first, last): (u64, u64) = (ends.next()?.parse().ok()?, ends.next()?.parse().ok()?);
    (last + 1).checked_sub(first)
}

/// What the program has open beside its connections.
const OWN_DESCRIPTORS: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_ports_is_counted() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!(ports("5 4"), Some(0));
        assert_eq!(ports("1"), None);
    }

    #[test]
    fn what_is_too_much_is_told_with_what_to_do() {
        make_room(1).unwrap();
        let sentence = make_room(50_000_000).unwrap_err();
        assert!(
            sentence.contains("ulimit -n 50000064") || sentence.contains("ip_local_port_range")
        );
    }
}
