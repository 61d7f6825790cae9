//! The measurements. Each is made in a process of its own, so that CPU time and memory are the
//! contender's, and each checks what was read.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::contender::{Contender, Failure, Http};
use crate::server::{self, Chunks, Order};
use crate::usage;
use crate::workload::{Check, Pass, Sum, Workload};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    /// One source that reads as fast as it can.
    FullSpeed { workload: Workload, chunks: Chunks },
    /// [`CROWD`] sources in one process, that do so at once.
    Crowd,
    /// One source that reads nothing until the server can send no more, then everything.
    Stall,
}

impl Measurement {
    /// Measures `contender` in a process of its own.
    pub fn run(self, contender: Contender, server: SocketAddr) -> Result<Figures, Failure> {
        let output = Command::new(std::env::current_exe()?)
            .args(["measure", contender.name(), &server.to_string(), &self.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{} failed at {self}", contender.name()).into());
        }
        String::from_utf8(output.stdout)?.parse()
    }

    /// Measures `contender` in this process, which has done nothing else before.
    pub async fn take(self, contender: Contender, server: SocketAddr) -> Result<Figures, Failure> {
        match self {
            Self::FullSpeed { workload, chunks } => {
                let order = Order { workload, chunks, passes: 1, held: false };
                full_speed(contender, order, server).await
            }
            Self::Crowd => crowd(contender, server).await,
            Self::Stall => stall(contender, server).await,
        }
    }
}

/// As it is given to the process that measures.
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullSpeed { workload, chunks } => {
                write!(f, "{}/{chunks}", workload.name())
            }
            Self::Crowd => f.write_str("crowd"),
            Self::Stall => f.write_str("stall"),
        }
    }
}

impl FromStr for Measurement {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text.split_once('/') {
            None if text == "crowd" => Ok(Self::Crowd),
            None if text == "stall" => Ok(Self::Stall),
            Some((workload, chunks)) => Ok(Self::FullSpeed {
                workload: Workload::named(workload).ok_or("no such workload")?,
                chunks: chunks.parse()?,
            }),
            None => Err(format!("no such measurement: {text}").into()),
        }
    }
}

/// What was found, in its own process's terms. What a measurement is not about is zero.
#[derive(Debug, Default, Clone, Copy)]
pub struct Figures {
    /// Events that the bytes read stand for.
    pub events: u64,
    pub wall: Duration,
    pub cpu: Duration,
    /// How much resident memory grew while the sources were open and read nothing.
    pub idle_growth_bytes: u64,
    /// How much it had grown at most.
    pub peak_growth_bytes: u64,
    /// What the server could write while nothing was read.
    pub offered_bytes: u64,
}

impl Figures {
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    pub fn cpu_us_per_event(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.events as f64
    }

    /// The part of the time that it had a core and did not wait for the server.
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// As the process that measured prints it.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, wall, cpu, idle_growth_bytes, peak_growth_bytes, offered_bytes } = self;
        let (wall, cpu) = (wall.as_nanos(), cpu.as_nanos());
        write!(f, "{events} {wall} {cpu} {idle_growth_bytes} {peak_growth_bytes} {offered_bytes}")
    }
}

impl FromStr for Figures {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let numbers: Vec<u64> =
            text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [events, wall, cpu, idle_growth_bytes, peak_growth_bytes, offered_bytes] = numbers[..]
        else {
            return Err(format!("these are no figures: {text}").into());
        };
        Ok(Self {
            events,
            wall: Duration::from_nanos(wall),
            cpu: Duration::from_nanos(cpu),
            idle_growth_bytes,
            peak_growth_bytes,
            offered_bytes,
        })
    }
}

/// Reads one pass and compares all of it, then some to find how many take long enough, then those.
async fn full_speed(
    contender: Contender,
    order: Order,
    server: SocketAddr,
) -> Result<Figures, Failure> {
    let pass = order.workload.pass();
    let http = Http::new(contender)?;
    let mut check = Check::new(&pass);
    http.open(&order.url(server)).await?.read(&mut check).await;
    if !check.passed(contender.parses()) {
        return Err("an event is not what was sent".into());
    }
    let mut passes = 8;
    let mut round = read(contender, &http, &pass, Order { passes, ..order }, server).await?;
    while round.wall < ROUND / 2 {
        let times = ROUND.as_secs_f64() / round.wall.as_secs_f64();
        passes = (passes as f64 * times).ceil() as u64;
        round = read(contender, &http, &pass, Order { passes, ..order }, server).await?;
    }
    Ok(round)
}

