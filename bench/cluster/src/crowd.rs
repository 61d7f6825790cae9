//! A crowd of subscribers, in a process of its own, as a process may open so many descriptors only.
//!
//! The subscribers are bare sockets with buffers as small as they can be, and one thread reads all
//! of them. Every event is to come to each of them once, in its order and as it was published.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
    fd::OwnedFd,
    net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

use crate::{Failure, http, hub::prepare, payload, stream::Reader};

/// The first argument with which this program is a crowd.
pub const CROWD: &str = "crowd";

/// What a crowd tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Word {
    /// All streams are open.
    Open,
    /// The last of them has this event, at this moment by [`payload::now`].
    Event { number: u64, nanos: u64 },
    /// What came to whom.
    End(Counts),
    /// It gave up.
    Failed(String),
}

/// What came to a crowd.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    pub deliveries: u64,
    /// Events that a subscriber did not get, of those before its last one and after it.
    pub missing: u64,
    /// How many deliveries took so long: see [`bucket`].
    pub latencies: Vec<(u32, u64)>,
}

/// A crowd's process, which ends when this is dropped.
pub struct Crowd {
    child: Child,
    words: mpsc::UnboundedReceiver<Word>,
}

impl Crowd {
    /// Has so many subscribers follow a hub, who are to get so many events. Crowds of different
    /// numbers come from different addresses, as there are too few ports at one.
    pub fn start(
        number: usize,
        hub: SocketAddr,
        subscribers: usize,
        events: u64,
    ) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CROWD)
            .args([number.to_string(), hub.to_string()])
            .args([subscribers.to_string(), events.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("it has no standard output")?;
        // Unbounded, and as many as there are events.
        let (sender, words) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let word = serde_json::from_str(&line);
                let word = word.unwrap_or_else(|error| Word::Failed(error.to_string()));
                if sender.send(word).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, words })
    }

    /// Waits until all its streams are open.
    pub async fn open(&mut self) -> Result<(), Failure> {
        match self.word(OPEN_WITHIN).await? {
            Word::Open => Ok(()),
            word => Err(format!("a crowd told {word:?} before it was open").into()),
        }
    }

    /// When the last subscriber got the event of this number, which is told of one after the other.
    pub async fn has(&mut self, event: u64) -> Result<u64, Failure> {
        match self.word(EVENT_WITHIN).await? {
            Word::Event { number, nanos } if number == event => Ok(nanos),
            word => Err(format!("a crowd told {word:?} instead of event {event}").into()),
        }
    }

    /// Ends it, and says what came.
    pub async fn end(mut self) -> Result<Counts, Failure> {
        drop(self.child.stdin.take());
        loop {
            if let Word::End(counts) = self.word(EVENT_WITHIN).await? {
                return Ok(counts);
            }
        }
    }

    async fn word(&mut self, within: Duration) -> Result<Word, Failure> {
        match timeout(within, self.words.recv()).await {
            Err(_) => Err(format!("a crowd told nothing within {within:?}").into()),
            Ok(None) => Err("a crowd ended".into()),
            Ok(Some(Word::Failed(cause))) => Err(cause.into()),
            Ok(Some(word)) => Ok(word),
        }
    }
}

/// In which step a latency is: each is a fiftieth longer than the last.
pub fn bucket(nanos: u64) -> u32 {
    ((nanos.max(1_000) as f64 / 1e3).ln() / STEP.ln()) as u32
}

/// The milliseconds that a part of the deliveries did not exceed.
pub fn percentile_ms(counts: &[Counts], part: f64) -> f64 {
    let mut all = std::collections::BTreeMap::<u32, u64>::new();
    for &(bucket, count) in counts.iter().flat_map(|counts| &counts.latencies) {
        *all.entry(bucket).or_default() += count;
    }
    let mut left = (all.values().sum::<u64>() as f64 * part).ceil() as u64;
    for (bucket, count) in all {
        if count >= left {
            return STEP.powf(f64::from(bucket) + 0.5) / 1e3;
        }
        left -= count;
    }
    f64::NAN
}

/// Is a crowd, until its standard input ends.
pub fn run(arguments: &[String]) -> Result<(), Failure> {
    if let Err(failure) = prepare().and_then(|()| gather(arguments)) {
        tell(&Word::Failed(failure.to_string()))?;
    }
    Ok(())
}

fn gather(arguments: &[String]) -> Result<(), Failure> {
    let [number, hub, count, events] = arguments else {
        return Err("a crowd needs a number, a hub, a count and how many events".into());
    };
    let (number, hub): (u8, SocketAddr) = (number.parse()?, hub.parse()?);
    let count: usize = count.parse()?;
    let mut gathering = Gathering {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        subscribers: Vec::with_capacity(count),
        open: 0,
        events: vec![0; events.parse()?],
        all: count,
        counts: Counts::default(),
        latencies: vec![0; BUCKETS],
        buffer: vec![0; 64 << 10],
        is_told_to_end: false,
    };
    epoll::add(&gathering.epoll, std::io::stdin(), EventData::new_u64(STDIN), EventFlags::IN)?;
    let deadline = Instant::now() + OPEN_WITHIN;
    while gathering.open < count {
        if Instant::now() > deadline {
            return Err(format!("{} of {count} streams are open", gathering.open).into());
        }
        let unopened = gathering.subscribers.len() - gathering.open;
        if gathering.subscribers.len() < count && unopened < OPENING_MAX {
            let at = gathering.subscribers.len();
            let source = Ipv4Addr::new(127, 0, 1 + number, 1 + (at % SOURCES) as u8);
            gathering.add(source, hub)?;
            // Answers are read as they come.
            if at % 16 != 0 {
                continue;
            }
        }
        gathering.read(Duration::from_millis(1))?;
    }
    tell(&Word::Open)?;
    while !gathering.is_told_to_end {
        gathering.read(Duration::from_secs(1))?;
    }
    tell(&Word::End(gathering.ended()))
}

