//! A simulated file: its bytes as they are seen, and as they are on the disk.

use rand::{RngExt, rngs::StdRng};

use crate::disk::frame::SECTOR_BYTES;

#[derive(Debug, Default, Clone)]
pub(super) struct FileState {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl FileState {
    pub(super) fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
        self.changes.push(change);
    }

    /// What of the changes reached the disk: nothing, everything, the first ones, or any sectors.
    pub(super) fn tear(&mut self, random: &mut StdRng, style: u32) {
        let mut changes = std::mem::take(&mut self.changes);
        match style {
            0 => changes.clear(),
            1 => {}
            _ => changes.truncate(random.random_range(0..=changes.len())),
        }
        for change in changes {
            match change {
                Change::Write { at, bytes } if style == 3 => {
                    let mut from = at;
                    while from < at + bytes.len() {
                        let to = (from / SECTOR_BYTES + 1) * SECTOR_BYTES;
                        let to = to.min(at + bytes.len());
                        if random.random() {
                            write(&mut self.durable, from, &bytes[from - at..to - at]);
                        }
                        from = to;
                    }
                }
                change => change.apply(&mut self.durable),
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

impl Change {
    pub(super) fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes: written } => write(bytes, at, &written),
            Self::Length(length) => bytes.resize(length, 0),
        }
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
