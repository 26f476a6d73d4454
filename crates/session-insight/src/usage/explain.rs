//! Why a record counts or not.

use serde::Serialize;
use session_model::records::{Body, Record};

use super::prices::Prices;
use session_model::usage::{RecordRef, Skip, Snapshot};

/// Whether a record counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The record counts.
    Counted,
    /// A greater snapshot of the same request counts.
    Superseded {
        /// Where that one is.
        by: RecordRef,
    },
    /// An earlier record says the same about the same request.
    Repeat {
        /// Where that one is.
        of: RecordRef,
    },
    /// The record is of another type.
    NotUsage,
    /// A count is not one that a request can have.
    WrongField {
        /// The name of the field.
        field: &'static str,
        /// The value that the field should have.
        expected: &'static str,
    },
    /// The record came after the sums were computed.
    NotAdded,
}

impl From<Skip> for Verdict {
    fn from(skip: Skip) -> Self {
        match skip {
            Skip::NotUsage => Verdict::NotUsage,
            Skip::WrongField { field, expected } => Verdict::WrongField { field, expected },
        }
    }
}

/// Why a record is suppressed, as a stable name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A greater snapshot of the same request counts.
    Superseded,
    /// An earlier record says the same about the same request.
    Repeat,
    /// The record is of another type.
    NotUsage,
    /// A count is not one that a request can have.
    WrongField,
    /// The record came after the sums were computed.
    NotAdded,
}

/// A record and why it counts or not, for a person who checks a sum.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The log of the record.
    pub log: &'static str,
    /// The sequence number of the record.
    pub seq: u64,
    /// Whether it counts.
    pub counted: bool,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The sequence number of the record that counts instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_seq: Option<u64>,
    /// The id that the provider gave the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The id that the provider gave the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The subagent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The computed cost, if the record counts and its model has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// Why there is no computed cost although the record counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<&'static str>,
}

impl Explained {
    /// Explains a verdict about a record.
    pub fn new(place: RecordRef, record: &Record, verdict: &Verdict, prices: &Prices) -> Self {
        let (reason, message, counted_seq) = in_words(verdict);
        let counted = *verdict == Verdict::Counted;
        let mut explained = Self {
            log: place.log.as_str(),
            seq: place.seq,
            counted,
            reason,
            message,
            counted_seq,
            message_id: None,
            request_id: None,
            agent_id: record.common.agent_id.clone(),
            model: None,
            cost_micro_usd: None,
            unpriced: None,
        };
        if let Body::Usage(usage) = &record.body {
            explained.message_id.clone_from(&usage.message_id);
            explained.request_id.clone_from(&usage.request_id);
            explained.model.clone_from(&usage.model);
        }
        if counted && let Ok(snapshot) = Snapshot::of(place, record) {
            match prices.cost(&snapshot.names, &snapshot.tokens) {
                Ok(cost) => explained.cost_micro_usd = Some(cost.micro_dollars()),
                Err(why) => explained.unpriced = Some(why),
            }
        }
        explained
    }
}

fn in_words(verdict: &Verdict) -> (Option<Reason>, Option<String>, Option<u64>) {
    match verdict {
        Verdict::Counted => (None, None, None),
        Verdict::Superseded { by } => (
            Some(Reason::Superseded),
            Some("a greater snapshot of the same request counts".to_owned()),
            Some(by.seq),
        ),
        Verdict::Repeat { of } => (
            Some(Reason::Repeat),
            Some("another record says the same about the same request".to_owned()),
            Some(of.seq),
        ),
        Verdict::NotUsage => (
            Some(Reason::NotUsage),
            Some("the record is of another type".to_owned()),
            None,
        ),
        Verdict::WrongField { field, expected } => (
            Some(Reason::WrongField),
            Some(format!("`{field}` must be {expected}")),
            None,
        ),
        Verdict::NotAdded => (
            Some(Reason::NotAdded),
            Some("the record came after the sums were computed: ask again".to_owned()),
            None,
        ),
    }
}
