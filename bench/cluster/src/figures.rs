//! Figures of many samples, as they are printed.

/// The value that a part of them do not exceed; NaN of none.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The median, and the least and the most.
pub fn spread(values: &[f64], digits: usize) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let (least, most) = (percentile(values, 0.0), percentile(values, 1.0));
    format!("{:.digits$} ({least:.digits$}–{most:.digits$})", median(values))
}

/// A number with its thousands set apart.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The median with the least and the most, of large numbers.
pub fn grouped_spread(values: &[f64]) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let (least, most) = (percentile(values, 0.0), percentile(values, 1.0));
    format!("{} ({}–{})", grouped(median(values)), grouped(least), grouped(most))
}

/// Prints a table of Markdown.
pub fn table(heads: &[&str], rows: &[Vec<String>]) {
    println!("| {} |", heads.join(" | "));
    println!("| --- |{}", " ---: |".repeat(heads.len() - 1));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// What a figure must come up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub what: String,
    pub value: f64,
    pub bound: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    /// Prints it, and says whether it is met. A figure that there is not meets none.
    pub fn judge(&self) -> bool {
        let Self { what, value, bound } = self;
        let (is_met, words) = match *bound {
            Bound::AtMost(most) => (*value <= most, format!("at most {most}")),
            Bound::AtLeast(least) => (*value >= least, format!("at least {least}")),
        };
        let word = if is_met { "met" } else { "MISSED" };
        println!("{word}: {what}: {value:.2}, {words}");
        is_met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_for_people() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(123.0), "123");
        let percents: Vec<_> = (1..=20).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99].map(|part| percentile(&percents, part)), [1.0, 10.0, 20.0]);
        assert_eq!(spread(&[3.0, 1.0, 2.0], 1), "2.0 (1.0–3.0)");
        let bar = |value, bound| Bar { what: String::new(), value, bound };
        assert!(bar(1.3, Bound::AtMost(1.3)).judge());
        assert!(!bar(f64::NAN, Bound::AtMost(1.3)).judge());
        assert!(!bar(0.6, Bound::AtLeast(0.7)).judge());
    }
}
