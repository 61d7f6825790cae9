//! The tail: what stands behind the last frame, and whether that is only a write that was under
//! way when the log was left.

use std::io;

use tidings_server::cursor::Offset;

use super::{
    frame::{self, Header},
    window::Window,
};

/// What stands behind the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Zeros,
    /// One group that was never acknowledged: torn, or withdrawn after its write failed.
    Unfinished,
    /// What may have been acknowledged once.
    Damaged,
}

/// What a group must be that follows the last frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) chain: u32,
    pub(super) first: Offset,
    /// The largest group's bytes.
    pub(super) bytes_max: u64,
}

impl Tail {
    /// Judges what stands from `at` on, where the next frame would be.
    pub(super) fn judge(window: &mut Window<'_>, at: u64, next: Next) -> io::Result<Self> {
        let Some((end, frames)) = window.rest(at)? else { return Ok(Self::Zeros) };
        if frames {
            return Ok(Self::Damaged);
        }
        let bytes = window.bytes(at, frame::HEADER_BYTES)?;
        // A header lies in one sector, so that it is there as a whole or not at all; or it was
        // overwritten, because the group was refused.
        let unfinished = if bytes.iter().all(|&byte| byte == 0) {
            end - at <= next.bytes_max
        } else if let Some(header) = Header::parse(bytes) {
            let follows = header.chain == next.chain && header.first == next.first;
            let frame_end = at + header.frame_bytes();
            follows && end <= frame_end && frame_end <= window.file_bytes && {
                let written = window.bytes(at, header.frame_bytes() as usize)?;
                // One that was written whole, and has rotted since, has no more of them.
                frame::zero_sectors(written, at) > header.zero_sectors
            }
        } else {
            false
        };
        Ok(if unfinished { Self::Unfinished } else { Self::Damaged })
    }
}
