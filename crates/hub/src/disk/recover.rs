//! Recovery: what the last process left is checked, and mended where that takes nothing back.

use std::io;

use tidings_server::cursor::Epoch;

use super::{
    Kept,
    manifest::{End, Manifest, ManifestError},
    options::{Durability, OpenError, Options},
    scan::{Found, Scan},
    segment::{FORMAT, Segment, damaged_name},
    storage::{Lock, Storage},
    trims::{self, Trims},
};

const LOCK: &str = "LOCK";

/// A log that is ready to go on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) lock: Lock,
    pub(super) manifest: Manifest,
    pub(super) scan: Scan,
}

/// Opens the directory. `seed` must be random: it names the epoch, if there is to be a new one.
pub(super) fn recover(
    storage: &dyn Storage,
    options: &Options,
    seed: u64,
) -> Result<Recovered, OpenError> {
    let io = |action| {
        let dir = storage.dir().to_owned();
        move |source| OpenError::Io { action, path: dir, source }
    };
    let lock = storage.lock(LOCK).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { dir: storage.dir().to_owned() },
        _ => io("lock")(source),
    })?;
    let names = storage.list().map_err(io("list"))?;
    let mut numbers: Vec<_> = names.iter().filter_map(|name| Segment::number_of(name)).collect();
    numbers.sort_unstable();
    let before = previous(storage, !numbers.is_empty())?;
    let segments = numbers
        .iter()
        .map(|&number| Found::open(storage, number))
        .collect::<io::Result<Result<Vec<_>, u32>>>()
        .map_err(io("read"))?
        .map_err(|found| newer(storage, found))?;

    let trims = Trims::read(storage).map_err(io("read"))?;
    let trims_lost = trims.is_none() && names.iter().any(|name| name == trims::NAME);
    let mark = before.as_ref().and_then(|before| before.end);
    let scan = Scan::run(&segments, trims, mark).map_err(io("read"))?;
    let manifest = Manifest {
        epoch: epoch(before.as_ref(), &lock, options, &scan, trims_lost, seed),
        durability: options.durability,
        identity: lock.identity.clone(),
        end: None,
    };
    // Before anything is mended: after a crash in between, the damage that called for the new
    // epoch may no longer be there to see.
    manifest.write(storage).map_err(io("write the manifest of"))?;
    mend(storage, &scan, &segments, &names).map_err(io("mend"))?;
    if mark.is_none() {
        // Whole frames may stand there that were never synced: nobody may see them before.
        let sync = |kept: &Kept| kept.segment.file.sync();
        scan.kept.iter().try_for_each(sync).map_err(io("sync"))?;
    }
    Ok(Recovered { lock, manifest, scan })
}

fn newer(storage: &dyn Storage, found: u32) -> OpenError {
    OpenError::NewerFormat { dir: storage.dir().to_owned(), found, known: FORMAT }
}

// The manifest as it was left; none in a directory without a log.
fn previous(storage: &dyn Storage, has_segments: bool) -> Result<Option<Manifest>, OpenError> {
    let path = storage.dir().join(super::manifest::NAME);
    match Manifest::read(storage) {
        Ok(Ok(manifest)) => Ok(Some(manifest)),
        Ok(Err(ManifestError::Missing)) if !has_segments => Ok(None),
        Ok(Err(ManifestError::Missing)) => Err(OpenError::Manifest {
            path,
            why: "the manifest is missing, but there are events beside it",
        }),
        Ok(Err(ManifestError::Damaged)) => {
            Err(OpenError::Manifest { path, why: "the manifest is damaged" })
        }
        Ok(Err(ManifestError::Newer(found))) => Err(newer(storage, found)),
        Err(source) => Err(OpenError::Io { action: "read", path, source }),
    }
}

// The epoch goes on only if nothing that was visible in it can be missing.
fn epoch(
    before: Option<&Manifest>,
    lock: &Lock,
    options: &Options,
    scan: &Scan,
    trims_lost: bool,
    seed: u64,
) -> Epoch {
    let dir = options.dir.display();
    let Some(before) = before else { return Epoch::from_random(seed) };
    let unclean = before.end.is_none();
    if let Some(damage) = &scan.damage {
        tracing::error!(
            "{dir}: {damage}; what can no longer be trusted is set aside in .damaged files, and \
             the log begins a new epoch"
        );
    } else if trims_lost {
        tracing::error!("{dir}: the memory of what was trimmed is damaged; new epoch");
    } else if options.new_epoch {
        tracing::info!("{dir}: new epoch, as was asked for");
    } else if before.identity != lock.identity {
        tracing::warn!("{dir}: this is a copy of the directory the log was in; new epoch");
    } else if unclean && before.durability == Durability::Os {
        tracing::warn!(
            "{dir}: the log was not closed, and its events were not synced to the disk; new epoch"
        );
    } else {
        if scan.torn {
            tracing::warn!("{dir}: the last write was cut off before it was acknowledged");
        }
        return before.epoch;
    }
    // By chance the same name again would be the old epoch.
    let fresh = Epoch::from_random(seed);
    if fresh == before.epoch { Epoch::from_random(seed.wrapping_add(1)) } else { fresh }
}

fn mend(
    storage: &dyn Storage,
    scan: &Scan,
    segments: &[Found],
    names: &[String],
) -> io::Result<()> {
    let End { segment: last, bytes: end, .. } = scan.end;
    let used = |found: &Found| scan.kept.iter().any(|kept| kept.segment.number == found.number);
    if scan.damage.is_some() {
        // What is missing before the first segment counts as trimmed from now on.
        Trims::of(&scan.index).write(storage)?;
    }
    for found in segments.iter().filter(|found| found.number >= last || !used(found)) {
        let name = Segment::name(found.number);
        if !used(found) {
            if scan.damage.is_some() && found.has_bytes(0)? {
                storage.rename(&name, &damaged_name(found.number, names))?;
            } else {
                // It was prepared, and never acknowledged a record.
                storage.remove(&name)?;
            }
            continue;
        }
        if found.bytes > end {
            if scan.damage.is_some() && found.has_bytes(end)? {
                set_aside(storage, found, end, names)?;
            }
            found.file.set_len(end)?;
        }
        found.file.sync()?;
    }
    storage.sync_dir()
}

fn set_aside(storage: &dyn Storage, found: &Found, from: u64, names: &[String]) -> io::Result<()> {
    let copy = storage.create(&damaged_name(found.number, names))?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = from;
    loop {
        let read = found.file.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        copy.write_at(&buffer[..read], at - from)?;
        at += read as u64;
    }
    copy.sync()?;
    storage.sync_dir()
}
