//! Random histories against the plainest log there can be.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// A log that looks at everything each time.
struct Model {
    records: Vec<(u64, NewRecord, bool)>,
    records_max: usize,
    last: u64,
}

impl Model {
    fn ended(&self, filter: &Filter) -> Option<u64> {
        if filter.has_patterns() {
            return None;
        }
        let newest = |topic: &Topic| {
            self.records.iter().rev().find(|(_, new, _)| new.topics.contains(topic))
        };
        let end = |(offset, new, _): &(u64, NewRecord, bool)| {
            (new.kind == Kind::Ended).then_some(*offset)
        };
        let ends: Option<Vec<_>> =
            filter.topics().iter().map(|topic| newest(topic).and_then(end)).collect();
        ends?.into_iter().max()
    }
}

impl Model {
    fn append(&mut self, batch: &[NewRecord]) {
        for new in batch.iter().filter(|new| new.kind.is_kept()) {
            self.last += 1;
            self.records.push((self.last, new.clone(), false));
        }
        // The ids that were taken when a record was appended are those of the batch's own time.
        let kept = self.records.len().saturating_sub(self.records_max);
        for (_, _, trimmed) in &mut self.records[..kept] {
            *trimmed = true;
        }
    }

    fn first(&self) -> u64 {
        let first = self.records.iter().find(|(_, _, trimmed)| !trimmed);
        first.map_or(self.last + 1, |(offset, _, _)| *offset)
    }

    fn matching<'a>(
        &'a self,
        after: u64,
        filter: &'a Filter,
    ) -> impl Iterator<Item = &'a (u64, NewRecord, bool)> {
        self.records.iter().filter(move |(offset, new, _)| {
            *offset > after && new.topics.iter().any(|topic| filter.matches_topic(topic))
        })
    }
}

/// Whatever is appended, trimmed, read and reopened, in whatever order, the log says what the
/// model says. A failing seed is printed.
pub async fn a_random_history_equals_the_model(subject: &dyn Subject) {
    for seed in 0..12 {
        println!("seed {seed}");
        run(subject, seed).await;
    }
}

async fn run(subject: &dyn Subject, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let records_max = random.random_range(0..60);
    let retention = newest(records_max);
    let mut model = Model { records: Vec::new(), records_max, last: 0 };
    let mut log = subject.open(retention);
    for _ in 0..120 {
        match random.random_range(0..10) {
            0 => log = subject.reopen(log, retention).await,
            1..5 => {
                let batch: Vec<_> =
                    (0..random.random_range(0..9)).map(|_| any_record(&mut random)).collect();
                let appended = log.append(Batch::new(batch.clone())).await.expect("appended");
                model.append(&batch);
                assert_eq!(appended.records.len(), batch.len());
                assert!(appended.last().is_none_or(|last| last.0 == model.last));
            }
            _ => {
                let filter = any_filter(&mut random);
                let after = random.random_range(0..=model.last);
                compare(&*log, &model, after, &filter, &mut random).await;
            }
        }
        assert_eq!((log.bounds().first.0, log.bounds().last.0), (model.first(), model.last));
        assert_eq!(log.state().topics, log.topics(None, usize::MAX).len());
        let filter = any_filter(&mut random);
        assert_eq!(log.ended(&filter).map(|at| at.0), model.ended(&filter), "{filter:?}");
    }
}

async fn compare(log: &dyn Log, model: &Model, after: u64, filter: &Filter, random: &mut StdRng) {
    let trimmed =
        model.matching(after, filter).any(|(_, new, trimmed)| *trimmed && new.kind.is_event());
    assert_eq!(is_trimmed(log, Offset(after), filter).await, trimmed, "{filter:?} after {after}");
    if trimmed {
        return;
    }
    let limits = ReadLimits {
        records_max: random.random_range(1..20),
        bytes_max: random.random_range(0..2_000),
    };
    let mut found = Vec::new();
    let mut through = Offset(after);
    while through.0 < model.last {
        let page = page(log, through, filter, limits).await;
        through = page.through;
        found.extend(page.records);
    }
    let found: Vec<_> = found.iter().map(|record| (record.offset.0, &record.new)).collect();
    // What was trimmed of it are marks, which nobody misses.
    let kept = model.matching(after, filter).filter(|(_, _, trimmed)| !trimmed);
    let expected: Vec<_> = kept.map(|(offset, new, _)| (*offset, new)).collect();
    assert_eq!(found, expected, "{filter:?} after {after}");
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
