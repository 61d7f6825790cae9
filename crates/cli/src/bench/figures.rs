//! Figures for people, in three digits.

use std::time::Duration;

/// A time in microseconds: "87 µs", "1.23 ms", "12.3 ms", "1.23 s".
pub(super) fn micros(time: u64) -> String {
    match time {
        0..1_000 => format!("{time} µs"),
        1_000..999_500 => format!("{} ms", digits(time as f64 / 1e3)),
        _ => format!("{} s", digits(time as f64 / 1e6)),
    }
}

/// A round time in microseconds along an axis: "0", "200 µs", "1 ms", "2.5 s".
pub(super) fn tick(time: u64) -> String {
    if time == 0 {
        return "0".to_owned();
    }
    let text = micros(time);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A number of bytes: "87 B", "1.23 kB", "12.3 MB".
pub(super) fn bytes(number: u64) -> String {
    let mut scaled = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if scaled < 999.5 {
            return match unit {
                "B" => format!("{number} B"),
                _ => format!("{} {unit}", digits(scaled)),
            };
        }
        scaled /= 1e3;
    }
    format!("{} TB", digits(scaled))
}

/// Events a second: "0.5", "9.87", "1,234".
pub(super) fn rate(number: f64) -> String {
    if number >= 999.5 {
        return indicatif::HumanCount(number.round() as u64).to_string();
    }
    let text = digits(number);
    match text.split_once('.') {
        // A round rate is what was asked for.
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// A duration in seconds: "0.42 s", "10.0 s", "123 s".
pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", digits(time.as_secs_f64()))
}

/// Three digits.
fn digits(number: f64) -> String {
    match number {
        ..9.995 => format!("{number:.2}"),
        ..99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough() {
        for (time, words) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (9_996, "10.0 ms"),
            (99_960, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (61_000_000, "61.0 s"),
        ] {
            assert_eq!(micros(time), words);
        }
        for (time, words) in
            [(0, "0"), (200, "200 µs"), (1_000, "1 ms"), (10_000, "10 ms"), (2_500_000, "2.5 s")]
        {
            assert_eq!(tick(time), words);
        }
        for (number, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (999_600, "1.00 MB"),
            (5_000_000_000_000, "5.00 TB"),
        ] {
            assert_eq!(bytes(number), words);
        }
        for (number, words) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (10.0, "10"),
            (99.94, "99.9"),
            (998.6, "999"),
            (1_234.4, "1,234"),
        ] {
            assert_eq!(rate(number), words);
        }
        assert_eq!(seconds(Duration::from_millis(420)), "0.42 s");
    }
}
