//! Points in time: milliseconds since 1970, written as RFC 3339 in UTC with milliseconds and `Z`.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

/// The length of a timestamp's text, from year 0 to year 9999.
const TEXT_LEN: usize = 24;
/// The milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000;
/// The last millisecond that has a text of its own; every later one is printed as this one.
const LAST: i64 = 253_402_207_200_999;

thread_local! {
    /// The last timestamp printed, and its text: most records share its day, and many its
    /// millisecond.
    static PRINTED: Cell<(i64, [u8; TEXT_LEN])> = const { Cell::new((0, *b"1970-01-01T00:00:00.000Z")) };
}

/// The field with the service's time of receipt, in documents whose own time comes from the client.
pub const RECEIVED_AT: &str = "receivedAt";

/// A point in time with millisecond precision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp from milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Passes the text to `read`; costs no allocation while many records share a millisecond.
    pub fn with_text<R>(self, read: impl FnOnce(&str) -> R) -> R {
        let (millis, text) = PRINTED.get();
        if millis == self.0 {
            return read(std::str::from_utf8(&text).expect("was printed as text"));
        }
        let printed = if self.day() == Self(millis).day() && self.0 <= LAST {
            Some(self.printed_on_the_day_of(text))
        } else {
            self.print().as_bytes().try_into().ok()
        };
        let Some(printed) = printed else {
            return read(&self.print());
        };
        PRINTED.set((self.0, printed));
        read(std::str::from_utf8(&printed).expect("was printed as text"))
    }

    /// The number of the day since 1970.
    const fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The text of this time, from one of the same day.
    fn printed_on_the_day_of(self, mut text: [u8; TEXT_LEN]) -> [u8; TEXT_LEN] {
        let millis = self.0.rem_euclid(DAY);
        let mut put = |at: usize, digits: usize, mut value: i64| {
            for at in (at..at + digits).rev() {
                text[at] = b'0' + (value % 10).unsigned_abs() as u8;
                value /= 10;
            }
        };
        put(11, 2, millis / 3_600_000);
        put(14, 2, millis / 60_000 % 60);
        put(17, 2, millis / 1_000 % 60);
        put(20, 3, millis % 1_000);
        text
    }

    fn print(self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        format!("{time:.3}")
    }

    /// The client's time of an event that the service received at `received`. A later time comes
    /// from a wrong clock and is ignored, as is a value that is not a timestamp.
    pub fn reported(given: Option<&serde_json::Value>, received: Self) -> Option<Self> {
        Self::parse(given?.as_str()?).filter(|reported| *reported <= received)
    }

    /// Parses RFC 3339 with any offset; digits finer than milliseconds are cut off.
    pub fn parse(text: &str) -> Option<Self> {
        jiff::Timestamp::from_str(text)
            .ok()
            .map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prints_milliseconds_and_z_always() {
        assert_eq!(
            Timestamp::from_millis(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_790_000_000_120).to_string(),
            "2026-09-21T14:13:20.120Z"
        );
    }

    #[test]
    fn a_text_is_never_that_of_another_time() {
        for millis in [
            0,
            1,
            0,
            -1,
            i64::MIN,
            1,
            i64::MAX,
            -62_198_755_200_001,
            1_790_000_000_120,
            1,
        ] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string(), time.print());
            assert_eq!(time.to_string(), time.print());
        }
    }

    #[test]
    fn every_moment_of_a_day_is_printed_from_another_one_of_it() {
        for day in [-719_528, -1, 0, 20_787, 2_932_895] {
            for step in 0..5_000 {
                let millis = day * DAY + step * 7_919_813 % DAY;
                let time = Timestamp::from_millis(millis);
                assert_eq!(time.to_string(), time.print(), "{millis}");
            }
        }
        assert_eq!(
            Timestamp::from_millis(LAST).print(),
            Timestamp::from_millis(LAST + 1).print()
        );
    }

    #[test]
    fn a_clients_time_is_used_unless_it_is_later_than_its_receipt() {
        let received = Timestamp::from_millis(1000);
        for (given, reported) in [
            (json!("1970-01-01T00:00:00.250Z"), Some(250)),
            (json!("1970-01-01T00:00:01Z"), Some(1000)),
            (json!("1970-01-01T00:00:01.001Z"), None),
            (json!("yesterday"), None),
            (json!(250), None),
            (json!(null), None),
        ] {
            let expected = reported.map(Timestamp::from_millis);
            assert_eq!(
                Timestamp::reported(Some(&given), received),
                expected,
                "{given}"
            );
        }
        assert_eq!(Timestamp::reported(None, received), None);
    }

    #[test]
    fn parses_offsets_and_refuses_what_is_no_point_in_time() {
        assert_eq!(
            Timestamp::parse("1970-01-01T01:00:00.5+01:00"),
            Some(Timestamp::from_millis(500))
        );
        for bad in [
            "",
            "yesterday",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "1700000000000",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
