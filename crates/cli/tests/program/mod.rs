//! The program as a process.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::peer::soon;

/// How a process ended, and what it wrote that was not read before.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What the machine's owner prefers is not what is tested.
        .env_remove("CLICOLOR_FORCE")
        .kill_on_drop(true);
    command
}

pub fn start(args: &[&str]) -> Child {
    program(args).spawn().unwrap()
}

pub async fn finish(child: Child) -> Finished {
    let output = soon(child.wait_with_output()).await.unwrap();
    Finished {
        code: output.status.code().expect("it was not killed"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Presses Ctrl-C.
pub fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    let status = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
}
