//! Delivery: what is new in the shared tail, to the lines in step.

use std::sync::Arc;

use super::Shard;
use crate::{
    cursor::{Epoch, Offset},
    fanout::{
        engine::{groups::Group, line::LineKey, outgoing::Outgoing},
        ring::Entry,
    },
    record::Timestamp,
    subscription::{Delivered, TailPlace},
};

impl Shard {
    // One look at the shared tail: as much as one write is to take along.
    const BATCH_ENTRIES: usize = 1_024;
    const BATCH_BYTES: usize = 64 << 10;
    const PENDING_KEPT: usize = 16;

    /// Brings the lines in step up to the tail's end, or a part of the way; says whether there is
    /// more.
    pub(super) fn sweep(&mut self) -> bool {
        let (before, shared) = (self.seen, Arc::clone(&self.shared));
        let (batch, end) = {
            let ring = shared.ring.read();
            (ring.since(before, Self::BATCH_ENTRIES, Self::BATCH_BYTES), ring.end())
        };
        match batch {
            Some((entries, through)) => {
                self.seen = through;
                self.deliver(&entries, before);
            }
            // The tail went on too far: each line reads the log for itself.
            None => {
                self.seen = end;
                for key in self.keys().collect::<Vec<_>>() {
                    if let Some(line) = self.line(key).filter(|line| line.is_in_step()) {
                        line.fall_back(before);
                        self.go_on(key);
                    }
                }
            }
        }
        self.bell.sweep(self.seen.after);
        for key in std::mem::take(&mut self.look) {
            if let Some(line) = self.line(key) {
                line.looked();
                self.go_on(key);
            }
        }
        self.seen != end
    }

    // Sends each group what is for it.
    fn deliver(&mut self, entries: &[Arc<Entry>], before: TailPlace) {
        let (mut dirty, mut found) = (Vec::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate() {
            let at = at as u32;
            for topic in &entry.record.new.topics {
                self.groups.following(topic, &mut found);
                for &id in &found {
                    let Some(group) = self.groups.get_mut(id) else { continue };
                    if group.pending.last() == Some(&at) || !group.filter.sees(&entry.record) {
                        continue;
                    }
                    if group.pending.is_empty() {
                        dirty.push(id);
                    }
                    group.pending.push(at);
                }
            }
        }
        for id in dirty {
            self.deliver_to(id, entries, before);
        }
    }

    fn deliver_to(&mut self, id: u32, entries: &[Arc<Entry>], before: TailPlace) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let mut out = std::mem::take(&mut self.out);
        let (last, marks) = put_together(group, entries, before, self.epoch, &mut out);
        group.pending.clear();
        // There may be as many groups as lines.
        group.pending.shrink_to(Self::PENDING_KEPT);
        let lines = std::mem::take(&mut group.lines);
        let bytes = &out.bytes[..];
        let mut others = Vec::new();
        for &id in &lines {
            let Some(line) = self.lines.get_mut(id as usize) else { continue };
            if bytes.is_empty() || !line.is_in_step() {
                continue;
            }
            let written = line.write(bytes);
            if !written.as_ref().is_ok_and(|&written| written == bytes.len()) {
                others.push((LineKey { id, serial: line.serial }, written.ok()));
                line.fall_back(before);
            }
        }
        // In a round of its own: a send leaves little in the caches, and what is noted here of one
        // line after the other is fetched together.
        let delivered = Delivered { events: out.events(), bytes: bytes.len() as u64, gap: None };
        let (mut taken, now) = (0, Timestamp::now());
        for &id in &lines {
            let Some(line) = self.lines.get_mut(id as usize) else { continue };
            if !bytes.is_empty() && line.is_in_step() {
                line.sent_at = self.tick;
                line.told = last.unwrap_or(line.told);
                line.member.session.hand_over(self.seen.after, delivered, now);
                taken += 1;
            }
        }
        self.tally.events += taken * delivered.events;
        self.tally.bytes += taken * delivered.bytes;
        for &(key, written) in &others {
            if let (Some(line), Some(written)) = (self.lines.get_mut(key.id as usize), written) {
                line.fall_behind(before, &out, written, &mut self.tally, self.tick);
                if marks {
                    // The mark may lie before the event that is half sent.
                    line.ask_ended(self.seen);
                }
            }
        }
        let ending: Vec<_> = match marks {
            true => lines.clone(),
            false => Vec::new(),
        };
        if let Some(group) = self.groups.get_mut(id) {
            group.lines = lines;
        }
        self.out = out;
        for (key, written) in others {
            match written {
                Some(_) => self.schedule(key, self.now + self.slow_write),
                None => self.remove(key),
            }
        }
        for id in ending {
            let Some(line) = self.lines.get_mut(id as usize).filter(|line| line.is_in_step())
            else {
                continue;
            };
            line.ask_ended(self.seen);
            let key = LineKey { id, serial: line.serial };
            self.go_on(key);
        }
    }
}

// The frames of what is pending for a group; the last record among them, and whether a topic
// ended or was opened.
fn put_together(
    group: &Group,
    entries: &[Arc<Entry>],
    before: TailPlace,
    epoch: Epoch,
    out: &mut Outgoing,
) -> (Option<Offset>, bool) {
    let (mut last, mut marks) = (None, false);
    out.clear();
    out.start_events(before);
    for entry in group.pending.iter().filter_map(|&at| entries.get(at as usize)) {
        let kind = entry.record.new.kind;
        if !kind.is_event() {
            marks = true;
            continue;
        }
        let (place, kept) = (entry.after(), kind.is_kept());
        out.push_event(group.framing, entry.frame(group.format, epoch), place, kept);
        if kept {
            last = Some(place.after);
        }
    }
    (last, marks)
}