async fn read(
    contender: Contender,
    http: &Http,
    pass: &Pass,
    order: Order,
    server: SocketAddr,
) -> Result<Figures, Failure> {
    let (start, cpu) = (Instant::now(), usage::cpu());
    let mut sum = Sum::default();
    http.open(&order.url(server)).await?.read(&mut sum).await;
    let (wall, cpu) = (start.elapsed(), usage::cpu() - cpu);
    if !sum.matches(&pass.sum(order.passes), contender.parses()) {
        return Err("what was read is not what was sent".into());
    }
    Ok(Figures { events: pass.events() * order.passes, wall, cpu, ..Figures::default() })
}

async fn crowd(contender: Contender, server: SocketAddr) -> Result<Figures, Failure> {
    more_files()?;
    let order = Order { workload: Workload::Llm, chunks: CROWD_CHUNKS, passes: 1, held: true };
    let pass = order.workload.pass();
    let expected = pass.sum(order.passes);
    let http = Http::new(contender)?;
    // Whatever is made once for all sources is there before they are counted.
    drop(http.open(&order.url(server)).await?);
    let before = usage::resident()?;
    let mut sources = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        sources.push(http.open(&order.url(server)).await?);
    }
    let idle = usage::resident()?;
    let mut readers: JoinSet<Sum> = sources
        .into_iter()
        .map(|source| async move {
            let mut sum = Sum::default();
            source.read(&mut sum).await;
            sum
        })
        .collect();
    let (start, cpu) = (Instant::now(), usage::cpu());
    server::release(server)?;
    while let Some(sum) = readers.join_next().await {
        if !sum?.matches(&expected, contender.parses()) {
            return Err("what one of many read is not what was sent".into());
        }
    }
    let (wall, cpu) = (start.elapsed(), usage::cpu() - cpu);
    Ok(Figures {
        events: pass.events() * order.passes * CROWD as u64,
        wall,
        cpu,
        idle_growth_bytes: idle.now_bytes.saturating_sub(before.now_bytes),
        peak_growth_bytes: usage::resident()?.peak_bytes.saturating_sub(before.now_bytes),
        offered_bytes: 0,
    })
}

async fn stall(contender: Contender, server: SocketAddr) -> Result<Figures, Failure> {
    let order = Order { workload: Workload::Llm, chunks: STALL_CHUNKS, passes: 1, held: true };
    let pass = order.workload.pass();
    let order = Order { passes: STALL_BYTES.div_ceil(pass.stream().len() as u64), ..order };
    let http = Http::new(contender)?;
    let source = http.open(&order.url(server)).await?;
    let before = usage::resident()?;
    let written_before = server::written_bytes(server)?;
    server::release(server)?;
    let written = until_stalled(server).await?;
    let stalled = usage::resident()?;
    let mut sum = Sum::default();
    let (start, cpu) = (Instant::now(), usage::cpu());
    source.read(&mut sum).await;
    let (wall, cpu) = (start.elapsed(), usage::cpu() - cpu);
    if !sum.matches(&pass.sum(order.passes), contender.parses()) {
        return Err("what was read after the stall is not what was sent".into());
    }
    Ok(Figures {
        events: pass.events() * order.passes,
        wall,
        cpu,
        idle_growth_bytes: stalled.now_bytes.saturating_sub(before.now_bytes),
        peak_growth_bytes: usage::resident()?.peak_bytes.saturating_sub(before.now_bytes),
        offered_bytes: written - written_before,
    })
}

/// Waits until the server has not been able to write for a while. The HTTP client's own tasks run
/// in the meantime, and may read what they will.
async fn until_stalled(server: SocketAddr) -> io::Result<u64> {
    let (mut written, mut since) = (0, Instant::now());
    while since.elapsed() < STALLED {
        tokio::time::sleep(LOOK).await;
        let now = server::written_bytes(server)?;
        if now != written {
            (written, since) = (now, Instant::now());
        }
    }
    Ok(written)
}

/// Allows as many open files as the system does, as each source has one.
fn more_files() -> io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// The number of sources of [`Measurement::Crowd`].
pub const CROWD: usize = 1_000;
const CROWD_CHUNKS: Chunks = Chunks::PACKET;
/// What the server offers a stalled source.
pub const STALL_BYTES: u64 = 64 << 20;
const STALL_CHUNKS: Chunks = Chunks::LARGE;
/// A server that could write nothing for so long never will.
const STALLED: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(10);
/// How long a round at full speed takes, at least half of it.
const ROUND: Duration = Duration::from_millis(150);
