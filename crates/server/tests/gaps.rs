//! Gaps in the middle of the log: topics are trimmed by rules of their own while subscribers read,
//! are cut off and come back. Whatever is missing was told before the stream passed it, and once.

#[expect(unreachable_pub, reason = "a module shared by tests")]
#[macro_use]
mod follower;

use std::{ops::Range, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings_server::{
    cursor::{Cursor, Offset},
    fanout::{Fanout, FanoutConfig},
    log::{Batch, Log as _, MemoryLog, Retention, TopicRule, TopicRules},
    matcher::{Filter, Matcher, Pattern},
    record::{NewRecord, PublisherId},
    subscription::{OnGap, Start},
    topic::Topic,
};

use follower::{
    Follower, Path, Seen, Server,
    wire::{Way, Wires},
};

over_both! {
    (start_paused = true) =>
        a_gap_in_the_middle_is_told_once_wherever_the_stream_is_cut,
        a_publishers_id_does_not_make_a_notice_come_again,
        a_place_that_is_not_known_is_one_gap_with_what_was_trimmed,
        after_a_gap_in_the_middle_a_stream_may_go_on_from_now,
        whatever_is_missing_was_told_once_and_before_the_stream_passed_it,
        earliest_gets_what_the_rule_keeps_and_no_other;
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn exact(names: &[&str]) -> Filter {
    Filter::new(names.iter().map(|name| Matcher::Exact(topic(name))))
}

fn pattern(source: &str) -> Matcher {
    Matcher::Pattern(Pattern::parse(source, &"http://localhost/".parse().unwrap()).unwrap())
}

fn rule(topics: Matcher, records_max: usize) -> TopicRule {
    TopicRule { topics, limits: Retention { records_max, ..Retention::UNLIMITED } }
}

fn log_with(rules: Vec<TopicRule>, records_max: usize, feed_bytes_max: usize) -> Arc<MemoryLog> {
    let retention = Retention { records_max, ..Retention::UNLIMITED };
    let log = MemoryLog::new(retention, 1).with_feed_bytes_max(feed_bytes_max);
    Arc::new(log.with_topic_rules(TopicRules::new(rules).unwrap()))
}

/// A fan-out whose tail begins after what is in the log by now.
fn fanout(log: &Arc<MemoryLog>) -> Fanout {
    Fanout::start(log.clone(), FanoutConfig::default())
}

fn cursor(log: &MemoryLog, offset: u64, told: u64) -> String {
    Cursor::new(log.bounds().epoch, Offset(offset)).with_told(Offset(told)).to_string()
}

/// Publishes an event to each of these topics; its data is its offset.
async fn publish(log: &MemoryLog, names: &[&str]) {
    for name in names {
        let number = log.bounds().last.next().to_string();
        log.append(NewRecord::new(topic(name), number).into()).await.unwrap();
    }
}

/// Resumes with `id`, cut off once after so many bytes, and reads to the end of the log. False if
/// there was nothing left to cut.
async fn resume_with_a_cut(
    follower: &mut Follower,
    log: &MemoryLog,
    server: &Server,
    id: &str,
    cut_bytes: usize,
) -> bool {
    follower.set_last_event_id(id);
    let end = log.bounds().last;
    let at_end = |follower: &Follower| {
        follower.seen.iter().any(|seen| Cursor::parse(seen.id()).is_some_and(|c| c.offset == end))
    };
    let mut left = cut_bytes;
    while left > 0 {
        if at_end(follower) {
            return false;
        }
        left -= follower.read(server, left).await;
    }
    follower.cut();
    while !at_end(follower) {
        follower.read(server, usize::MAX).await;
    }
    true
}

async fn a_gap_in_the_middle_is_told_once_wherever_the_stream_is_cut(path: Path) {
    let log = log_with(vec![rule(Matcher::Exact(topic("noisy")), 1)], usize::MAX, 1 << 20);
    publish(&log, &["quiet", "noisy", "quiet", "noisy", "noisy", "quiet", "noisy", "quiet"]).await;
    let fanout = fanout(&log);
    let server = path.serve(&fanout);
    for cut_bytes in 1.. {
        let mut follower = Follower::new(exact(&["quiet", "noisy"]), Start::Latest);
        let start = cursor(&log, 1, 0);
        let cut = resume_with_a_cut(&mut follower, &log, &server, &start, cut_bytes).await;
        assert_eq!(follower.data(), ["3", "6", "7", "8"], "cut after {cut_bytes} bytes");
        let gaps = follower.gaps();
        assert_eq!(gaps.len(), 1, "cut after {cut_bytes} bytes: {:?}", follower.seen);
        assert_eq!(gaps[0]["reason"], "trimmed");
        assert_eq!(gaps[0]["requested"], start);
        assert_eq!(gaps[0]["oldest"], cursor(&log, 1, 0));
        assert_eq!(gaps[0]["resumes_after"], cursor(&log, 2, 5));
        assert!(follower.seen[0].gap().is_some(), "something came before the notice");
        let event = |number| Seen::Event {
            id: cursor(&log, number, if number < 5 { 5 } else { 0 }),
            data: number.to_string(),
        };
        assert!(follower.seen.contains(&event(3)) && follower.seen.contains(&event(6)));
        if !cut {
            break;
        }
    }
    // Who follows the quiet one alone hears of nothing.
    let mut follower = Follower::new(exact(&["quiet"]), Start::Latest);
    resume_with_a_cut(&mut follower, &log, &server, &cursor(&log, 0, 0), usize::MAX).await;
    assert_eq!((follower.data().join(" "), follower.gaps().len()), ("1 3 6 8".to_owned(), 0));
}

async fn a_publishers_id_does_not_make_a_notice_come_again(path: Path) {
    let log = log_with(vec![rule(Matcher::Exact(topic("noisy")), 1)], usize::MAX, 1 << 20);
    for number in 1..=8 {
        let name = if matches!(number, 2 | 6 | 7) { "noisy" } else { "quiet" };
        let mut record = NewRecord::new(topic(name), number.to_string());
        record.id = Some(PublisherId::new(format!("id {number}")).unwrap());
        log.append(record.into()).await.unwrap();
    }
    let fanout = fanout(&log);
    let server = path.serve(&fanout);
    for cursors in [true, false] {
        let mut follower = Follower::new(exact(&["quiet", "noisy"]), Start::Latest);
        follower.config.cursors = cursors;
        follower.set_last_event_id("id 1");
        while follower.data().last() != Some(&"8") {
            follower.read(&server, usize::MAX).await;
        }
        let ids: Vec<_> = follower.seen.iter().skip(1).map(Seen::id).collect();
        let told = [3, 4, 5].map(|n| cursor(&log, n, 6));
        if cursors {
            let [three, four, five] = &told;
            assert_eq!(ids, ["id 3", three, "id 4", four, "id 5", five, "id 7", "id 8"]);
        } else {
            assert_eq!(ids, ["id 3", "id 4", "id 5", "id 7", "id 8"]);
        }
    }
}

// Over a body alone: what a connection has taken is no longer to be lost by its reading late.
#[tokio::test(start_paused = true)]
async fn who_asks_for_all_there_is_is_not_told_of_what_was_gone_by_then() {
    let log = log_with(vec![rule(Matcher::Exact(topic("noisy")), 1)], usize::MAX, 1 << 20);
    publish(&log, &["quiet", "noisy", "quiet", "noisy", "noisy", "quiet"]).await;
    let fanout = fanout(&log);
    let server = Path::Body.serve(&fanout);
    let mut follower = Follower::new(exact(&["quiet", "noisy"]), Start::Earliest);
    follower.config.read_limits.records_max = 1;
    follower.read(&server, usize::MAX).await;
    follower.cut();
    while follower.events() < 2 {
        follower.read(&server, usize::MAX).await;
    }
    assert_eq!(follower.seen[0], Seen::Cursor { id: cursor(&log, 0, 4) });
    // But of what goes while it reads.
    publish(&log, &["noisy"]).await;
    while follower.data().last() != Some(&"7") {
        follower.read(&server, usize::MAX).await;
    }
    assert_eq!((follower.data().join(" "), follower.gaps().len()), ("1 3 6 7".to_owned(), 1));
    assert_eq!(follower.gaps()[0]["requested"], cursor(&log, 4, 0));
}

async fn a_place_that_is_not_known_is_one_gap_with_what_was_trimmed(path: Path) {
    let log = log_with(vec![rule(Matcher::Exact(topic("noisy")), 1)], usize::MAX, 1 << 20);
    publish(&log, &["quiet", "noisy", "quiet", "noisy", "noisy", "quiet"]).await;
    let fanout = fanout(&log);
    let server = path.serve(&fanout);
    let ahead = [cursor(&log, 7, 0), cursor(&log, 2, 7)];
    for id in [&ahead[0], &ahead[1], "never published", "#zzz-1"] {
        for cut_bytes in 1.. {
            let mut follower = Follower::new(exact(&["quiet", "noisy"]), Start::Latest);
            let cut = resume_with_a_cut(&mut follower, &log, &server, id, cut_bytes).await;
            assert_eq!(follower.data(), ["1", "3", "5", "6"], "{id} {cut_bytes}");
            assert_eq!(follower.gaps().len(), 1, "{id} cut after {cut_bytes} bytes");
            assert_ne!(follower.gaps()[0]["reason"], "trimmed");
            assert_eq!(follower.gaps()[0]["resumes_after"], cursor(&log, 0, 4));
            if !cut {
                break;
            }
        }
    }
}

async fn after_a_gap_in_the_middle_a_stream_may_go_on_from_now(path: Path) {
    let log = log_with(vec![rule(Matcher::Exact(topic("noisy")), 1)], usize::MAX, 1 << 20);
    publish(&log, &["quiet", "noisy", "quiet", "noisy"]).await;
    let fanout = fanout(&log);
    let server = path.serve(&fanout);
    let mut follower = Follower::new(exact(&["quiet", "noisy"]), Start::Latest);
    follower.config.on_gap = OnGap::Latest;
    follower.set_last_event_id(&cursor(&log, 0, 0));
    follower.read(&server, usize::MAX).await;
    assert_eq!(follower.gaps()[0]["resumes_after"], cursor(&log, 4, 0));
    publish(&log, &["noisy"]).await;
    follower.read(&server, usize::MAX).await;
    assert_eq!((follower.data(), follower.seen.len()), (vec!["5"], 2));
}

/// What was published, by offset.
type Published = Vec<Vec<Topic>>;

/// Goes over what a follower saw, and fails where something is missing in silence, told twice, or
/// told without a loss.
fn check(follower: &Follower, filter: &Filter, published: &Published, log: &MemoryLog) {
    let epoch = log.bounds().epoch;
    let matching = |range: Range<u64>| {
        range.filter(|&offset| {
            published[offset as usize - 1].iter().any(|topic| filter.matches_topic(topic))
        })
    };
    // What the present id says was told, and what ever was.
    let (mut place, mut told, mut told_ever) = (None, 0, 0);
    let mut trimmed: Vec<Range<u64>> = Vec::new();
    let mut has_own_id = false;
    for (at, seen) in follower.seen.iter().enumerate() {
        let wrong = |what: &str| -> ! { panic!("{what}: {seen:?}, {at} of {:?}", follower.seen) };
        let found = Cursor::parse(seen.id());
        if let Some(cursor) = found
            && cursor.epoch != epoch
        {
            wrong("another epoch");
        }
        let to = match (seen, found) {
            (Seen::Event { data, .. }, _) => data.split(' ').next().unwrap().parse().unwrap(),
            (_, Some(cursor)) => cursor.offset.0,
            (_, None) => wrong("a notice without a cursor"),
        };
        let is_event = matches!(seen, Seen::Event { .. });
        if std::mem::replace(&mut has_own_id, found.is_none()) && !is_event {
            // It may have come back with an id of the publisher's, cut off right behind it.
            let is_gap = seen.gap().is_some();
            told = found.filter(|_| !is_gap).map_or(0, |cursor| cursor.told().0).min(told);
            // Then it may get what it was told of all the same: the tail still has it.
            let is_past = |lost: &Range<u64>| lost.end <= told.max(place.unwrap_or(0)) + 1;
            trimmed.retain(is_past);
        }
        match seen {
            Seen::Gap { notice, .. } => {
                let mark = found.map_or(0, |cursor| cursor.told().0.max(cursor.offset.0));
                if notice["reason"] == "trimmed" {
                    if mark <= told || place.is_some_and(|place| mark <= place) {
                        wrong("told twice");
                    }
                    if follower.config.on_gap == OnGap::Oldest {
                        trimmed.push(place.unwrap_or(0)..mark + 1);
                    }
                } else if notice["reason"] == "unknown_id" {
                    // It goes on from the oldest, and events repeat.
                    place = None;
                } else {
                    wrong("a notice of another reason");
                }
                told = told.max(mark);
            }
            _ if place.is_none() => told = told.max(found.map_or(0, |cursor| cursor.told().0)),
            _ => {}
        }
        if let Some(found) = found {
            let expected = Cursor::new(epoch, Offset(to)).with_told(Offset(told));
            if found != expected {
                wrong(&format!("not {expected}"));
            }
        }
        let from = place.unwrap_or(to);
        told_ever = told.max(told_ever);
        let is_event = u64::from(is_event);
        if to < from + is_event && place.is_some() {
            wrong("back again");
        }
        // An event's own place is not passed, it is had.
        if let Some(missed) =
            matching(from + 1..to + 1 - is_event).find(|missed| *missed > told_ever)
        {
            wrong(&format!("{missed} is missing in silence"));
        }
        place = Some(to);
    }
    // Something was lost before each mark, and after the place that was told.
    let had: Vec<u64> = follower
        .data()
        .iter()
        .map(|data| data.split(' ').next().unwrap().parse().unwrap())
        .collect();
    for range in trimmed {
        let lost = matching(range.start + 1..range.end)
            .any(|offset| !had.contains(&offset) || published[offset as usize - 1].len() > 1);
        assert!(lost, "an alarm without a loss: {range:?}");
    }
}

async fn whatever_is_missing_was_told_once_and_before_the_stream_passed_it(path: Path) {
    let seeds = match std::env::var("TIDINGS_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("TIDINGS_TEST_SEED is a u64")],
        Err(_) => {
            let seeds = if path == Path::Body { 300 } else { 40 };
            (0..seeds).map(|_| rand::random()).collect::<Vec<u64>>()
        }
    };
    let (mut gaps, mut cuts) = (0, 0);
    for seed in seeds {
        println!("replay with TIDINGS_TEST_SEED={seed}");
        let (more_gaps, more_cuts) = run(path, seed).await;
        gaps += more_gaps;
        cuts += more_cuts;
    }
    // With one seed alone it may be none.
    assert!(gaps + cuts == 0 || gaps > 0 && cuts > 0, "{gaps} notices, {cuts} cuts");
}

async fn run(path: Path, seed: u64) -> (usize, usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let rules = vec![
        rule(Matcher::Exact(topic("noisy/0")), random.random_range(1..4)),
        rule(pattern("noisy/*"), random.random_range(1..12)),
    ];
    let records_max = [40, 400][random.random_range(0..2)];
    let feed_bytes_max = [2_000, 1 << 20][random.random_range(0..2)];
    let log = log_with(rules, records_max, feed_bytes_max);
    let tail_bytes_max = [1, 3_000, 30_000][random.random_range(0..3)];
    let fanout = Fanout::start(log.clone(), FanoutConfig { tail_bytes_max, ..Default::default() });
    let server = match path {
        Path::Body => path.serve(&fanout),
        Path::Engine => {
            let (narrow, head_bytes) = (random.random(), random.random_range(0..100));
            Wires::new(&fanout, Way { narrow, head_bytes, ..Way::default() }).into()
        }
    };
    let filter = match random.random_range(0..4) {
        0 => Filter::everything(),
        1 => Filter::new([pattern("noisy/*"), Matcher::Exact(topic("quiet/1"))]),
        2 => exact(&["noisy/0", "quiet/0"]),
        _ => exact(&["quiet/0", "quiet/1", "noisy/1"]),
    };
    let own_ids = random.random_bool(0.3);
    let start = if random.random() { Start::Latest } else { Start::Earliest };
    let mut follower = Follower::new(filter.clone(), start);
    follower.config.read_limits.records_max = random.random_range(1..20);
    if path == Path::Engine {
        // What comes meanwhile finds the stream in any state.
        follower.patience = Some(Duration::from_millis(random.random_range(1..3)));
    }
    if random.random_bool(0.2) {
        follower.config.on_gap = OnGap::Latest;
    }
    let mut published = Published::new();
    let mut batch = |random: &mut StdRng| {
        let records = (0..random.random_range(1..12)).map(|_| {
            let kind = ["noisy", "noisy", "noisy", "quiet"][random.random_range(0..4)];
            let name = format!("{kind}/{}", random.random_range(0..3));
            let number = published.len() + 1;
            let fill = "x".repeat(random.random_range(0..60));
            let mut record = NewRecord::new(topic(&name), format!("{number} {fill}"));
            if random.random_bool(0.1) && name != "quiet/1" {
                record.topics.push(topic("quiet/1"));
            }
            if own_ids && random.random_bool(0.3) {
                record.id = Some(PublisherId::new(format!("id {number}")).unwrap());
            }
            published.push(record.topics.to_vec());
            record
        });
        Batch::new(records.collect())
    };
    for _ in 0..random.random_range(0..20) {
        log.append(batch(&mut random)).await.unwrap();
    }
    let mut cuts = 0;
    for _ in 0..60 {
        for _ in 0..random.random_range(0..4) {
            log.append(batch(&mut random)).await.unwrap();
        }
        let cut_after = random.random_range(1..1_500);
        let mut taken = 0;
        while taken < cut_after {
            let more = follower.read(&server, cut_after - taken).await;
            taken += more;
            // A publisher's own id that was trimmed is not known, and told as such.
            if more < 10 || random.random_bool(0.3) {
                break;
            }
        }
        if random.random_bool(0.5) {
            let id = follower.last_event_id();
            // Cut off between such an event and the cursor behind it, it would be told again.
            if id.starts_with('#') {
                follower.cut();
                cuts += 1;
            }
        }
    }
    // The last one is for everybody, and has no id of its own.
    let topics = ["quiet/0", "quiet/1", "noisy/0", "noisy/1"].map(topic);
    published.push(topics.to_vec());
    let end = published.len().to_string();
    let mut record = NewRecord::new(topic("quiet/0"), end.clone());
    record.topics = topics.into_iter().collect();
    log.append(record.into()).await.unwrap();
    let is_at_end = |follower: &Follower| {
        // After a gap it may go on from the end.
        let place = Cursor::parse(follower.last_event_id());
        place.is_some_and(|cursor| cursor.offset.to_string() == end)
    };
    follower.patience = None;
    for _ in 0..10_000 {
        if is_at_end(&follower) {
            break;
        }
        follower.read(&server, usize::MAX).await;
    }
    assert!(is_at_end(&follower), "it stands at {}", follower.last_event_id());
    check(&follower, &filter, &published, &log);
    (follower.gaps().len(), cuts)
}

/// The shared tail also has what a rule has trimmed; who asks for all there is gets no more than
/// that.
async fn earliest_gets_what_the_rule_keeps_and_no_other(path: Path) {
    let log = log_with(vec![rule(Matcher::Exact(topic("noisy")), 1)], usize::MAX, 1 << 20);
    let fanout = fanout(&log);
    let server = path.serve(&fanout);
    publish(&log, &["quiet", "noisy", "noisy", "noisy"]).await;
    for start in [Start::Earliest, Start::After("unknown".to_owned())] {
        let mut follower = Follower::new(exact(&["noisy"]), start);
        while follower.events() == 0 {
            follower.read(&server, usize::MAX).await;
        }
        assert_eq!(follower.data(), ["4"]);
    }
}
