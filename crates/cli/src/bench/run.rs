//! A run from its first connection to its figures.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::endpoint::Endpoint;
use super::failure::Failure;
use super::ledger::Ledger;
use super::outcome::{
    Asked, Bar, Check, Connects, Deliveries, Outcome, Publishes, Quantiles, Streams, per_second,
};
use super::plan::Plan;
use super::progress::Progress;
use super::publisher::{Account, Press, Schedule, Until};
use super::stamp::{boot, now_nanos};
use super::subscriber::{Audience, Subscriber};
use super::tally::{Reasons, Received, Tally, Times, enter, times};
use super::timeline::Timeline;
use super::watcher::{QUIET_TIME, Watcher};
use crate::command_error::CommandError;
use crate::interrupt::interrupted;
use crate::text::public;

/// Runs `plan` against the server at `endpoint`.
///
/// # Errors
/// There is nothing to report, as not even the first subscriber got a stream.
pub(super) async fn run(plan: &Plan, endpoint: Endpoint) -> Result<Outcome, CommandError> {
    let run: u64 = rand::random();
    let publishers = if plan.publish.is_some() { Schedule::publishers(plan.rate) } else { 0 };
    let audience = Arc::new(Audience {
        endpoint,
        tally: Tally::new(),
        run: plan.publish.is_some().then_some(run),
        boot: boot(),
    });
    let began = SystemTime::now();
    let interrupt = watch_for_interrupt();
    let (stop, stopped) = watch::channel(false);

    let mut house = House { audience, tasks: JoinSet::new(), publishers, stopped };
    let connecting = house.connect(plan, interrupt.clone()).await?;
    let start_nanos = now_nanos() + START_NANOS;
    let mut timeline = Timeline::new(plan.duration, plan.rate);
    let mut accounts = Vec::new();
    if !*interrupt.borrow() {
        match plan.publish {
            Some(_) => {
                let edition = Edition { run, start_nanos, connected: connecting.connected };
                accounts = house.publish(plan, edition, &mut timeline, interrupt.clone()).await?;
            }
            None => house.listen(plan.duration, &mut timeline, interrupt.clone()).await,
        }
    }
    let ran = Duration::from_nanos(now_nanos().saturating_sub(start_nanos));

    // Copied before the connections are, which ends in a flurry.
    let audience = Arc::clone(&house.audience);
    let received = audience.tally.all_received();
    let streams = audience.tally.connections.lock().clone();
    let published = audience.tally.published.lock().clone();
    let _ = stop.send(true);
    let ledgers = house.close().await;

    // Rates are over the time that was asked for, or longer if the events took longer.
    let took = Duration::from_nanos(received.last_nanos.saturating_sub(start_nanos));
    let is_early = *interrupt.borrow();
    let time = took.max(if is_early { plan.duration.min(ran) } else { plan.duration });
    let events = if plan.publish.is_some() { received.delivered } else { received.others };
    let check = plan.publish.is_some().then(|| check(&ledgers, &accounts, &received));
    Ok(Outcome {
        version: env!("CARGO_PKG_VERSION"),
        began: humantime::format_rfc3339_seconds(began).to_string(),
        url: public(&plan.stream).to_string(),
        publish_url: plan.publish.as_ref().map(|url| public(url).to_string()),
        command: plan.command.clone(),
        asked: Asked {
            subscribers: plan.subscribers,
            events_per_second: plan.publish.is_some().then_some(plan.rate),
            data_bytes: plan.publish.is_some().then_some(plan.size),
            duration_seconds: plan.duration.as_secs_f64(),
            sentence: plan.sentence(),
        },
        interrupted: *interrupt.borrow(),
        connects: connecting,
        published: plan.publish.is_some().then(|| Publishes {
            publishers,
            scheduled: plan.events().unwrap_or_default(),
            acknowledged: published.acknowledged,
            events_per_second: per_second(published.acknowledged, time),
            answered: Quantiles::of(&published.latency),
            sent: Quantiles::of(&published.lateness),
            failed: published.failures,
            refused: accounts.iter().find_map(|account| account.refused.clone()),
        }),
        delivered: Deliveries {
            events,
            events_per_second: per_second(events, time),
            bytes: received.bytes,
            check,
            others: if plan.publish.is_some() { received.others } else { 0 },
            gaps: received.gaps,
        },
        latency: Quantiles::of(&received.latency),
        latencies: Bar::of(&received.latency),
        streams: Streams {
            broken_off: streams.lost,
            reconnected: streams.reconnects,
            given_up: streams.given_up,
        },
        timeline: timeline.into_samples(),
    })
}

