//! A state that is taken up from a checkpoint, against the one that folded every message.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings_server::{
    idempotency::Key,
    log::{KeyWindow, Retention, TopicRule, TopicRules},
    matcher::{Filter, Matcher},
    record::{Kind, PublisherId},
    topic::Topic,
};

use super::*;
use crate::nats::{
    checkpoint::Parts,
    limits::Limits,
    message::{self, Encoded},
};

fn options(random: &mut StdRng) -> Options {
    let rule = |topic: &str, records_max, bytes_max, age_s| TopicRule {
        topics: Matcher::Exact(Topic::new(topic).unwrap()),
        limits: Retention { records_max, bytes_max, age_max: Duration::from_secs(age_s) },
    };
    let mut options = Options::new("nats://localhost".parse().expect("a URL"));
    options.retention = Retention {
        records_max: random.random_range(1..60),
        bytes_max: random.random_range(200..6_000),
        age_max: Duration::from_secs(random.random_range(5..100)),
    };
    let rules =
        vec![rule("t0", 2, u64::MAX, 1_000), rule("t1", 9, 300, 1_000), rule("t2", 9, 900, 4)];
    options.rules = TopicRules::new(rules).unwrap();
    options.key_window = KeyWindow {
        keys_max: random.random_range(1..30),
        age_max: Duration::from_secs(random.random_range(2..60)),
    };
    options
}

// A topic of few, or of many.
fn topic(random: &mut StdRng) -> Topic {
    let few = random.random_range(0..4) > 0;
    Topic::new(format!("t{}", random.random_range(0..if few { 4 } else { 40 }))).unwrap()
}

fn id(number: u32) -> PublisherId {
    PublisherId::new(format!("id-{number}")).unwrap()
}

const IDS: u32 = 12;

fn record(random: &mut StdRng) -> NewRecord {
    let kind = match random.random_range(0..12) {
        0 => Kind::Ephemeral,
        1 => Kind::Ended,
        2 => Kind::Opened,
        _ => Kind::Event,
    };
    let mut new = NewRecord::new(topic(random), "x".repeat(random.random_range(0..40)));
    new.kind = kind;
    while random.random_range(0..4) == 0 {
        new.topics.push(topic(random));
    }
    if !kind.is_event() {
        new.data = "".into();
    }
    if random.random_range(0..3) == 0 {
        new.id = Some(id(random.random_range(0..IDS)));
    }
    if kind.is_kept() && random.random_range(0..3) == 0 {
        // The same event under the same key, but for one of some.
        let key = random.random_range(0..20);
        new = NewRecord::new(Topic::new(format!("t{}", key % 5)).unwrap(), format!("key {key}"));
        if random.random_range(0..10) == 0 {
            new.data = "another".into();
        }
        new = new.once(Key::new("", &key.to_string()).unwrap());
    }
    new
}

/// What upkeep has under way, as several hubs may have at once.
struct Pending {
    memory: Memory,
    oldest: u64,
    carried: Vec<u64>,
    through: u64,
    checkpoint: u64,
}

