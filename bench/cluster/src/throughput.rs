//! How many events a second go from a publisher to a receiver.

use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Failure, Setting,
    contender::{Contender, Kind, Message},
    figures::{Bar, Bound, grouped_spread, median, table},
    payload,
    stage::Stage,
};

/// How much goes at once.
struct Form {
    name: &'static str,
    /// Events of a message.
    events: u64,
    /// Messages that are not taken yet.
    in_flight: usize,
    /// What each of [`LIKE`] must reach, if anything.
    bar: Option<f64>,
}

const FORMS: [Form; 2] = [
    Form { name: "batches of 100, 64 in flight", events: 100, in_flight: 64, bar: Some(0.7) },
    Form { name: "single events, 256 in flight", events: 1, in_flight: 256, bar: None },
];

/// What is compared with what: as many consumers of the stream on either side.
const LIKE: [(Kind, Kind); 2] = [(Kind::OneLog, Kind::Bare), (Kind::Clustered, Kind::BareTwice)];

/// Measures all, prints them, and says whether the bars are met.
pub async fn measure(stage: &mut Stage, setting: &Setting) -> Result<bool, Failure> {
    let mut kinds = vec![Kind::Bare, Kind::BareTwice, Kind::OneLog, Kind::Clustered];
    if stage.nodes() == 1 {
        kinds.extend([Kind::Memory, Kind::Disk]);
    }
    let rounds = if setting.quick { 2 } else { 7 };
    let mut found = vec![vec![Vec::new(); kinds.len()]; FORMS.len()];
    for round in 0..rounds {
        for (form, found) in FORMS.iter().zip(&mut found) {
            eprintln!("{}: {}, round {} of {rounds}", stage.name(), form.name, round + 1);
            // Another begins in each round.
            for turn in 0..kinds.len() {
                let at = (round + turn) % kinds.len();
                let stream = format!("throughput-{round}-{}-{at}", form.events);
                found[at].push(one(kinds[at], form, stage, &stream, setting.quick).await?);
            }
        }
    }
    println!("\n### {}: events a second until another has them all\n", stage.name());
    let mut is_met = true;
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for (form, found) in FORMS.iter().zip(&found) {
        for (kind, rates) in kinds.iter().zip(found) {
            rows.push(vec![
                format!("{}: {}", form.name, kind.name()),
                grouped_spread(rates),
                format!("{:.2}", ratio(rates, &found[0])),
            ]);
        }
        for (kind, to) in LIKE {
            let of = |kind| kinds.iter().zip(found).find(|(other, _)| **other == kind);
            if let (Some(bar), Some((_, rates)), Some((_, likes))) = (form.bar, of(kind), of(to)) {
                bars.push(Bar {
                    what: format!(
                        "{}: {}, {} to {}",
                        stage.name(),
                        form.name,
                        kind.name(),
                        to.name()
                    ),
                    value: ratio(rates, likes),
                    bound: Bound::AtLeast(bar),
                });
            }
        }
    }
    table(&["", "events a second", "to bare"], &rows);
    println!();
    for bar in bars {
        is_met &= bar.judge();
    }
    Ok(is_met)
}

/// The median of what is to what in the same round.
fn ratio(rates: &[f64], to: &[f64]) -> f64 {
    median(&rates.iter().zip(to).map(|(rate, to)| rate / to).collect::<Vec<_>>())
}

/// Events a second of one contender.
async fn one(
    kind: Kind,
    form: &Form,
    stage: &mut Stage,
    stream: &str,
    quick: bool,
) -> Result<f64, Failure> {
    let mut contender = Contender::start(kind, stage, stream, None).await?;
    let count = match (form.events, quick) {
        (1, true) => 10_000,
        (1, false) => 50_000,
        (_, true) => 100_000,
        (_, false) => 400_000,
    };
    // The first ones warm up.
    let warm = count / 10;
    run(&mut contender, form, 0, warm).await?;
    let messages = messages(&contender, form, warm, count);
    let begin = Instant::now();
    send(&contender, form, messages).await?;
    contender.has(count).await?;
    let rate = (count - warm) as f64 / begin.elapsed().as_secs_f64();
    contender.close(stage).await?;
    Ok(rate)
}

async fn run(contender: &mut Contender, form: &Form, from: u64, to: u64) -> Result<(), Failure> {
    send(contender, form, messages(contender, form, from, to)).await?;
    contender.has(to).await
}

/// Made before the clock runs.
fn messages(contender: &Contender, form: &Form, from: u64, to: u64) -> Vec<Message> {
    let message = |first: u64| {
        let numbers = first..(first + form.events).min(to);
        let payloads: Vec<_> = numbers.map(|number| payload::encode(number, 0)).collect();
        contender.sender.message(&payloads)
    };
    (from..to).step_by(form.events as usize).map(message).collect()
}

/// Hands all in, so many at once.
async fn send(contender: &Contender, form: &Form, messages: Vec<Message>) -> Result<(), Failure> {
    let sends = messages.into_iter().map(|message| {
        let sender = contender.sender.clone();
        async move { sender.send(message).await }
    });
    stream::iter(sends).buffer_unordered(form.in_flight).try_collect::<()>().await
}
