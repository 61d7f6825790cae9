//! Whoever reads the output.

/// Resolves when nobody reads standard output any more, as when it is a pipe into `head`.
///
/// Without it that is noticed only with the next event, which may be long in coming.
#[cfg(target_os = "linux")]
pub(super) async fn gone() {
    // A thread of its own, which ends with the program: tokio can wait for an error of a file
    // descriptor only by what needs unsafe code.
    if !tokio::task::spawn_blocking(poll).await.unwrap_or(false) {
        std::future::pending().await
    }
}

/// Waits until standard output has no reader; false if that cannot be waited for.
#[cfg(target_os = "linux")]
fn poll() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let output = std::io::stdout();
    // Errors are told without being asked for, and nothing else is.
    let mut polled = [PollFd::new(&output, PollFlags::empty())];
    loop {
        match poll(&mut polled, None) {
            Ok(_) => return polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Elsewhere it is noticed with the next event.
#[cfg(not(target_os = "linux"))]
pub(super) async fn gone() {
    std::future::pending().await
}
