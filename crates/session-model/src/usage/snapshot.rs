//! One `usage` record, as a snapshot of one request.

use std::cmp::Reverse;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::money::Usd;
use super::tokens::Tokens;
use crate::event::LogKind;
use crate::records::{Body, Record, RecordKey, body};

/// The largest count of tokens that is believed, so that sums of millions of requests fit.
pub const MAX_TOKENS: i64 = 1_000_000_000_000;

/// The longest name of a model or provider, in bytes. A longer one is read as none.
const MAX_NAME: usize = 128;

/// The place of a record in its session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordRef {
    /// The log.
    pub log: LogKind,
    /// The sequence number in the log.
    pub seq: u64,
}

/// The identity of a request, as 128 bits of a digest: a long session has many.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct RequestKey(pub(super) u64, pub(super) u64);

impl RequestKey {
    fn of(usage: &body::Usage, place: RecordRef) -> Self {
        let mut digest = Sha256::new();
        let mut part = |kind: u8, bytes: &[u8]| {
            digest.update([kind]);
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        match (&usage.message_id, &usage.request_id) {
            (None, None) => {
                part(b'p', place.log.as_str().as_bytes());
                part(b'p', &place.seq.to_le_bytes());
            }
            (message, request) => {
                message.iter().for_each(|id| part(b'm', id.as_bytes()));
                request.iter().for_each(|id| part(b'r', id.as_bytes()));
            }
        }
        let digest = digest.finalize();
        let half = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| digest[from + at]));
        Self(half(0), half(8))
    }
}

/// Why a record is no snapshot of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Skip {
    /// The record is of another type.
    NotUsage,
    /// A count is not one that a request can have.
    WrongField {
        /// The name of the field.
        field: &'static str,
        /// The value that the field should have.
        expected: &'static str,
    },
}

/// The names in a `usage` record. They order snapshots with the same counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Names {
    /// The model.
    pub model: Option<String>,
    /// The provider of the model.
    pub provider: Option<String>,
    /// The subagent; `None` for the main agent.
    pub agent: Option<String>,
}

/// The content of a `usage` record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The request.
    pub request: RequestKey,
    /// Whether the record names its request. Otherwise no other record is of the same request.
    pub is_named: bool,
    /// Whether the record has the usual key of its request, which its log stores once.
    pub is_keyed: bool,
    /// Where the record is.
    pub place: RecordRef,
    /// The counts.
    pub tokens: Tokens,
    /// The cost that the source reports.
    pub reported: Option<Usd>,
    /// The names.
    pub names: Names,
}

/// Orders the snapshots of one request: the greatest one counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank<'s> {
    output: u64,
    total: u64,
    tokens: Tokens,
    names: &'s Names,
    reported: Option<Usd>,
    place: Reverse<RecordRef>,
}

impl<'s> Rank<'s> {
    /// The rank of a snapshot with this content.
    pub fn new(tokens: Tokens, names: &'s Names, reported: Option<Usd>, place: RecordRef) -> Self {
        Self {
            output: tokens.output,
            total: tokens.total(),
            tokens,
            names,
            reported,
            place: Reverse(place),
        }
    }
}

impl Snapshot {
    /// Reads a record.
    pub fn of(place: RecordRef, record: &Record) -> Result<Self, Skip> {
        let Body::Usage(usage) = &record.body else {
            return Err(Skip::NotUsage);
        };
        let given = [
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.cache_write_1h,
            usage.reasoning,
        ];
        let mut counts = [0; Tokens::NAMES.len()];
        for ((slot, name), given) in counts.iter_mut().zip(Tokens::NAMES).zip(given) {
            *slot = count(name, given, &record.extra)?;
        }
        let tokens = Tokens::from(counts);
        if tokens.cache_write_1h > tokens.cache_write {
            return Err(Skip::WrongField {
                field: "cacheWrite1h",
                expected: "a part of cacheWrite",
            });
        }
        Ok(Self {
            request: RequestKey::of(usage, place),
            is_named: usage.message_id.is_some() || usage.request_id.is_some(),
            is_keyed: has_usual_key(usage, record),
            place,
            tokens,
            reported: reported(usage, &record.extra)?,
            names: Names {
                model: named(usage.model.as_ref()).filter(|name| name.len() <= MAX_NAME),
                provider: named(usage.provider.as_ref()).filter(|name| name.len() <= MAX_NAME),
                agent: named(record.common.agent_id.as_ref()),
            },
        })
    }

    /// The place of this snapshot among those of its request.
    pub fn rank(&self) -> Rank<'_> {
        Rank::new(self.tokens, &self.names, self.reported, self.place)
    }
}

fn has_usual_key(usage: &body::Usage, record: &Record) -> bool {
    let (Some(key), Some(message)) = (&record.common.key, &usage.message_id) else {
        return false;
    };
    *key == RecordKey::usage(message, usage.request_id.as_deref()).as_str()
}

/// A name, unless it is empty: a source without a model may write an empty text.
fn named(name: Option<&String>) -> Option<String> {
    name.filter(|name| !name.is_empty()).cloned()
}

fn count(field: &'static str, read: Option<i64>, extra: &Map<String, Value>) -> Result<u64, Skip> {
    let wrong = Skip::WrongField {
        field,
        expected: "an integer from 0 to 1000000000000",
    };
    match read {
        Some(tokens) if (0..=MAX_TOKENS).contains(&tokens) => Ok(tokens.unsigned_abs()),
        Some(_) => Err(wrong),
        // A value of another kind was left among the other fields.
        None if extra.get(field).is_some_and(|given| !given.is_null()) => Err(wrong),
        None => Ok(0),
    }
}

fn reported(usage: &body::Usage, extra: &Map<String, Value>) -> Result<Option<Usd>, Skip> {
    let wrong = Skip::WrongField {
        field: "costUsd",
        expected: "a number of dollars from 0",
    };
    match &usage.cost_usd {
        Some(cost) => Usd::parse(cost.as_str()).map(Some).ok_or(wrong),
        None if extra.get("costUsd").is_some_and(|given| !given.is_null()) => Err(wrong),
        None => Ok(None),
    }
}