/// What each subscriber should have got, against what it got.
fn check(ledgers: &[Ledger], accounts: &[Account], received: &Received) -> Check {
    let certain: u64 = accounts
        .iter()
        .map(|account| u64::from(account.sent) - account.uncertain.len() as u64)
        .sum();
    let mut check = Check {
        expected: certain * ledgers.len() as u64,
        repeated: received.repeated,
        out_of_order: received.out_of_order,
        ..Check::default()
    };
    for ledger in ledgers {
        let lost: u64 = (0..)
            .zip(accounts)
            .map(|(publisher, account)| ledger.lost(publisher, account.sent, &account.uncertain))
            .sum();
        check.lost += lost;
        check.subscribers_with_losses += u64::from(lost > 0);
    }
    check
}

/// What is published, from when on, and to how many.
struct Edition {
    run: u64,
    start_nanos: u64,
    connected: u64,
}

/// The subscribers, and those who publish to them.
struct House {
    audience: Arc<Audience>,
    tasks: JoinSet<Option<Ledger>>,
    publishers: u16,
    stopped: watch::Receiver<bool>,
}

impl House {
    /// Connects the subscribers, the first alone: a URL that is not right costs the server one
    /// request.
    async fn connect(
        &mut self,
        plan: &Plan,
        interrupt: watch::Receiver<bool>,
    ) -> Result<Connects, CommandError> {
        let began = Instant::now();
        let (opened, mut openings) = mpsc::channel(OPENINGS_MAX);
        let mut tally = Openings { head: times(), connected: 0, failed: Reasons::default() };
        let mut interrupt = std::pin::pin!(heard(interrupt));
        self.subscribe(0, opened.clone());
        tokio::select! {
            opening = openings.recv() => match opening {
                Some(Err(failure)) => return Err(CommandError::failed(failure.sentence(&plan.stream))),
                Some(opening) => tally.enter(opening),
                None => {}
            },
            () = &mut interrupt => return Err(CommandError::interrupted()),
        }
        let progress = Progress::connecting(plan.subscribers as u64);
        let pace = Instant::now();
        let mut spawned = 1;
        while tally.all() < plan.subscribers as u64 {
            let is_more = spawned < plan.subscribers;
            let due = pace + Duration::from_secs_f64(spawned as f64 / f64::from(plan.connect_rate));
            tokio::select! {
                biased;
                () = &mut interrupt => break,
                () = sleep_until(due), if is_more => {
                    self.subscribe(spawned, opened.clone());
                    spawned += 1;
                }
                Some(opening) = openings.recv() => {
                    tally.enter(opening);
                    progress.connected(tally.connected, tally.failed.total());
                }
            }
        }
        Ok(Connects {
            connected: tally.connected,
            failed: tally.failed,
            seconds: began.elapsed().as_secs_f64(),
            head: Quantiles::of(&tally.head),
        })
    }

    fn subscribe(&mut self, index: usize, opened: mpsc::Sender<Result<u64, Failure>>) {
        let audience = Arc::clone(&self.audience);
        let subscriber = Subscriber::new(audience, index, self.publishers.into());
        self.tasks.spawn(subscriber.run(opened, self.stopped.clone()));
    }

