//! Which idempotency key an event gets.
//!
//! A hub publishes nothing for a key that it has seen, so a key is a claim: *this is an event that
//! you have already*. A claim that is wrong loses an event in silence. A claim that is not made
//! costs at worst a repetition. So a **lasting** key, which an event may get again when it comes
//! again, is given only where the claim is sure; every other event gets a **passing** key, which is
//! its own alone. That one still makes it safe to send a batch again whose outcome is not known, for
//! as long as the relay runs.
//!
//! ```text
//!  what arrives                      key, and why
//!  no id in force                    passing: a reconnect begins at the upstream's live end
//!  an id of its own                  counted, if there is a cursor file: see below. Without one no
//!                                    later run goes on where this one was killed: passing
//!  no id of its own                  passing: the upstream may not keep such events. After a restart
//!                                    the next one under the id would then be another
//!  an id that was there before,      passing from then on: a server that counts from 1 again looks
//!  or with other content             the same as one that repeats itself
//! ```
//!
//! # Counted keys
//!
//! Only a killed relay reads again what may be published: the events of the one request that was
//! under way since the cursor was stored. A key of the id alone would match much more, such as every
//! event that has the id after the upstream counts from 1 again. So the cursor file keeps a count of
//! the published events that have counted keys, under a random name that tells the file from others;
//! both are stored with the cursor, for the first time before the first event. A counted key is that
//! name, the event's number in the count, and its id. The number is given when a request is made:
//! what the file has, and one more for each such event before it in the request.
//!
//! A number that was stored as published is never used again. So two events can have the same key
//! only if the first was in a request under way when the relay was killed, or gave up, the second
//! comes at the same number later, *and* it has the same id:
//!
//! ```text
//!  killed before the hub took the request   file and numbers are as before; no key is known
//!  … before the answer, or before it was    file and numbers are as before; what the upstream
//!    stored                                 sends again after the cursor gets the same keys
//!  the requests are cut in another way      the number is of the event, not of its request
//!  several kills in a row                   each run begins with the file's cursor and count, and
//!                                           these belong together, however far earlier runs had come
//!  an upstream that does not replay         other ids at those numbers: published
//!  one that replays from its beginning      the same, unless the request had begun there as well
//!  one that counts from 1 again             the same: id 1 comes at the number of another id, also
//!                                           when both are killed again and again
//!  a request narrowed or sent again         nothing of a refused one is published, so its numbers
//!  after a refusal                          are free; one whose outcome is unknown is not changed
//!  an event left out, or of another type    has no number, at each run
//! ```
//!
//! What remains: a relay that was killed with a request under way, and an upstream that then counts
//! anew, with the very ids of that request first, and *equal* events. That cannot be told from a
//! replay. And where the upstream sends not quite the same again (the first events of the request
//! are gone, or --event is another), the numbers shift, and the rest is published twice.
//!
//! # Placed keys
//!
//! A user who knows the upstream can vouch for it (`--trust-ids`): that an id is never used twice,
//! and that what follows an id is the same whenever it is asked for. Then the key is a place in the
//! upstream: the id in force and the ordinal of the event under it, 0 for the one that came with the
//! id, 1 for the next that brought none, and so on. After a reconnect ordinals count from 1 under the
//! id that was sent, whose own event is not sent again; and not at all if the id could not be sent,
//! until there is another.
//!
//! The client does not say whether an event brought the id or a block without data did just before
//! it, so that such an event counts as the one with the id.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use tidings_client::EventId;

use super::key::{Key, Mint};

/// The machine that gives events their keys. It is told of everything that moves the id.
#[derive(Debug)]
pub(super) struct Keys {
    mint: Mint,
    trust: Trust,
    /// Whether a later run goes on where this one is killed.
    is_resumed: bool,
    in_force: EventId,
    /// The ordinal of the last event under the id in force; `None` if its events have no place that
    /// the upstream would find again.
    ordinal: Option<u64>,
    seen: Seen,
    told_no_id: bool,
    told_no_own_id: bool,
}

/// How far the upstream's ids are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The user vouches for them.
    Vouched,
    /// Until there is a sign that one was used twice.
    Presumed,
    /// There was one.
    Lost,
}

/// What a user should know about the delivery, said once each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doubt {
    /// An event has no id at all.
    NoId,
    /// An event has no id of its own.
    NoOwnId,
}

impl Keys {
    /// `is_resumed` if there is a cursor file.
    pub(super) fn new(mint: Mint, trust: Trust, is_resumed: bool) -> Self {
        Self {
            mint,
            trust,
            is_resumed,
            in_force: EventId::default(),
            ordinal: None,
            seen: Seen::default(),
            told_no_id: false,
            told_no_own_id: false,
        }
    }

    pub(super) const fn mint(&self) -> &Mint {
        &self.mint
    }

    pub(super) const fn trust(&self) -> Trust {
        self.trust
    }

