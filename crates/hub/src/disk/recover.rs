//! Recovery: what the last process left is checked, and mended where that takes nothing back.

use std::io;

use tidings_server::cursor::Epoch;

use super::{
    Kept,
    manifest::{End, Left, Manifest, ManifestError},
    options::{Durability, OpenError, Options},
    scan::{Found, Scan},
    segment::{FORMAT, Segment, damaged_name},
    storage::{Lock, Storage},
    trims::{self, Trims},
    writer,
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

    // A crash may leave them beside the compacted segment that stands for them.
    let covered: Vec<u32> = segments.iter().flat_map(|found| found.stands_for()).collect();
    let is_covered =
        |found: &Found| covered.iter().filter(|&&number| number == found.number).count() > 1;
    let (superseded, segments): (Vec<_>, Vec<_>) = segments.into_iter().partition(is_covered);

    let trims = Trims::read(storage).map_err(io("read"))?;
    let trims_lost = trims.is_none() && names.iter().any(|name| name == trims::NAME);
    let left = before.as_ref().map_or(Left::Closed(End::default()), |before| before.left);
    let group_bytes_max = writer::frame_bytes_max(options);
    let mut scan =
        Scan::run(&segments, trims, &left, group_bytes_max, options).map_err(io("read"))?;
    if trims_lost {
        scan.damage.get_or_insert("the memory of what was trimmed is damaged".to_owned());
    }
    if left.mark().is_none() {
        // Whole frames may stand there that were never synced: nobody may see them before.
        let sync = |kept: &Kept| kept.segment.file.sync();
        scan.kept.iter().try_for_each(sync).map_err(io("sync"))?;
    }
    let (epoch, why) = epoch(before.as_ref(), &lock, options, &scan, seed);
    let damaged = scan.damage.is_some() || matches!(left, Left::Damaged(_));
    let manifest = Manifest {
        epoch,
        durability: options.durability,
        identity: lock.identity.clone(),
        left: if damaged { Left::Damaged(scan.end) } else { Left::Closed(scan.end) },
    };
    // Before anything is mended: after a crash in between, the damage that called for the new
    // epoch may no longer be there to see.
    manifest.write(storage).map_err(io("write the manifest of"))?;
    for found in superseded {
        storage.remove(&Segment::name(found.number)).map_err(io("mend"))?;
    }
    let aside = mend(storage, &scan, damaged, &segments, &names).map_err(io("mend"))?;
    report(storage, &scan, epoch, why, &aside);
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

// The epoch goes on only if nothing that was visible in it can be missing; else, why not.
fn epoch(
    before: Option<&Manifest>,
    lock: &Lock,
    options: &Options,
    scan: &Scan,
    seed: u64,
) -> (Epoch, Option<&'static str>) {
    let Some(before) = before else {
        return (Epoch::from_random(seed), Some(NEW));
    };
    let why = if scan.damage.is_some() {
        "the log is damaged"
    } else if options.new_epoch {
        "it was asked for"
    } else if before.identity != lock.identity {
        "this is a copy of the directory the log was in"
    } else if before.left.mark().is_none() && before.durability == Durability::Os {
        "the log was not closed, and its events were not synced to the disk"
    } else {
        return (before.epoch, None);
    };
    // By chance the same name again would be the old epoch.
    let fresh = Epoch::from_random(seed);
    let other = || Epoch::from_random(seed.wrapping_add(1));
    (if fresh == before.epoch { other() } else { fresh }, Some(why))
}

fn report(
    storage: &dyn Storage,
    scan: &Scan,
    epoch: Epoch,
    why: Option<&'static str>,
    aside: &[String],
) {
    let dir = storage.dir().display();
    if let Some(damage) = &scan.damage {
        let aside = match aside {
            [] => "nothing readable stood after it".to_owned(),
            names => format!("what could not be trusted was set aside as {}", names.join(", ")),
        };
        tracing::error!("{dir}: {damage}; {aside}, and the log begins a new epoch");
    } else if scan.torn {
        tracing::warn!("{dir}: a write that was under way, and not acknowledged, was cut off");
    }
    let (records, last) = (scan.index.records(), scan.end.last);
    match why {
        None => tracing::debug!(%epoch, records, %last, "{dir}: the log goes on"),
        Some(why) if why == NEW => tracing::debug!(%epoch, "{dir}: {why}"),
        // Everybody who resumes will be told of a gap: that is worth a warning.
        Some(why) => {
            tracing::warn!(%epoch, records, %last, why, "{dir}: the log begins a new epoch");
        }
    }
}

const NEW: &str = "the log is new";

// Gives the names of what was set aside.
fn mend(
    storage: &dyn Storage,
    scan: &Scan,
    damaged: bool,
    segments: &[Found],
    names: &[String],
) -> io::Result<Vec<String>> {
    let mut aside = Vec::new();
    let End { segment: last, bytes: end, .. } = scan.end;
    let used = |found: &Found| scan.kept.iter().any(|kept| kept.segment.number == found.number);
    if damaged {
        // What is missing before the first segment counts as trimmed from now on.
        let oldest = scan.kept.first().map_or(1, |kept| kept.segment.number);
        Trims::of(&scan.index, oldest).write(storage)?;
    }
    for name in names.iter().filter(|name| Segment::is_new(name)) {
        storage.remove(name)?;
    }
    for found in segments.iter().filter(|found| found.number >= last || !used(found)) {
        let name = Segment::name(found.number);
        if !used(found) {
            if damaged && found.has_bytes(0)? {
                aside.push(damaged_name(found.number, names));
                storage.rename(&name, &aside[aside.len() - 1])?;
            } else {
                // It was prepared, and never acknowledged a record.
                storage.remove(&name)?;
            }
            continue;
        }
        if found.bytes > end {
            if damaged && found.has_bytes(end)? {
                aside.push(damaged_name(found.number, names));
                set_aside(storage, found, end, &aside[aside.len() - 1])?;
            }
            found.file.set_len(end)?;
        }
        found.file.sync()?;
    }
    storage.sync_dir()?;
    Ok(aside)
}

fn set_aside(storage: &dyn Storage, found: &Found, from: u64, name: &str) -> io::Result<()> {
    let copy = storage.create(name)?;
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
