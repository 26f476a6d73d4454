//! Kinds of options that are rates.

use std::num::NonZeroU32;
use std::time::Duration;

use super::kinds::Kind;

/// A number of requests per period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// The number of requests.
    pub count: NonZeroU32,
    /// The period.
    pub per: Duration,
}

const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];
const MOST: u32 = 1_000_000;

/// The kind of rates such as `100/s`, `600/m` or `1000/h`.
#[derive(Debug)]
pub struct Rates;

impl Kind for Rates {
    type Value = Rate;
    fn parse(&self, text: &str) -> Result<Rate, String> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let digits = count.bytes().all(|byte| byte.is_ascii_digit());
            let count = count
                .parse::<NonZeroU32>()
                .ok()
                .filter(|count| digits && count.get() <= MOST)?;
            let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
            Some(Rate {
                count,
                per: Duration::from_secs(*seconds),
            })
        };
        read().ok_or_else(|| format!("must be {}", self.accepts()))
    }
    fn show(&self, value: &Rate) -> String {
        let unit = UNITS
            .iter()
            .find(|(_, seconds)| *seconds == value.per.as_secs())
            .map_or("", |(name, _)| name);
        format!("{}/{unit}", value.count)
    }
    fn accepts(&self) -> String {
        format!("a rate such as 100/s, 600/m or 1000/h, up to {MOST}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_second_a_minute_or_an_hour() {
        for (text, count, seconds) in [
            ("1/s", 1, 1),
            ("600/m", 600, 60),
            ("1000000/h", 1_000_000, 3600),
        ] {
            let rate = Rates.parse(text).unwrap();
            assert_eq!(rate.count.get(), count);
            assert_eq!(rate.per, Duration::from_secs(seconds));
            assert_eq!(Rates.show(&rate), text);
        }
        for bad in [
            "",
            "0/s",
            "5",
            "5/d",
            "5/",
            "/s",
            "-1/s",
            "+1/s",
            "1000001/s",
            "1.5/s",
        ] {
            assert!(Rates.parse(bad).is_err(), "{bad}");
        }
    }
}
