//! What the stream says of itself: where it stands, and what is missing.

use std::time::Instant;

use serde_json::json;

use super::{Gap, GapReason, Opening, Piece, Subscription, SubscriptionConfig};
use crate::{
    cursor::{Cursor, Epoch, Offset},
    frame::{CURSOR, GAP, requested},
    log::Bounds,
    record::Record,
};

impl Subscription {
    fn cursor(&self, offset: Offset) -> Cursor {
        Cursor::new(self.epoch, offset).with_told(self.gaps_told)
    }

    pub(super) fn frame(&self, frames: &mut Vec<u8>, record: &Record) {
        frame(frames, record, &self.config, self.epoch, self.gaps_told);
    }

    // No cursor goes out before it is certain that there is no gap.
    pub(super) fn open(&mut self) {
        if self.opened {
            return;
        }
        if let Opening::Gap(reason, bounds) = self.opening {
            return self.tell_gap(reason, self.after, self.gaps_told, bounds);
        }
        self.opened = true;
        self.opening = Opening::Place;
        self.requested = None;
        let mut out = Vec::new();
        if self.config.cursors {
            let (cursor, retry) = (self.cursor(self.after), Some(self.config.retry));
            let mut data = json!({});
            self.tell_name(&mut data);
            self.config.format.notice(&mut out, CURSOR, cursor, retry, &data);
            self.told = self.after;
        } else {
            self.config.format.retry(&mut out, self.config.retry);
        }
        self.push(out.into());
    }

    // The notice's own id is the place from which the stream goes on, and how far this tells of
    // gaps: a subscriber that is cut off before the notice is whole is told again, and one that is
    // cut off after it is not.
    pub(super) fn tell_gap(
        &mut self,
        reason: GapReason,
        resume_after: Offset,
        told: Offset,
        bounds: Bounds,
    ) {
        let missed = self.requested.take().unwrap_or_else(|| self.cursor(self.after).to_string());
        let placed = (reason == GapReason::Trimmed).then_some(self.after);
        self.after = resume_after;
        self.gaps_told = told;
        let oldest_event =
            (bounds.first <= bounds.last).then(|| Cursor::new(self.epoch, bounds.first));
        let resumes_after = self.cursor(self.after);
        let mut data = json!({
            "reason": reason.as_str(),
            "requested": requested(&missed),
            "oldest": oldest_event.map(|cursor| cursor.to_string()),
            "resumes_after": resumes_after.to_string(),
        });
        self.tell_name(&mut data);
        let retry = (!self.opened).then_some(self.config.retry);
        let mut out = Vec::new();
        self.config.format.notice(&mut out, GAP, resumes_after, retry, &data);
        self.push(out.into());
        self.opened = true;
        self.opening = Opening::Place;
        self.told = self.after;
        self.delivered.gap = Some(Gap { reason, after: placed, resumes_after: self.after });
        self.go_on();
    }

    // The first notice tells it, and only that.
    fn tell_name(&mut self, data: &mut serde_json::Value) {
        if let Some(name) = self.name.take() {
            data["subscriber"] = json!(name.as_str());
        }
    }

    pub(super) fn heartbeat(&mut self, now: Instant) -> Piece {
        self.heartbeat_at = now + self.config.heartbeat;
        let mut out = Vec::new();
        self.config.format.heartbeat(&mut out);
        self.tell_cursor(&mut out);
        out.into()
    }

    // If it has moved.
    pub(super) fn tell_cursor(&mut self, out: &mut Vec<u8>) {
        if self.opened && self.config.cursors && self.after > self.told {
            self.told = self.after;
            let cursor = self.cursor(self.after);
            self.config.format.notice(out, CURSOR, cursor, None, &json!({}));
        }
    }

    pub(super) fn push(&mut self, piece: Piece) {
        if !piece.bytes.is_empty() {
            self.out.push_back(piece);
        }
    }
}

/// The frame of an event for a subscriber that was told of gaps up to `gaps_told`: the same bytes
/// each time.
pub(crate) fn frame(
    frames: &mut Vec<u8>,
    record: &Record,
    config: &SubscriptionConfig,
    epoch: Epoch,
    gaps_told: Offset,
) {
    let format = config.format;
    format.record_told(frames, record, epoch, gaps_told);
    // An id of the publisher's own does not say what was told.
    if config.cursors && record.new.id.is_some() && record.offset < gaps_told {
        let cursor = Cursor::new(epoch, record.offset).with_told(gaps_told);
        format.notice(frames, CURSOR, cursor, None, &json!({}));
    }
}
