//! The servers' processes: each on a core of its own, and gone when the bench is.

use std::cell::OnceCell;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, setrlimit};
use rustix::thread::CpuSet;

use crate::load::Failure;

/// A server's process with its children, which ends when this is dropped.
pub struct Process {
    child: Child,
    /// Its own and its children's, once somebody has asked: none starts any later.
    pids: OnceCell<Vec<u32>>,
}

/// What a server's processes hold in memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident and the processes' own, shared memory included.
    pub user_bytes: u64,
    /// The kernel's objects, of everything on this machine.
    pub slab_bytes: u64,
}

impl Process {
    /// Starts `program` on the servers' core, by way of [`launch`].
    pub fn start(program: &Path, arguments: &[&str]) -> io::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg(LAUNCH)
            .arg(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { child, pids: OnceCell::new() })
    }

    /// The first line of standard output that `find` makes something of.
    pub fn find_in_output<T>(&mut self, find: impl FnMut(&str) -> Option<T>) -> io::Result<T> {
        find_line(self.child.stdout.take(), find)
    }

    /// The same of standard error.
    pub fn find_in_errors<T>(&mut self, find: impl FnMut(&str) -> Option<T>) -> io::Result<T> {
        find_line(self.child.stderr.take(), find)
    }

    /// The CPU time of all threads so far.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut nanos = 0;
        for pid in self.pids() {
            for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let path = task?.path().join("schedstat");
                // A thread may have ended in the meantime.
                let Ok(text) = std::fs::read_to_string(path) else { continue };
                let first = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
                nanos += first.ok_or_else(|| io::Error::other("/proc has no schedstat"))?;
            }
        }
        Ok(Duration::from_nanos(nanos))
    }

    pub fn memory(&self) -> io::Result<Memory> {
        let (mut own, mut shared) = (0, 0);
        for pid in self.pids() {
            own += kib_of(&format!("/proc/{pid}/smaps_rollup"), "Anonymous:")?;
            // The same memory in each process.
            shared = shared.max(kib_of(&format!("/proc/{pid}/status"), "RssShmem:")?);
        }
        Ok(Memory {
            user_bytes: (own + shared) << 10,
            slab_bytes: kib_of("/proc/meminfo", "Slab:")? << 10,
        })
    }

    fn pids(&self) -> &[u32] {
        self.pids.get_or_init(|| {
            let pid = self.child.id();
            let mut pids = children(pid);
            pids.push(pid);
            pids
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let children = children(self.child.id());
        // Only one that has children of its own has to be asked, as it must end them.
        if !children.is_empty() {
            signal(self.child.id(), Signal::TERM);
            let begin = Instant::now();
            while begin.elapsed() < LEAVE_TIME_MAX && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            for pid in children {
                if parent(pid) == Some(self.child.id()) {
                    signal(pid, Signal::KILL);
                }
            }
        }
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the servers are started by: pins this process, has it end with its parent, lets it open as
/// many files as it may, and becomes the server.
pub fn launch(arguments: &[String]) -> Failure {
    let [program, arguments @ ..] = arguments else {
        return "there is nothing to launch".into();
    };
    let prepared = pin(SERVERS_CORE).and_then(|()| {
        // The parent has a chance to end its own children at this one.
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
        more_files()
    });
    match prepared {
        Ok(()) => Command::new(program).args(arguments).exec().into(),
        Err(error) => error.into(),
    }
}

/// Binds this thread to a core, and what it starts.
pub fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}

/// Allows as many open files as the system does, as each connection has one.
pub fn more_files() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn find_line<T>(
    output: Option<impl Read + Send + 'static>,
    mut find: impl FnMut(&str) -> Option<T>,
) -> io::Result<T> {
    let mut lines = BufReader::new(output.ok_or(io::ErrorKind::BrokenPipe)?).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next().transpose()? {
        if let Some(found) = find(&line) {
            // Whatever else it says must not hold it up.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(found);
        }
        seen.push(line);
        if seen.len() > LINES_MAX {
            break;
        }
    }
    Err(io::Error::other(format!("a server did not start: {}", seen.join("\n"))))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may have anything in it.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has ended needs none.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn kib_of(path: &str, name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}

/// The first argument with which this program calls itself for a server.
pub const LAUNCH: &str = "launch";
const SERVERS_CORE: usize = 0;
/// The core that the load has.
pub const LOADS_CORE: usize = 1;
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);
const LINES_MAX: usize = 100;
