//! One process, in the hands of the test.

use std::{
    path::Path,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::{Guard, deadline::until};

/// A process that can be started again, and never outlives the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Option<Child>,
    frozen: bool,
    guard: Guard,
}

impl Process {
    /// None yet; its directory is deleted in the end.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { child: None, frozen: false, guard: Guard::new(directory) }
    }

    pub(crate) fn start(&mut self, command: &mut Command) -> std::io::Result<()> {
        assert!(!self.is_running(), "it runs already");
        let child = command.spawn()?;
        self.guard.watch(Some(child.id()));
        self.child = Some(child);
        self.frozen = false;
        Ok(())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
        if ended {
            self.guard.watch(None);
            self.child = None;
        }
        self.child.is_some()
    }

    pub(crate) fn id(&mut self) -> Option<u32> {
        self.is_running().then(|| self.child.as_ref().map(Child::id))?
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Kills it, if it runs, and waits for its end, which is at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours to kill");
            child.wait().expect("it is ours to wait for");
            self.guard.watch(None);
        }
    }

    /// Asks it to end, if it runs, and waits until it has; answers whether it did in time.
    pub(crate) async fn stop(&mut self) -> bool {
        if !self.is_running() {
            return true;
        }
        self.thaw();
        self.signal(Signal::TERM);
        until(async || (!self.is_running()).then_some(())).await.is_some()
    }

    pub(crate) fn freeze(&mut self) {
        let process = self.signal(Signal::STOP);
        // The signal takes effect a moment later. Should the process end instead, it is left to be
        // waited for as usual.
        let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(process), events).expect("it is ours to wait for");
        self.frozen = true;
    }

    pub(crate) fn thaw(&mut self) {
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