    /// A connection stands that was asked to resume after `id`, if that was `sent`.
    pub(super) fn handle_open(&mut self, id: &EventId, sent: bool) {
        self.in_force = id.clone();
        self.ordinal = (sent && !id.is_empty()).then_some(0);
    }

    /// The id in force is now `id`, by something that is not published: the next event under it is
    /// not the one that came with it.
    pub(super) fn handle_id(&mut self, id: &EventId) {
        if *id != self.in_force {
            self.in_force = id.clone();
            self.ordinal = (!id.is_empty()).then_some(0);
        }
    }

    /// An event arrived while `id` was in force. True if that is a sign that ids are used twice.
    pub(super) fn handle_event(&mut self, id: &EventId) -> bool {
        if *id == self.in_force {
            self.ordinal = self.ordinal.map(|ordinal| ordinal + 1);
            return false;
        }
        self.handle_id(id);
        !id.is_empty() && !self.seen.insert(id) && self.lose_trust()
    }

    /// The key of the event that arrived last, and what a user should know about it.
    pub(super) fn key(&mut self) -> (Key, Option<Doubt>) {
        let id = self.in_force.as_str();
        match (self.trust, self.ordinal) {
            (Trust::Vouched, Some(ordinal)) => (self.mint.placed(id, ordinal), None),
            (Trust::Presumed, Some(0)) if self.is_resumed => (Key::Counted, None),
            (Trust::Presumed, Some(0)) => (self.mint.passing(), None),
            (Trust::Lost, _) => (self.mint.passing(), None),
            _ => (self.mint.passing(), self.doubt()),
        }
    }

    /// A key for an event whose lasting one cannot be used.
    pub(super) fn passing(&mut self) -> Key {
        self.mint.passing()
    }

    /// There is a sign that the upstream uses ids twice. True if that is news, and lasting keys are
    /// not to be used any more; what a user vouches for stays.
    pub(super) fn lose_trust(&mut self) -> bool {
        let is_news = self.trust == Trust::Presumed;
        if is_news {
            self.trust = Trust::Lost;
        }
        is_news
    }

    fn doubt(&mut self) -> Option<Doubt> {
        let (told, doubt) = if self.in_force.is_empty() {
            (&mut self.told_no_id, Doubt::NoId)
        } else {
            (&mut self.told_no_own_id, Doubt::NoOwnId)
        };
        (!std::mem::replace(told, true)).then_some(doubt)
    }
}

/// The newest ids of this run, as hashes: two ids with the same hash are a false alarm.
#[derive(Debug, Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl Seen {
    /// Takes `id` down; false if it is there already.
    fn insert(&mut self, id: &EventId) -> bool {
        let hash = self.hasher.hash_one(id.as_str());
        if !self.hashes.insert(hash) {
            return false;
        }
        self.oldest_first.push_back(hash);
        if self.oldest_first.len() > SEEN_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }
}