/// A crowd as it is in its process.
struct Gathering {
    epoll: OwnedFd,
    subscribers: Vec<Subscriber>,
    open: usize,
    /// How many have each event.
    events: Vec<usize>,
    all: usize,
    counts: Counts,
    latencies: Vec<u64>,
    buffer: Vec<u8>,
    is_told_to_end: bool,
}

struct Subscriber {
    socket: TcpStream,
    reader: Reader,
    next: u64,
}

impl Gathering {
    fn add(&mut self, source: Ipv4Addr, hub: SocketAddr) -> Result<(), Failure> {
        let flags = SocketFlags::CLOEXEC;
        let tcp = Some(ipproto::TCP);
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, tcp)?;
        // The least that the kernel gives.
        sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES)?;
        sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES)?;
        rustix::net::bind(&socket, &SocketAddr::from((source, 0)))?;
        // On loopback it waits for nobody, as the backlog is longer than what opens at once.
        rustix::net::connect(&socket, &hub)?;
        let mut socket = TcpStream::from(socket);
        socket.write_all(http::request(hub).as_bytes())?;
        socket.set_nonblocking(true)?;
        let data = EventData::new_u64(self.subscribers.len() as u64);
        epoll::add(&self.epoll, &socket, data, EventFlags::IN)?;
        self.subscribers.push(Subscriber { socket, reader: Reader::default(), next: 0 });
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<(), Failure> {
        let mut ready = Vec::with_capacity(1_024);
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let spare = rustix::buffer::spare_capacity(&mut ready);
        match epoll::wait(&self.epoll, spare, Some(&wait)) {
            Err(error) if error != rustix::io::Errno::INTR => return Err(error.into()),
            _ => {}
        }
        for event in ready {
            match event.data.u64() {
                STDIN => self.is_told_to_end = true,
                at => self.read_one(at as usize)?,
            }
        }
        Ok(())
    }

    fn read_one(&mut self, at: usize) -> Result<(), Failure> {
        let Self { subscribers, buffer, events, all, counts, latencies, open, .. } = self;
        let Subscriber { socket, reader, next } = &mut subscribers[at];
        let bytes = match socket.read(buffer) {
            Ok(0) => return Err(format!("the stream of subscriber {at} ended").into()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = payload::now();
        let was_open = reader.is_open();
        let mut wrong = None;
        reader.read(&buffer[..bytes], |payload| {
            let said = payload::decode(payload).filter(|said| said.number >= *next);
            let Some((said, has_it)) = said
                .and_then(|said| Some((said, events.get_mut(usize::try_from(said.number).ok()?)?)))
            else {
                wrong.get_or_insert(String::from_utf8_lossy(payload).into_owned());
                return;
            };
            counts.missing += said.number - *next;
            *next = said.number + 1;
            counts.deliveries += 1;
            let step = bucket(now.saturating_sub(said.nanos)) as usize;
            latencies[step.min(BUCKETS - 1)] += 1;
            *has_it += 1;
            if has_it == all {
                // Whether it is heard is seen by who waits for it.
                let _ = tell(&Word::Event { number: said.number, nanos: now });
            }
        })?;
        if let Some(wrong) = wrong {
            return Err(format!("subscriber {at} expected event {next} and got {wrong:?}").into());
        }
        *open += usize::from(reader.is_open() && !was_open);
        Ok(())
    }

    fn ended(mut self) -> Counts {
        let all = self.events.len() as u64;
        self.counts.missing += self.subscribers.iter().map(|one| all - one.next).sum::<u64>();
        let steps = (0..).zip(self.latencies);
        self.counts.latencies = steps.filter(|(_, count)| *count > 0).collect();
        self.counts
    }
}

fn tell(word: &Word) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    output.flush()?;
    Ok(())
}

const OPEN_WITHIN: Duration = Duration::from_secs(300);
const EVENT_WITHIN: Duration = Duration::from_secs(60);
/// Streams that are asked for and not open yet.
const OPENING_MAX: usize = 256;
/// Addresses that a crowd comes from, each of which has some 28,000 ports.
const SOURCES: usize = 4;
const SOCKET_BYTES: usize = 2_048;
const STDIN: u64 = u64::MAX;
const STEP: f64 = 1.02;
const BUCKETS: usize = 1_200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_fiftieth() {
        let one = |ms: u64| (bucket(ms * 1_000_000), 1);
        let counts = Counts { latencies: (1..=100).map(one).collect(), ..Counts::default() };
        for (part, ms) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = percentile_ms(std::slice::from_ref(&counts), part);
            assert!((found / ms - 1.0).abs() < 0.03, "{part}: {found}");
        }
    }
}