/// The stream and the state of the hub that has folded all of it.
struct World {
    random: StdRng,
    options: Options,
    stream: BTreeMap<u64, (Place, Bytes)>,
    last: u64,
    now_ms: u64,
    full: State,
    // States that were taken up on the way, and fold along.
    others: Vec<State>,
    pending: Vec<Pending>,
    newest: Option<(u64, Checkpoint)>,
    purges: Vec<u64>,
    number: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let options = options(&mut random);
        let full = State::new(Epoch::from_bits(7), 0, &options);
        let mut world = Self {
            random,
            options,
            stream: BTreeMap::new(),
            last: 0,
            now_ms: 1_000_000,
            full,
            others: Vec::new(),
            pending: Vec::new(),
            newest: None,
            purges: Vec::new(),
            number: 0,
        };
        let first = Checkpoint::first(Epoch::from_bits(7), 0, Limits::of(&world.options));
        world.put(message::checkpoint(&first.to_json()));
        world
    }

    /// The stream takes a message, and every state folds it.
    fn put(&mut self, payload: Bytes) -> u64 {
        self.now_ms += match self.random.random_range(0..20) {
            0 => self.random.random_range(0..30_000),
            _ => self.random.random_range(0..500),
        };
        // Another server leads, whose clock is behind.
        if self.random.random_range(0..20) == 0 {
            self.now_ms -= 2_000;
        }
        self.last += 1;
        let time = Timestamp { unix_ms: self.now_ms };
        let place = Place { sequence: self.last, time, rest_ns: self.random.random_range(0..1000) };
        self.stream.insert(self.last, (place, payload.clone()));
        let expected = take(&mut self.full, place, &payload);
        for other in &mut self.others {
            assert_eq!(take(other, place, &payload), expected, "message {}", place.sequence);
        }
        if let Ok(Message::Checkpoint(json)) = Message::parse(&payload)
            && let Ok(checkpoint) = Checkpoint::parse(&json)
        {
            self.newest = Some((self.last, checkpoint));
        }
        // Upkeep may look before all is trimmed.
        if self.random.random_range(0..10) == 0 {
            self.look();
        }
        for state in self.others.iter_mut().chain([&mut self.full]) {
            while state.trim() {}
        }
        self.last
    }

    fn look(&mut self) {
        let (memory, oldest, carried) = self.full.memory();
        let (through, checkpoint) = (self.full.through(), self.full.checkpoint());
        self.pending.push(Pending { memory, oldest, carried, through, checkpoint });
    }

    fn publish(&mut self) {
        let entries = self.random.random_range(1..4);
        let entries: Vec<_> = (0..entries)
            .map(|_| {
                self.number += 1;
                let count = self.random.random_range(1..5);
                let records: Vec<_> = (0..count).map(|_| record(&mut self.random)).collect();
                Encoded::new(self.number, &records)
            })
            .collect();
        self.put(message::batches(3, &entries));
    }

    fn garbage(&mut self) {
        let (_, mut payload) = self.stream.values().last().expect("a message").clone();
        match self.random.random_range(0..3) {
            0 => payload = Bytes::from_static(b"what is this?"),
            1 => payload.truncate(payload.len() - 1),
            _ => payload = Bytes::from_static(b"Td\x01\x09"),
        }
        // What is cut off may be whole all the same.
        if !matches!(Message::parse(&payload), Ok(Message::Checkpoint(_))) {
            self.put(payload);
        }
    }

    /// Carries as upkeep does, up to a message, and maybe only in part.
    fn carry(&mut self) {
        let Some(before) = self.full.held.clearable(true) else { return };
        let kept = self.full.kept_before(before);
        let records: Vec<_> =
            kept.iter().map(|&(offset, location)| self.fetch(offset, location)).collect();
        let mut rest = &records[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.random.random_range(1..=rest.len().min(6)));
            self.put(message::carried(now.iter().map(|record| &**record)));
            rest = later;
            if self.random.random_range(0..4) == 0 {
                self.publish();
            }
            if self.random.random_range(0..10) == 0 {
                return;
            }
        }
    }

    fn checkpoint(&mut self) {
        if self.pending.is_empty() {
            self.look();
        }
        let at = self.random.random_range(0..self.pending.len());
        let Pending { memory, oldest, carried, through, checkpoint } = self.pending.remove(at);
        let bytes = memory.to_bytes();
        let crc32 = crc32fast::hash(&bytes);
        let mut parts = Parts { sequences: Vec::new(), bytes: bytes.len() as u64, crc32 };
        for part in bytes.chunks(self.random.random_range(50..2_000)) {
            parts.sequences.push(self.put(message::state(part)));
            if self.random.random_range(0..4) == 0 {
                self.publish();
            }
        }
        // The stream takes none after one that its hub has not seen.
        if self.newest.as_ref().is_some_and(|(newest, _)| *newest != checkpoint) {
            return;
        }
        let limits = Limits::of(&self.options);
        let new = Checkpoint::new(self.full.epoch, limits, through, oldest, parts, carried);
        self.put(message::checkpoint(&new.to_json()));
        for state in self.others.iter_mut().chain([&mut self.full]) {
            state.clear(oldest);
        }
        self.purges.push(oldest);
    }

    fn purge(&mut self) {
        if let Some(oldest) = self.purges.pop() {
            self.stream = self.stream.split_off(&oldest);
        }
    }

    fn fetch(&self, offset: Offset, location: Location) -> SharedRecord {
        let (sequence, index) = Place::of(location);
        let (place, payload) = &self.stream[&sequence];
        let records = Message::parse(payload).expect("a message").records(*place);
        assert_eq!(records[index].offset, offset, "at {location:?}");
        records[index].clone()
    }

    fn step(&mut self) {
        match self.random.random_range(0..20) {
            0 => self.garbage(),
            1 | 2 => {
                self.put(message::tick());
            }
            3 => self.carry(),
            4 => self.look(),
            5 => self.checkpoint(),
            6 => self.purge(),
            _ => self.publish(),
        }
    }

    /// The state that a hub makes of the stream when it starts now.
    fn taken_up(&self) -> State {
        let (_, checkpoint) = self.newest.as_ref().expect("a checkpoint");
        let Some(parts) = &checkpoint.memory else {
            let mut state = State::new(checkpoint.epoch, checkpoint.through, &self.options);
            self.fold_rest(&mut state, checkpoint.through);
            return state;
        };
        let part = |sequence: &u64| match Message::parse(&self.stream[sequence].1) {
            Ok(Message::State(bytes)) => bytes,
            other => panic!("no state: {other:?}"),
        };
        let memory: Vec<u8> = parts.sequences.iter().flat_map(part).collect();
        let carried = checkpoint.carried.iter().map(|sequence| {
            let (place, payload) = &self.stream[sequence];
            match Message::parse(payload) {
                Ok(Message::Carried(carried)) => (*place, carried),
                other => panic!("carries nothing: {other:?}"),
            }
        });
        let memory = Memory::parse(&memory, parts).expect("a memory");
        let state = State::remembered(checkpoint, memory, carried.collect(), &self.options);
        let mut state = state.expect("a state");
        self.fold_rest(&mut state, checkpoint.through);
        state
    }

    fn fold_rest(&self, state: &mut State, through: u64) {
        let mut is_past = true;
        for (sequence, (place, payload)) in &self.stream {
            if *sequence <= through {
                state.take_up(*place, payload);
                continue;
            }
            if is_past {
                assert!(state.is_whole(), "something is missing");
            }
            is_past = false;
            assert_eq!(*sequence, state.through() + 1);
            if let Ok(Folded { checkpoint: Some(checkpoint), .. }) = state.fold(*place, payload) {
                while state.trim() {}
                state.clear(checkpoint.oldest);
            }
            while state.trim() {}
        }
    }

    fn check(&self, other: &State) {
        assert_eq!(seen(other, self.now_ms), seen(&self.full, self.now_ms));
    }
}

