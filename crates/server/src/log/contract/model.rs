//! Random histories against the plainest log there can be.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::log::Taken;

/// A log that looks at everything each time.
struct Model {
    records: Vec<Kept>,
    records_max: usize,
    rules: Vec<(Matcher, usize)>,
    // How far each topic was trimmed.
    trims: BTreeMap<Topic, Offset>,
    // Where those that have ended did.
    ends: BTreeMap<Topic, Offset>,
    // Of all records ever.
    places: Places,
}

struct Kept {
    offset: Offset,
    new: NewRecord,
    // The topics that have not trimmed it.
    listed: Vec<Topic>,
}

impl Model {
    fn ended(&self, filter: &Filter) -> Option<Offset> {
        if filter.has_patterns() {
            return None;
        }
        let ends: Option<Vec<_>> =
            filter.topics().iter().map(|topic| self.ends.get(topic).copied()).collect();
        ends?.into_iter().max()
    }

    fn is_mark(&self, offset: Offset) -> bool {
        let kept = self.records.iter().find(|kept| kept.offset == offset);
        kept.is_some_and(|kept| !kept.new.kind.is_event())
    }
}

impl Model {
    /// Where its records stand, the log has answered.
    fn append(&mut self, batch: &[NewRecord], taken: &[Taken]) {
        assert_eq!(taken.len(), batch.len());
        for (new, taken) in batch.iter().zip(taken) {
            let offset = match *taken {
                Taken::Appended(offset) if new.kind.is_kept() => offset,
                Taken::Passed if !new.kind.is_kept() => continue,
                _ => panic!("{taken:?} of {new:?}"),
            };
            self.places.push(offset);
            let listed = new.topics.to_vec();
            for topic in &listed {
                self.ends.remove(topic);
                if new.kind == Kind::Ended {
                    self.ends.insert(topic.clone(), offset);
                }
            }
            self.records.push(Kept { offset, new: new.clone(), listed });
        }
        for (topic, records) in self.topics() {
            let rule = self.rules.iter().find(|(topics, _)| topics.matches(&topic));
            let Some(&(_, records_max)) = rule else { continue };
            let events = records.iter().filter(|offset| !self.is_mark(**offset)).count();
            let mut surplus = events.saturating_sub(records_max);
            for offset in records {
                if surplus == 0 {
                    break;
                }
                if !self.is_mark(offset) {
                    self.trims.insert(topic.clone(), offset);
                    surplus -= 1;
                }
                let kept = self.records.iter_mut().find(|kept| kept.offset == offset);
                kept.expect("it is kept").listed.retain(|listed| *listed != topic);
            }
        }
        self.records.retain(|kept| !kept.listed.is_empty());
        let surplus = self.records.len().saturating_sub(self.records_max);
        for kept in self.records.drain(..surplus).filter(|kept| kept.new.kind.is_event()) {
            self.trims.extend(kept.listed.into_iter().map(|topic| (topic, kept.offset)));
        }
    }

    /// The records of each topic.
    fn topics(&self) -> BTreeMap<Topic, Vec<Offset>> {
        let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for kept in &self.records {
            for topic in &kept.listed {
                topics.entry(topic.clone()).or_default().push(kept.offset);
            }
        }
        topics
    }

    fn first(&self) -> Offset {
        self.records.first().map_or(self.places.last().next(), |kept| kept.offset)
    }

    /// What is to be found, and how far something is missing.
    fn matching(&self, after: Offset, filter: &Filter) -> (Vec<(Offset, &NewRecord)>, Offset) {
        let matches = |topic: &Topic| filter.matches_topic(topic);
        let kept = self.records.iter().filter(|kept| kept.offset > after);
        let kept = kept.filter(|kept| kept.listed.iter().any(matches));
        let trims = self.trims.iter().filter(|&(topic, &trim)| trim > after && matches(topic));
        let trimmed = trims.map(|(_, &trim)| trim).max().unwrap_or_default();
        (kept.map(|kept| (kept.offset, &kept.new)).collect(), trimmed)
    }
}

/// Whatever is appended, trimmed, read and reopened, in whatever order, the log says what the
/// model says. A failing seed is printed.
pub async fn a_random_history_equals_the_model(subject: &dyn Subject) {
    for seed in 0..16 {
        println!("seed {seed}");
        run(subject, seed).await;
    }
}

