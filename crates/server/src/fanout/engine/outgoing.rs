//! Outgoing bytes: what one write takes along, and what is left when the peer takes only a part.

use super::{Framing, rest::Rest};
use crate::{
    cursor::Offset,
    subscription::{EventEnd, Piece, TailPlace},
};

/// The bytes of one write: notices, then events.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    events: Vec<EventEnd>,
    // The notices' bytes, in front.
    notices: usize,
    // A notice follows events. So rare that then all is kept as it is.
    mixed: bool,
    // The place before the first event.
    from: TailPlace,
}

/// How far a write got.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// What is to be sent before anything else.
    pub(super) rest: Rest,
    /// The place that will be reached by that: what comes after it was not sent. None if
    /// everything that was given is on its way.
    pub(super) back_to: Option<TailPlace>,
    /// All that matches up to here is sent.
    pub(super) sent_through: Option<TailPlace>,
    /// The last event that is sent and tells its place.
    pub(super) told: Option<Offset>,
    /// How many whole events are not sent.
    pub(super) events_unsent: u64,
}

impl Outgoing {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
        self.notices = 0;
        self.mixed = false;
    }

    /// Puts bytes in front that are no part of the body.
    pub(super) fn push_head(&mut self, head: &[u8]) {
        self.bytes.extend_from_slice(head);
        self.notices = self.bytes.len();
    }

    pub(super) fn push(&mut self, framing: Framing, piece: &Piece) {
        if piece.events.is_empty() {
            framing.frame(&mut self.bytes, &piece.bytes);
            return self.pushed_notice();
        }
        self.start_events(piece.from);
        let mut start = 0;
        for event in &piece.events {
            framing.frame(&mut self.bytes, &piece.bytes[start..event.at]);
            self.events.push(EventEnd { at: self.bytes.len(), ..*event });
            start = event.at;
        }
    }

    /// The events to come are those after `from`.
    pub(super) fn start_events(&mut self, from: TailPlace) {
        if self.events.is_empty() {
            self.from = from;
        }
    }

    /// Appends an event that ends at `place`.
    pub(super) fn push_event(
        &mut self,
        framing: Framing,
        frame: &[u8],
        place: TailPlace,
        kept: bool,
    ) {
        framing.frame(&mut self.bytes, frame);
        self.events.push(EventEnd { at: self.bytes.len(), place, kept });
    }

    pub(super) fn push_end(&mut self, framing: Framing) {
        framing.end(&mut self.bytes);
        self.pushed_notice();
    }

    fn pushed_notice(&mut self) {
        match self.events.is_empty() {
            true => self.notices = self.bytes.len(),
            false => self.mixed = true,
        }
    }

    /// How many events there are.
    pub(super) fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// What is left after `written` bytes, not all, for a subscriber that was told of gaps up to
    /// `gaps_told`.
    pub(super) fn left(&self, written: usize, gaps_told: Offset) -> Left {
        let sent = self.events.partition_point(|event| event.at <= written);
        let sent_through = sent.checked_sub(1).map(|last| self.events[last].place);
        let told = self.events[..sent].iter().rfind(|event| event.kept);
        let told = told.map(|event| event.place.after);
        if self.mixed || written < self.notices {
            let end = if self.mixed { self.bytes.len() } else { self.notices };
            let rest = Rest::Bytes(self.bytes[written..end].into());
            if self.mixed {
                return Left { rest, back_to: None, sent_through, told, events_unsent: 0 };
            }
            let back_to = (!self.events.is_empty()).then_some(self.from);
            return Left { rest, back_to, sent_through, told, events_unsent: self.events() };
        }
        let start = sent.checked_sub(1).map_or(self.notices, |last| self.events[last].at);
        let whole = sent_through.unwrap_or(self.from);
        let unsent = self.events() - sent as u64;
        let half = self.events.get(sent).filter(|_| written > start);
        let (rest, back_to) = match half {
            Some(&event) => (Rest::Event { event, gaps_told, skip: written - start }, event.place),
            None => (Rest::Nothing, whole),
        };
        Left { rest, back_to: Some(back_to), sent_through, told, events_unsent: unsent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(after: u64) -> TailPlace {
        TailPlace { after: Offset(after), heard: 0 }
    }

    fn events() -> Piece {
        let end = |at, after| EventEnd { at, place: place(after), kept: true };
        Piece { bytes: "aaaabbbb".into(), events: vec![end(4, 5), end(8, 7)], from: place(3) }
    }

    fn bytes(text: &str) -> Rest {
        Rest::Bytes(text.as_bytes().into())
    }

    #[test]
    fn what_is_left_of_events_is_a_place_and_never_their_bytes() {
        let mut out = Outgoing::default();
        out.push_head(b"HEAD");
        out.push(Framing::UntilClose, &Piece::from(b":\n\n".to_vec()));
        out.push(Framing::UntilClose, &events());
        assert_eq!(out.bytes, b"HEAD:\n\naaaabbbb");
        let left = |written| out.left(written, Offset(9));
        let in_notice = left(5);
        assert_eq!((in_notice.rest, in_notice.back_to), (bytes("\n\n"), Some(place(3))));
        assert_eq!(in_notice.events_unsent, 2);
        let before = left(7);
        assert_eq!((before.rest, before.back_to), (Rest::Nothing, Some(place(3))));
        let within = left(9);
        let event = EventEnd { at: 11, place: place(5), kept: true };
        assert_eq!(within.rest, Rest::Event { event, gaps_told: Offset(9), skip: 2 });
        assert_eq!((within.back_to, within.sent_through), (Some(place(5)), None));
        assert_eq!(within.events_unsent, 2);
        let between = left(11);
        assert_eq!((between.rest, between.back_to), (Rest::Nothing, Some(place(5))));
        assert_eq!((between.sent_through, between.events_unsent), (Some(place(5)), 1));
        assert_eq!((within.told, between.told), (None, Some(Offset(5))));
    }

    #[test]
    fn what_ends_with_a_notice_is_kept_as_it_is() {
        let mut out = Outgoing::default();
        out.push(Framing::Chunked, &events());
        out.push_end(Framing::Chunked);
        let left = out.left(10, Offset::ZERO);
        assert_eq!(left.rest, bytes("\r\nbbbb\r\n0\r\n\r\n"));
        assert_eq!((left.back_to, left.events_unsent), (None, 0));
    }
}
