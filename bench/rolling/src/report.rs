//! What is printed in the end.

use std::time::Duration;

use crate::{arguments::Arguments, plot, publisher::Published, restarts::Restart, tally::Tallied};

pub fn print(tallied: &Tallied, restarts: &[Restart], published: &Published, asked: &Arguments) {
    println!("{}", plot::text(tallied, restarts));
    for (number, Restart { told, left, ready }) in restarts.iter().enumerate() {
        println!(
            "hub {}: told to leave at {:.1} s, gone {} ms later, ready again {} ms after that",
            number + 1,
            told.as_secs_f64(),
            (*left - *told).as_millis(),
            (*ready - *left).as_millis()
        );
    }
    let count = tallied.reconnects.len();
    println!(
        "\n{count} reconnects of {} subscribers; {:?} at each hub",
        asked.subscribers, tallied.by_hub
    );
    println!("{} times no hub took a subscriber's connection", tallied.refused);
    let first = restarts.first().map_or(Duration::ZERO, |first| first.told);
    println!(
        "all were back {:.1} s after the first restart",
        (tallied.all_back - first).as_secs_f64()
    );
    let most = most_within(&tallied.reconnects, WINDOW);
    let busy = busy(&tallied.reconnects);
    let mean = count as f64 / (busy.as_secs_f64() / WINDOW.as_secs_f64()).max(1.0);
    println!(
        "at most {most} reconnects within {} ms, and {mean:.1} on average over the {:.1} s in which \
         they came: {:.1} times as many",
        WINDOW.as_millis(),
        busy.as_secs_f64(),
        most as f64 / mean.max(f64::MIN_POSITIVE)
    );
    println!(
        "{} events published; the longest took {} ms from the first attempt to the answer",
        published.events,
        published.longest.as_millis()
    );
    println!(
        "{} were published at a second attempt or later, after {} attempts at most: {:?}",
        published.again, published.attempts_max, published.reasons
    );
    if tallied.wrong.is_empty() {
        println!("every subscriber has been given each of them once, and in order");
    } else {
        println!("{} subscribers have not been given each of them once:", tallied.wrong.len());
        for wrong in tallied.wrong.iter().take(SHOWN_MAX) {
            println!("  {wrong}");
        }
    }
}

/// How many of these, which are in order, are at most within any span of time that is as long.
pub fn most_within(times: &[Duration], window: Duration) -> usize {
    let mut from = 0;
    let mut most = 0;
    for (at, time) in times.iter().enumerate() {
        while *time - times[from] >= window {
            from += 1;
        }
        most = most.max(at + 1 - from);
    }
    most
}

/// From the first to the last of these, which are in order, without the pauses.
fn busy(times: &[Duration]) -> Duration {
    times.windows(2).map(|two| two[1] - two[0]).filter(|between| *between < PAUSE).sum()
}

const WINDOW: Duration = Duration::from_millis(100);
// So long nobody comes, and the restart of one hub is over.
const PAUSE: Duration = Duration::from_secs(1);
const SHOWN_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_within_a_span_is_found_wherever_it_begins() {
        let times = [0, 90, 95, 99, 150, 189, 190, 400].map(Duration::from_millis);
        assert_eq!(most_within(&times, WINDOW), 5);
        assert_eq!(most_within(&times[..1], WINDOW), 1);
        assert_eq!(most_within(&[], WINDOW), 0);
    }
}
