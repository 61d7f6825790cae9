//! The window: reads a file in large pieces.

use std::io;

use super::{
    frame::{self, Header},
    storage::File,
};

// Large enough that a read's own cost vanishes, small enough to stay in the processor's cache.
const WINDOW_BYTES: usize = 1 << 20;

/// A part of a file, read in large pieces.
pub(super) struct Window<'a> {
    file: &'a dyn File,
    pub(super) file_bytes: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn File, file_bytes: u64) -> Self {
        Self { file, file_bytes, start: 0, buffer: Vec::new() }
    }

    /// The `count` bytes at `at`; fewer only at the end of the file.
    pub(super) fn bytes(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.file_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = count.min(left);
        if at < self.start || at + count as u64 > self.start + self.buffer.len() as u64 {
            self.buffer.resize(count.max(WINDOW_BYTES).min(left), 0);
            let read = self.file.read_at(&mut self.buffer, at)?;
            self.buffer.truncate(read);
            self.start = at;
        }
        let from = (at - self.start) as usize;
        let to = (from + count).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }

    /// The header of the frame at `at`, if the frame is whole.
    pub(super) fn frame(&mut self, at: u64) -> io::Result<Option<Header>> {
        let Some(header) = Header::parse(self.bytes(at, frame::HEADER_BYTES)?) else {
            return Ok(None);
        };
        // A length that was made up by damage must not make us read far and wide.
        if at + header.frame_bytes() > self.file_bytes {
            return Ok(None);
        }
        let frame = self.bytes(at, header.frame_bytes() as usize)?;
        Ok(header.verifies(frame).then_some(header))
    }

    /// Where the last byte from `at` on ends that is not zero; whether a whole frame is among
    /// what stands there.
    pub(super) fn rest(&mut self, at: u64) -> io::Result<Option<(u64, bool)>> {
        let mut at = at;
        let mut end = None;
        let mut frames = false;
        loop {
            let piece = self.bytes(at, WINDOW_BYTES)?;
            if piece.is_empty() {
                return Ok(end.map(|end| (end, frames)));
            }
            let piece_bytes = piece.len();
            if let Some(last) = piece.iter().rposition(|&byte| byte != 0) {
                end = Some(at + last as u64 + 1);
                let mut found = Vec::new();
                let mut from = 0;
                while !frames && let Some(magic) = frame::find_magic(piece, from) {
                    found.push(at + magic as u64);
                    from = magic + frame::ALIGN_BYTES;
                }
                for at in found {
                    frames = frames || self.frame(at)?.is_some();
                }
            }
            at += piece_bytes as u64;
        }
    }
}
