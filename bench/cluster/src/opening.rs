//! How long a hub takes to read what the stream holds, and what that takes on the server's disk.

use std::{
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidings_hub::nats::{NatsLog, Options};
use tidings_server::{
    log::{Log as _, Retention},
    record::NewRecord,
    topic::Topic,
};
use tokio::time::{interval, timeout};

use crate::{
    Failure, Setting,
    figures::{grouped, spread, table},
    payload::{self, PAYLOAD_BYTES},
    stage::Stage,
};

/// Below what goes together: each event is a message of its own.
const IN_FLIGHT: usize = 15;
/// One of so many is kept in the end.
const KEPT_PART: u64 = 100;
const CLEARED_WITHIN: Duration = Duration::from_secs(300);

/// Measures and prints it.
pub async fn measure(stage: &mut Stage, setting: &Setting) -> Result<bool, Failure> {
    let counts: &[u64] = if setting.quick { &[20_000] } else { &[100_000, 1_000_000] };
    let mut rows = Vec::new();
    for &count in counts {
        let parts = [
            ("all kept", count * 2, count),
            ("a hundredth kept, after checkpoints", count / KEPT_PART, count / KEPT_PART),
        ];
        for (at, (what, records_max, kept)) in parts.into_iter().enumerate() {
            let name = format!("opening-{count}-{at}");
            let mut options = stage.options(&name, &stage.urls()[0])?;
            let records_max = usize::try_from(records_max)?;
            options.retention =
                Retention { records_max, bytes_max: u64::MAX, ..Retention::default() };
            options.clear_after = Duration::ZERO;
            eprintln!("appending {count} events, {what}");
            let before = stage.disk_bytes();
            let log = fill(&options, count).await?;
            if kept < count {
                cleared(stage, &name, count / 2).await?;
            }
            log.close().await;
            let row = Row::of(stage, &options, kept, before).await?;
            rows.push(row.cells(count, what));
            stage.delete_stream(&name).await?;
        }
    }
    println!("\n### {}: opening the log, single events of 100 bytes\n", stage.name());
    let heads = [
        "events appended",
        "messages",
        "opening, ms",
        "bytes of data kept, MB",
        "bytes of messages, MB",
        "server's disk, MB",
    ];
    table(&heads, &rows);
    Ok(true)
}

struct Row {
    messages: u64,
    opening_ms: Vec<f64>,
    kept: u64,
    message_bytes: u64,
    disk_bytes: u64,
}

impl Row {
    /// Opens the log three times, and sees that it has what is kept.
    async fn of(
        stage: &Stage,
        options: &Options,
        kept: u64,
        disk_before: u64,
    ) -> Result<Self, Failure> {
        let mut opening_ms = Vec::new();
        for _ in 0..3 {
            let begin = Instant::now();
            let log = NatsLog::open(options.clone()).await?;
            opening_ms.push(begin.elapsed().as_secs_f64() * 1e3);
            let records = log.state().records as u64;
            log.close().await;
            if records != kept {
                return Err(format!("{records} events are in the log, and {kept} should be").into());
            }
        }
        let (messages, message_bytes) = stage.held(options.site.stream.as_str()).await?;
        let disk_bytes = stage.disk_bytes().saturating_sub(disk_before);
        Ok(Self { messages, opening_ms, kept, message_bytes, disk_bytes })
    }

    fn cells(&self, appended: u64, what: &str) -> Vec<String> {
        let mega = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        vec![
            format!("{}, {what}", grouped(appended as f64)),
            grouped(self.messages as f64),
            spread(&self.opening_ms, 0),
            mega(self.kept * PAYLOAD_BYTES as u64),
            mega(self.message_bytes),
            mega(self.disk_bytes),
        ]
    }
}

async fn fill(options: &Options, count: u64) -> Result<NatsLog, Failure> {
    let log = NatsLog::open(options.clone()).await?;
    let topic = Topic::new("bench")?;
    let appends = (0..count).map(|number| {
        let record = NewRecord::new(topic.clone(), payload::encode(number, 0));
        log.append(record.into())
    });
    let taken = stream::iter(appends).buffer_unordered(IN_FLIGHT);
    taken.try_for_each(|_| async { Ok(()) }).await?;
    Ok(log)
}

/// Waits until the stream holds no more than so many messages.
async fn cleared(stage: &Stage, stream: &str, messages_max: u64) -> Result<(), Failure> {
    let cleared = async {
        let mut looks = interval(Duration::from_millis(100));
        loop {
            looks.tick().await;
            if stage.held(stream).await?.0 <= messages_max {
                return Ok(());
            }
        }
    };
    timeout(CLEARED_WITHIN, cleared)
        .await
        .unwrap_or_else(|_| Err(format!("nothing was deleted within {CLEARED_WITHIN:?}").into()))
}

/// Bytes that a directory takes on the disk.
pub fn disk_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        // The server has deleted it meanwhile.
        Err(_) => 0,
    });
    bytes.sum()
}