fn take(state: &mut State, place: Place, payload: &Bytes) -> String {
    match state.fold(place, payload) {
        Ok(Folded { records, outcomes, checkpoint }) => {
            format!("{records:?} {outcomes:?} {checkpoint:?}")
        }
        Err(error) => error.to_string(),
    }
}

/// All that anybody sees of a state.
fn seen(state: &State, now_ms: u64) -> String {
    let index = &state.index;
    let mut memory = Memory::of(index);
    memory.time_ms = state.time.unix_ms;
    memory.keys = state.keys.known().map(StoredKey::from).collect();
    memory.skipped = state.skipped.iter().map(|offset| offset.0).collect();
    let mut trims: Vec<_> = mem::take(&mut memory.trims).iter().map(|t| format!("{t:?}")).collect();
    trims.sort_unstable();
    let hits: Vec<_> = index.between(Offset::ZERO, index.last()).collect();
    let now = Timestamp { unix_ms: now_ms };
    let mut summaries = index.summaries(None, usize::MAX, now);
    // Where the clock went back, how many are recent is an estimate.
    summaries.iter_mut().for_each(|topic| topic.recent = 0);
    let topics =
        (0..40).map(|n| Filter::new([Matcher::Exact(Topic::new(format!("t{n}")).unwrap())]));
    let ended: Vec<_> = topics.map(|filter| index.ended(&filter)).collect();
    let ids: Vec<_> = (0..IDS).map(|number| index.find_id(&id(number))).collect();
    format!(
        "{memory:?}\n{trims:?}\n{hits:?}\n{summaries:?}\n{ended:?}\n{ids:?}\n{} {} {:?} {} {}\n{:?}\n{:?}",
        index.bytes(),
        index.topics_with_records(),
        state.last,
        state.through(),
        state.checkpoint,
        state.held,
        state.carriers,
    )
}

fn play(seed: u64, steps: usize, is_thorough: bool) {
    println!("seed {seed}");
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
        if is_thorough || world.random.random_range(0..10) == 0 {
            let state = world.taken_up();
            world.check(&state);
            if world.others.len() < 3 {
                world.others.push(state);
            }
        }
    }
    let kept = world.full.index.between(Offset::ZERO, world.full.index.last());
    let mut places = BTreeSet::new();
    for hit in kept {
        world.fetch(hit.offset, hit.location);
        assert!(places.insert(hit.location), "two records at {:?}", hit.location);
    }
    for other in &world.others {
        world.check(other);
    }
}

#[test]
fn what_is_taken_up_is_what_was_folded() {
    for seed in 0..25 {
        play(seed, 300, false);
    }
}

#[test]
fn it_is_at_every_point_of_the_stream() {
    for seed in 1_000..1_004 {
        play(seed, 250, true);
    }
}

#[test]
#[ignore = "takes minutes"]
fn what_is_taken_up_is_what_was_folded_for_many_seeds() {
    for seed in 10_000..10_500 {
        play(seed, 600, seed % 20 == 0);
    }
}
