//! A consumer that stalls holds up the server: nothing is queued for it.
//!
//! The test is alone in its program, as it counts what the program has allocated.

mod peer;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use peer::Peer;
use peer::updates::{both, message, open};
use tidings_client::EventSource;

/// Counts the bytes that are allocated.
struct Counting;

static ALLOCATED_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of this function, which is that one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: it comes from `alloc`, which took it from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocated_bytes() -> usize {
    ALLOCATED_BYTES.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_consumer_costs_no_memory() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let event = format!("data: {}\n\n", "x".repeat(1_000));
    let client = async {
        open(&mut source).await;
        message(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send(&event).await;
        exchange
    };
    let ((), mut exchange) = both(client, server).await;
    let events = event.repeat(1_000);
    let before = allocated_bytes();
    // Nobody polls the source, and the server sends what it can.
    let sent = exchange.fill(events.as_bytes()).await;
    let grown = allocated_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{sent} bytes were sent, and the program grew by {grown}");
    // To read much more costs no more, once it is read.
    let read = async {
        for _ in 0..50_000 {
            message(&mut source).await;
        }
        allocated_bytes().saturating_sub(before)
    };
    let grown = tokio::select! {
        grown = read => grown,
        () = exchange.send_until_closed(&events) => panic!("the source is closed"),
    };
    assert!(grown < GROWTH_MAX, "the program grew by {grown}");
}

/// Some chunks as the HTTP client reads them. A queue for what the sockets take would exceed it.
const GROWTH_MAX: usize = 1 << 20;
