//! One process, in the hands of the test.

use std::{
    path::Path,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::{
    deadline::{DEADLINE, until},
    guard::Guard,
};

/// A process that can be started again, and never outlives the test.
///
/// Any process: it is what a [`Server`](crate::Server) is made of, and what stands beside it.
#[derive(Debug)]
pub struct Process {
    child: Option<Child>,
    frozen: bool,
    guard: Guard,
}

impl Process {
    /// None yet. When it is dropped the process is killed; and if the test cannot do that any more,
    /// it is done all the same and the directory deleted.
    pub fn new(directory: &Path) -> Self {
        Self { child: None, frozen: false, guard: Guard::new(directory) }
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the system says, such as that there is no such program.
    pub fn start(&mut self, command: &mut Command) -> std::io::Result<()> {
        assert!(!self.is_running(), "it runs already");
        let child = command.spawn()?;
        self.guard.watch(Some(child.id()));
        self.child = Some(child);
        self.frozen = false;
        Ok(())
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
        if ended {
            self.guard.watch(None);
            self.child = None;
        }
        self.child.is_some()
    }

    /// Its id, if it runs.
    pub fn id(&mut self) -> Option<u32> {
        self.is_running().then(|| self.child.as_ref().map(Child::id))?
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Kills it, if it runs, and waits for its end, which is at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours to kill");
            child.wait().expect("it is ours to wait for");
            self.guard.watch(None);
        }
    }

    /// Asks it to end, if it runs, and waits until it has.
    pub async fn stop(&mut self) {
        if self.is_running() {
            self.thaw();
            self.signal(Signal::TERM);
            let ended = until(async || (!self.is_running()).then_some(())).await;
            assert!(ended.is_some(), "the process did not end within {DEADLINE:?} of SIGTERM");
        }
    }

    /// Stops the time for it.
    pub fn freeze(&mut self) {
        let process = self.signal(Signal::STOP);
        // The signal takes effect a moment later. Should the process end instead, it is left to be
        // waited for as usual.
        let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(process), events).expect("it is ours to wait for");
        self.frozen = true;
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
        self.frozen = false;
    }

    fn signal(&self, signal: Signal) -> Pid {
        // Nobody has waited for it, so that the id is still its own.
        let process = Pid::from_child(self.child.as_ref().expect("it runs"));
        kill_process(process, signal).expect("it is ours to signal");
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
