//! How records are counted: which counter an action increments, and which records report an error.

use crate::metric::Metric;
use crate::records::{KnownType, RecordType};

/// Earlier types that report an error, unless their `status` says otherwise.
const EARLIER_ERRORS: [&str; 2] = ["tool_error", "stop_failure"];

/// Whether a record with this `status` reports an error; `None` if the status does not decide that.
/// A record that a person or rule refused or interrupted is not an error.
pub fn is_error_status(status: &str) -> Option<bool> {
    match status {
        "error" | "timeout" => Some(true),
        "ok" | "denied" | "interrupted" | "cancelled" => Some(false),
        _ => None,
    }
}

/// How a record is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// The counter that an action increments.
    pub metric: Option<Metric>,
    /// Whether the record reports an error.
    pub is_error: bool,
}

impl Tally {
    /// How a record of this type is counted. An unknown type counts as a tool call, as it always
    /// has.
    pub fn of_type(kind: &str) -> Self {
        Self::of_known(KnownType::of(kind), kind)
    }

    /// How a record of this type is counted, if it is known what the type is.
    pub(crate) fn of_known(known: Option<KnownType>, kind: &str) -> Self {
        match known {
            Some(KnownType::Listed(listed)) => Self {
                metric: listed.metric(),
                is_error: listed == RecordType::Error,
            },
            Some(KnownType::Earlier) => Self {
                metric: None,
                is_error: EARLIER_ERRORS.contains(&kind),
            },
            None => Self::default(),
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            metric: Some(Metric::default()),
            is_error: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::records::record_type::EARLIER;

    #[test]
    fn the_table_of_counters_is_the_fixture() {
        let table: Map<String, Value> =
            serde_json::from_str(include_str!("../tests/fixtures/metrics.json")).unwrap();
        for (kind, counter) in &table {
            assert_eq!(
                Tally::of_type(kind).metric.map(Metric::as_str),
                counter.as_str(),
                "{kind}"
            );
        }
        let listed = RecordType::ALL.iter().map(|kind| kind.name());
        for kind in listed.chain(EARLIER) {
            assert!(table.contains_key(kind), "{kind} is missing in the fixture");
        }
    }
}