    /// Publishes to the end of the schedule or the first Ctrl-C, and waits for what is still to
    /// come.
    async fn publish(
        &self,
        plan: &Plan,
        Edition { run, start_nanos, connected }: Edition,
        timeline: &mut Timeline,
        interrupt: watch::Receiver<bool>,
    ) -> Result<Vec<Account>, CommandError> {
        let Some(url) = plan.publish.clone() else { return Ok(Vec::new()) };
        let events = plan.events().map_err(CommandError::usage)?;
        let schedule =
            Schedule { start_nanos, rate: plan.rate, events, publishers: self.publishers };
        let press = Arc::new(Press {
            client: tidings_client::default_client(&url).map_err(CommandError::failed)?,
            url,
            headers: plan.headers.clone(),
            size: plan.size,
            run,
            schedule,
            due: (0..self.publishers).map(|_| Semaphore::new(0)).collect(),
        });
        let (until, untils) = watch::channel(Until::Scheduled);
        let mut publishers = JoinSet::new();
        for publisher in 0..self.publishers {
            let (press, audience) = (Arc::clone(&press), Arc::clone(&self.audience));
            let until = untils.clone();
            publishers.spawn(async move {
                (publisher, press.publish(publisher, &audience, until).await)
            });
        }
        std::thread::Builder::new()
            .name("beat".into())
            .spawn(move || press.beat(&untils))
            .map_err(CommandError::failed)?;

        let mut watcher = Watcher::new(&self.audience, plan.duration, timeline);
        let mut accounts: Vec<Account> = Vec::new();
        accounts.resize_with(self.publishers.into(), Account::default);
        let mut interrupt = std::pin::pin!(heard(interrupt));
        let mut end = Instant::now() + plan.duration + ANSWERS_TIME_MAX;
        let (mut is_interrupted, mut is_over) = (false, false);
        // Answers first, so that it is known what is to be delivered; then deliveries.
        loop {
            tokio::select! {
                biased;
                () = &mut interrupt, if !is_interrupted => {
                    is_interrupted = true;
                    until.send_replace(Until::Answered);
                    end = end.min(Instant::now() + ANSWERS_TIME_MAX);
                }
                () = sleep_until(end), if !is_over => {
                    is_over = true;
                    until.send_replace(Until::Now);
                }
                joined = publishers.join_next() => match joined {
                    Some(Ok((publisher, account))) => {
                        if account.refused.is_some() && !is_over {
                            until.send_replace(Until::Answered);
                        }
                        accounts[usize::from(publisher)] = account;
                    }
                    Some(Err(_)) => {}
                    None => break,
                },
                () = watcher.tick() => {}
            }
        }
        until.send_replace(Until::Now);
        // Who is in a hurry does not wait for long, and who has waited enough may say so.
        let patience = if is_interrupted { QUIET_TIME } else { Duration::MAX };
        tokio::select! {
            _ = timeout(patience, watcher.wait_for_rest(&accounts, connected)) => {}
            () = &mut interrupt, if !is_interrupted => {}
        }
        watcher.finish();
        Ok(accounts)
    }

    /// Counts what comes.
    async fn listen(
        &self,
        duration: Duration,
        timeline: &mut Timeline,
        interrupt: watch::Receiver<bool>,
    ) {
        let mut watcher = Watcher::new(&self.audience, duration, timeline);
        let end = Instant::now() + duration;
        let mut interrupt = std::pin::pin!(heard(interrupt));
        loop {
            tokio::select! {
                biased;
                () = &mut interrupt => break,
                () = sleep_until(end) => break,
                () = watcher.tick() => {}
            }
        }
        watcher.finish();
    }

    /// Lets all subscribers go, and keeps what those know who ever had a stream.
    async fn close(mut self) -> Vec<Ledger> {
        let mut ledgers = Vec::new();
        while let Some(ledger) = self.tasks.join_next().await {
            ledgers.extend(ledger.ok().flatten());
        }
        ledgers
    }
}

/// How the first attempts to connect went.
struct Openings {
    head: Times,
    connected: u64,
    failed: Reasons,
}

impl Openings {
    fn enter(&mut self, opening: Result<u64, Failure>) {
        match opening {
            Ok(nanos) => {
                self.connected += 1;
                enter(&mut self.head, 0, nanos);
            }
            Err(failure) => self.failed.count(failure.to_string()),
        }
    }

    fn all(&self) -> u64 {
        self.connected + self.failed.total()
    }
}

/// Whether Ctrl-C was pressed.
fn watch_for_interrupt() -> watch::Receiver<bool> {
    let (pressed, is_pressed) = watch::channel(false);
    tokio::spawn(async move {
        interrupted().await;
        let _ = pressed.send(true);
        // Kept, so that the receivers do not take its end for the press.
        pending::<()>().await;
    });
    is_pressed
}

async fn heard(mut interrupt: watch::Receiver<bool>) {
    if interrupt.wait_for(|is_pressed| *is_pressed).await.is_err() {
        pending::<()>().await;
    }
}

/// From the decision to publish to the first event, so that nobody is late from the start.
const START_NANOS: u64 = 20_000_000;
/// How long answers are waited for after the last event was due.
const ANSWERS_TIME_MAX: Duration = Duration::from_secs(10);
/// Openings that wait to be counted.
const OPENINGS_MAX: usize = 1_000;
