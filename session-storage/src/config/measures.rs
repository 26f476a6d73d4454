//! Kinds of options with a unit: sizes and times.

use std::time::Duration;

use super::kinds::{Kind, wanted};

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

const TIMES: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a number and its unit, such as `10GB`, and multiplies them; `None` if the text is
/// malformed or the product too large.
fn measure(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text[..at].parse::<u64>().ok()?;
    let unit = text[at..].trim_start();
    let factor = match unit {
        "" => bare?,
        _ => units
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)?,
    };
    number.checked_mul(factor)
}

/// Formats a value in the unit that gives the smallest whole number.
fn in_units(value: u64, units: &[(&str, u64)]) -> String {
    let divides = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    let largest = units
        .iter()
        .filter(divides)
        .max_by_key(|(_, factor)| *factor);
    let (name, factor) = largest.unwrap_or(&units[units.len() - 1]);
    format!("{}{name}", value / factor)
}

/// A size in bytes between two bounds.
#[derive(Debug)]
pub struct Bytes {
    /// The minimum.
    pub min: u64,
    /// The maximum.
    pub max: u64,
}

impl Kind for Bytes {
    type Value = u64;
    fn parse(&self, text: &str) -> Result<u64, String> {
        let bytes = measure(text, &SIZES, Some(1)).filter(|n| (self.min..=self.max).contains(n));
        bytes.ok_or_else(|| wanted(self))
    }
    fn show(&self, value: &u64) -> String {
        in_units(*value, &SIZES)
    }
    fn accepts(&self) -> String {
        let min = self.show(&self.min);
        let max = self.show(&self.max);
        format!("a size such as 256MiB or 10GB from {min} to {max}")
    }
}

/// A duration between two bounds. A unit is required, so that nobody deletes by seconds what was
/// meant in days.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The minimum.
    pub min: Duration,
    /// The maximum.
    pub max: Duration,
}

impl Kind for Span {
    type Value = Duration;
    fn parse(&self, text: &str) -> Result<Duration, String> {
        let span = measure(text, &TIMES, None).map(Duration::from_millis);
        span.filter(|s| (self.min..=self.max).contains(s))
            .ok_or_else(|| wanted(self))
    }
    fn show(&self, value: &Duration) -> String {
        in_units(u64::try_from(value.as_millis()).unwrap_or(u64::MAX), &TIMES)
    }
    fn accepts(&self) -> String {
        let min = self.show(&self.min);
        let max = self.show(&self.max);
        format!("a time with its unit such as 30s, 12h or 30d from {min} to {max}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_both_families() {
        let kind = Bytes {
            min: 1,
            max: 1 << 50,
        };
        for (text, bytes) in [
            ("1", 1),
            ("1024", 1024),
            ("256MiB", 256 << 20),
            ("10GB", 10_000_000_000),
            ("10 gb", 10_000_000_000),
            ("1kb", 1000),
        ] {
            assert_eq!(kind.parse(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "0",
            "GB",
            "1.5GB",
            "-1",
            "10 G",
            "99999999999999999999",
            "2000TiB",
            "+5",
            "lots",
        ] {
            assert!(kind.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_need_their_unit() {
        let kind = Span {
            min: Duration::from_millis(1),
            max: Duration::from_secs(1 << 40),
        };
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("12h", 43_200_000),
        ] {
            assert_eq!(
                kind.parse(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(kind.parse("30d"), Ok(Duration::from_hours(30 * 24)));
        for bad in ["", "30", "long ago", "1mo", "-1s", "99999999999999999w"] {
            assert!(kind.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_shown_value_can_be_parsed_again() {
        let bytes = Bytes {
            min: 0,
            max: u64::MAX,
        };
        for (value, text) in [
            (0, "0B"),
            (256 << 20, "256MiB"),
            (10_000_000_000, "10GB"),
            (1025, "1025B"),
        ] {
            assert_eq!(bytes.show(&value).as_str(), text);
            assert_eq!(bytes.parse(text), Ok(value));
        }
        let span = Span {
            min: Duration::ZERO,
            max: Duration::MAX,
        };
        for (millis, text) in [(0, "0ms"), (90_000, "90s"), (604_800_000, "1w"), (1, "1ms")] {
            let value = Duration::from_millis(millis);
            assert_eq!(span.show(&value).as_str(), text);
            assert_eq!(span.parse(text), Ok(value));
        }
    }
}