async fn run(subject: &dyn Subject, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let records_max = random.random_range(0..60);
    let rules = any_rules(&mut random);
    let limits = rules.iter().map(|(topics, records_max)| (topics.clone(), newest(*records_max)));
    let setup = Setup { retention: newest(records_max), ..Setup::rules(limits) };
    let (trims, ends) = (BTreeMap::new(), BTreeMap::new());
    let places = Places::new();
    let mut model = Model { records: Vec::new(), records_max, rules, trims, ends, places };
    let mut log = subject.open_with(setup.clone());
    for _ in 0..120 {
        match random.random_range(0..10) {
            0 => log = subject.reopen_with(log, setup.clone()).await,
            1..5 => {
                let batch: Vec<_> =
                    (0..random.random_range(0..9)).map(|_| any_record(&mut random)).collect();
                let appended = log.append(Batch::new(batch.clone())).await.expect("appended");
                model.append(&batch, &appended.records);
                assert!(appended.last().is_none_or(|last| last == model.places.last()));
            }
            _ => {
                let filter = any_filter(&mut random);
                let after = any_place(&mut random, &model.places);
                compare(&*log, &model, after, &filter, &mut random).await;
            }
        }
        assert_eq!((log.bounds().first, log.bounds().last), (model.first(), model.places.last()));
        let topics = log.topics(None, usize::MAX).into_iter();
        let topics: Vec<_> = topics.map(|s| (s.topic, s.records, s.last)).collect();
        let expected = model.topics().into_iter();
        let events = |all: &[Offset]| all.iter().filter(|at| !model.is_mark(**at)).count();
        let expected: Vec<_> =
            expected.map(|(topic, all)| (topic, events(&all), all[all.len() - 1])).collect();
        assert_eq!(topics, expected);
        let state = log.state();
        assert_eq!((state.records, state.topics), (model.records.len(), topics.len()));
        let filter = any_filter(&mut random);
        assert_eq!(log.ended(&filter), model.ended(&filter), "{filter:?}");
    }
}

async fn compare(
    log: &dyn Log,
    model: &Model,
    after: Offset,
    filter: &Filter,
    random: &mut StdRng,
) {
    let (expected, trimmed) = model.matching(after, filter);
    let limits = ReadLimits {
        records_max: random.random_range(1..20),
        bytes_max: random.random_range(0..2_000),
    };
    let mut found = Vec::new();
    let mut told = Vec::new();
    let mut since = Since::after(after);
    while since.after < model.places.last() {
        let page = log.read(since, filter, limits).await.expect("read");
        assert!(page.through > since.after, "a page moves on");
        told.extend((page.trimmed > Offset::ZERO).then_some(page.trimmed));
        let trims_seen = if random.random() { page.trims_seen } else { 0 };
        since = Since { after: page.through, told: since.told.max(page.trimmed), trims_seen };
        found.extend(page.records);
    }
    let found: Vec<_> = found.iter().map(|record| (record.offset, &record.new)).collect();
    assert_eq!(found, expected, "{filter:?} after {after}");
    // At once, and only once.
    let expected: Vec<_> = (trimmed > Offset::ZERO).then_some(trimmed).into_iter().collect();
    assert_eq!(told, expected, "{filter:?} after {after}");
}

/// After any of the records, or before them all: right there, or anywhere in the gap.
fn any_place(random: &mut StdRng, places: &Places) -> Offset {
    let (first, last) = places.gap(random.random_range(0..=places.count())).into_inner();
    match random.random_range(0..3) {
        0 => first,
        1 => last,
        _ => Offset(random.random_range(first.0..=last.0)),
    }
}

fn any_rules(random: &mut StdRng) -> Vec<(Matcher, usize)> {
    (0..random.random_range(0..4))
        .map(|_| {
            let topics = match random.random_range(0..4) {
                0 => pattern("a/*"),
                1 => pattern("*/1"),
                _ => Matcher::Exact(topic(&any_topic(random))),
            };
            (topics, random.random_range(0..8))
        })
        .collect()
}

fn any_record(random: &mut StdRng) -> NewRecord {
    let mut new = record(&any_topic(random), "x".repeat(random.random_range(0..200)));
    for _ in 0..random.random_range(0..3) {
        let more = topic(&any_topic(random));
        if !new.topics.contains(&more) {
            new.topics.push(more);
        }
    }
    new.private = random.random();
    new.kind = match random.random_range(0..12) {
        0 => Kind::Ended,
        1 => Kind::Opened,
        2 => Kind::Ephemeral,
        _ => Kind::Event,
    };
    new
}

fn any_filter(random: &mut StdRng) -> Filter {
    match random.random_range(0..4) {
        0 => Filter::everything(),
        1 => Filter::new([pattern("a/*"), Matcher::Exact(topic("b/1"))]),
        _ => {
            let count = random.random_range(0..4);
            Filter::new((0..count).map(|_| Matcher::Exact(topic(&any_topic(random)))))
        }
    }
}

fn any_topic(random: &mut StdRng) -> String {
    let kind = ["a", "b"][random.random_range(0..2)];
    // Some topics are common, some rare.
    let most = [2, 30][random.random_range(0..2)];
    format!("{kind}/{}", random.random_range(0..most))
}
