//! What ends a process when the test can no longer do it.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// A shell that outlives the test's process, kills the guarded process and deletes its directory.
///
/// It reads whom to kill from a pipe, which the system closes when the test's process is gone,
/// however that came about. The parent-death signal of Linux would do it without a shell, but it
/// is sent when the *thread* that started the process ends, and needs unsafe code.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    told: Option<ChildStdin>,
}

impl Guard {
    const SCRIPT: &str = r#"
        while read -r process; do guarded=$process; done
        [ -z "$guarded" ] || kill -KILL "$guarded"
        rm -rf "$1"
    "#;

    /// Guards nobody yet; the directory is deleted in the end.
    pub(crate) fn new(directory: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", Self::SCRIPT, "guard"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What is sent to the group of the test's process, such as Ctrl-C, is not for it.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let told = shell.stdin.take();
        Self { shell, told }
    }

    /// Guards the process with this id, or nobody: an id may be another process's once its own
    /// process was waited for.
    pub(crate) fn watch(&mut self, process: Option<u32>) {
        let line = process.map_or_else(String::new, |id| id.to_string()) + "\n";
        let told = self.told.as_mut().expect("it is taken only when the guard is dropped");
        told.write_all(line.as_bytes()).expect("the guard listens");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.told.take());
        let _ = self.shell.wait();
    }
}
