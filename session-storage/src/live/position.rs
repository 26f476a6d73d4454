//! A position in the event stream, as clients write it: `<offset>` or `<epoch>-<offset>`.

use std::fmt;

use session_model::{Code, Refusal};

/// Longest epoch accepted from a client.
const MAX_EPOCH: usize = 64;

/// The event after which to continue. Without an epoch, it refers to the epoch that is being
/// served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// Epoch of the storage directory from which the position was taken.
    pub epoch: Option<String>,
    /// Offset of the last event already seen.
    pub offset: u64,
}

impl Position {
    /// Parses a position. The error names `parameter`.
    pub fn parse(text: &str, parameter: &str) -> Result<Self, Refusal> {
        Self::read(text).ok_or_else(|| {
            let form = "must be `<offset>` or `<epoch>-<offset>`";
            Refusal::new(Code::InvalidParameter, format!("`{parameter}` {form}"))
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (epoch, offset) = match text.rsplit_once('-') {
            Some((epoch, offset)) => (Some(epoch), offset),
            None => (None, text),
        };
        let name = |epoch: &str| {
            let allowed = epoch
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            (allowed && !epoch.is_empty() && epoch.len() <= MAX_EPOCH).then(|| epoch.to_owned())
        };
        // `parse` would accept a sign too.
        if !offset.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let offset = offset.parse().ok()?;
        match epoch {
            None => Some(Self {
                epoch: None,
                offset,
            }),
            Some(epoch) => Some(Self {
                epoch: Some(name(epoch)?),
                offset,
            }),
        }
    }

    /// Returns whether the position belongs to this epoch.
    pub fn is_of(&self, epoch: &str) -> bool {
        self.epoch.as_deref().is_none_or(|own| own == epoch)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.epoch {
            Some(epoch) => write!(f, "{epoch}-{}", self.offset),
            None => write!(f, "{}", self.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_printed_alike() {
        for (text, epoch, offset) in [
            ("0", None, 0),
            ("7", None, 7),
            ("18446744073709551615", None, u64::MAX),
            ("7f3a9c-12", Some("7f3a9c"), 12),
            ("a-b-3", Some("a-b"), 3),
            ("12-3", Some("12"), 3),
        ] {
            let read = Position::parse(text, "since").unwrap();
            assert_eq!(read.epoch.as_deref(), epoch, "{text}");
            assert_eq!(read.offset, offset, "{text}");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn an_invalid_position_is_refused_by_the_name_of_its_parameter() {
        let long = format!("{}-1", "e".repeat(65));
        for bad in [
            "",
            "-",
            "-1",
            "+1",
            "x",
            "e-",
            "e-x",
            "1.5",
            " 1",
            "18446744073709551616",
            "ä-1",
            &long,
        ] {
            let refusal = Position::parse(bad, "since").unwrap_err();
            assert_eq!(refusal.code, Code::InvalidParameter, "{bad:?}");
            assert!(refusal.message.contains("`since`"), "{bad:?}");
        }
    }

    #[test]
    fn a_position_without_epoch_belongs_to_every_epoch() {
        assert!(Position::read("5").is_some_and(|p| p.is_of("a")));
        assert!(Position::read("a-5").is_some_and(|p| p.is_of("a") && !p.is_of("b")));
    }
}