/// As many ids as a hub keeps keys: about 3 MB.
const SEEN_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    struct Upstream {
        keys: Keys,
        at: EventId,
        /// Whether the last event ended the trust.
        repeated: bool,
    }

    impl Upstream {
        fn new(trust: Trust, after: &str) -> Self {
            let mut upstream = Self {
                keys: Keys::new(Mint::new("n", "t", 0), trust, true),
                at: after.parse().unwrap(),
                repeated: false,
            };
            upstream.reconnects();
            upstream
        }

        fn reconnects(&mut self) {
            self.keys.handle_open(&self.at, true);
        }

        /// The id and ordinal that tell the key if it is lasting, and the doubt.
        fn event(&mut self, id: Option<&str>) -> (Option<String>, Option<Doubt>) {
            self.at = id.map_or(self.at.clone(), |id| id.parse().unwrap());
            self.repeated = self.keys.handle_event(&self.at);
            let (key, doubt) = self.keys.key();
            let place = match &key {
                Key::Placed(text) => Some(text.strip_prefix("relay:n:t:").unwrap().to_owned()),
                Key::Counted => Some(format!("{}:0", self.at)),
                Key::Passing(_) => None,
            };
            assert_eq!(key.is_lasting(), place.is_some());
            (place, doubt)
        }

        fn place(&mut self, id: Option<&str>) -> Option<String> {
            self.event(id).0
        }
    }

    fn place(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn an_event_with_an_id_of_its_own_has_the_same_key_whenever_it_comes() {
        for trust in [Trust::Presumed, Trust::Vouched] {
            let mut upstream = Upstream::new(trust, "");
            assert_eq!(upstream.event(Some("1")), (place("1:0"), None));
            assert_eq!(upstream.event(Some("2")), (place("2:0"), None));
            upstream.reconnects();
            assert_eq!(upstream.event(Some("3")), (place("3:0"), None));
            // Another run that knows less.
            let mut upstream = Upstream::new(trust, "1");
            assert_eq!(upstream.event(Some("2")), (place("2:0"), None));
        }
    }

    #[test]
    fn without_a_cursor_file_a_key_lasts_only_if_the_user_vouches_for_it() {
        for (trust, lasts) in [(Trust::Presumed, false), (Trust::Vouched, true)] {
            let mut upstream = Upstream::new(trust, "");
            upstream.keys.is_resumed = false;
            let (place, doubt) = upstream.event(Some("1"));
            assert_eq!((place.is_some(), doubt), (lasts, None));
        }
    }

    #[test]
    fn events_without_any_id_are_never_taken_for_others() {
        for trust in [Trust::Presumed, Trust::Vouched] {
            let mut upstream = Upstream::new(trust, "");
            assert_eq!(upstream.event(None), (None, Some(Doubt::NoId)));
            assert_eq!(upstream.event(None), (None, None));
            upstream.reconnects();
            assert_eq!(upstream.event(None), (None, None), "told once");
            assert_eq!(upstream.event(Some("1")), (place("1:0"), None));
            // An empty id takes the id back.
            assert_eq!(upstream.event(Some("")), (None, None));
        }
    }

    #[test]
    fn an_ordinal_is_no_key_unless_the_user_vouches_for_it() {
        let mut upstream = Upstream::new(Trust::Presumed, "");
        assert_eq!(upstream.place(Some("1")), place("1:0"));
        assert_eq!(upstream.event(None), (None, Some(Doubt::NoOwnId)));
        upstream.reconnects();
        assert_eq!(upstream.event(None), (None, None), "it may be new, or the one before");
        assert_eq!(upstream.place(Some("2")), place("2:0"));

        let mut upstream = Upstream::new(Trust::Vouched, "");
        assert_eq!(upstream.place(Some("1")), place("1:0"));
        assert_eq!(upstream.event(None), (place("1:1"), None));
        assert_eq!(upstream.event(None), (place("1:2"), None));
        upstream.reconnects();
        assert_eq!(upstream.place(None), place("1:1"), "what comes after id 1");
        assert_eq!(upstream.place(Some("2")), place("2:0"));
        let mut again = Upstream::new(Trust::Vouched, "1");
        assert_eq!(again.place(None), place("1:1"), "at another run, too");
    }

    #[test]
    fn what_follows_a_restart_is_not_the_event_with_the_id() {
        let mut upstream = Upstream::new(Trust::Presumed, "7");
        assert_eq!(upstream.event(None), (None, Some(Doubt::NoOwnId)));
    }

    #[test]
    fn an_id_that_could_not_be_sent_gives_no_place_until_there_is_another() {
        let mut upstream = Upstream::new(Trust::Vouched, "");
        assert_eq!(upstream.place(Some("a\u{1}")), place("a%01:0"));
        upstream.keys.handle_open(&upstream.at.clone(), false);
        assert_eq!(upstream.event(None), (None, Some(Doubt::NoOwnId)));
        assert_eq!(upstream.place(None), None);
        assert_eq!(upstream.place(Some("b")), place("b:0"));
    }

    #[test]
    fn an_id_that_came_alone_has_no_event() {
        let mut upstream = Upstream::new(Trust::Vouched, "");
        upstream.at = "#5".parse().unwrap();
        upstream.keys.handle_id(&upstream.at);
        assert_eq!(upstream.place(None), place("#5:1"));
        let mut upstream = Upstream::new(Trust::Presumed, "");
        upstream.at = "#5".parse().unwrap();
        upstream.keys.handle_id(&upstream.at);
        assert_eq!(upstream.event(None), (None, Some(Doubt::NoOwnId)));
        // The same id again moves nothing.
        upstream.keys.handle_id(&upstream.at);
        assert_eq!(upstream.place(None), None);
    }

    #[test]
    fn an_id_that_comes_again_ends_the_trust() {
        let mut upstream = Upstream::new(Trust::Presumed, "");
        for id in ["1", "2", "3"] {
            assert!(upstream.place(Some(id)).is_some());
        }
        upstream.reconnects();
        assert_eq!(upstream.event(Some("1")), (None, None));
        assert!(upstream.repeated);
        assert_eq!(upstream.event(Some("2")), (None, None));
        assert!(!upstream.repeated, "told once");
        assert_eq!(upstream.event(Some("9")), (None, None), "it could be one of another count");
        assert_eq!(upstream.event(None), (None, None), "nothing more to tell");
        assert_eq!(upstream.keys.trust(), Trust::Lost);

        let mut upstream = Upstream::new(Trust::Vouched, "");
        for id in ["1", "2", "1"] {
            assert_eq!(upstream.event(Some(id)), (Some(format!("{id}:0")), None));
            assert!(!upstream.repeated);
        }
    }

    #[test]
    fn the_memory_of_ids_is_bounded() {
        let mut seen = Seen::default();
        let id = |number: usize| number.to_string().parse().unwrap();
        for number in 0..=SEEN_MAX {
            assert!(seen.insert(&id(number)));
        }
        assert_eq!((seen.hashes.len(), seen.oldest_first.len()), (SEEN_MAX, SEEN_MAX));
        assert!(!seen.insert(&id(1)));
        assert!(seen.insert(&id(0)), "the oldest is forgotten");
    }
}
