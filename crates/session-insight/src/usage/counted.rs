//! What is kept of the snapshots that count: a few bytes per request, since a session may have
//! hundreds of thousands.
//!
//! The names of models, providers and subagents repeat, so each is stored once. So is a cost that a
//! source reports, which most do not. Counts are stored in five bytes, because none is larger than
//! [`MAX_TOKENS`].

use std::collections::HashMap;
use std::hash::Hash;

use session_model::LogKind;
use session_model::usage::{MAX_TOKENS, Names, Rank, RecordRef, Snapshot, Tokens, Usd};

/// The bytes of one count.
const COUNT: usize = 5;
const COUNTS: usize = Tokens::NAMES.len();
const _: () = assert!(MAX_TOKENS < 1 << (8 * COUNT));
/// How many snapshots are allocated together, so that a growing list is never copied.
const BLOCK: usize = 4096;
/// The bit of a stored place that names the log; sequence numbers are smaller.
const RESPONSES: u64 = 1 << 63;

/// A snapshot that counts.
#[derive(Clone, Copy, Debug)]
struct Packed {
    place: u64,
    names: u32,
    reported: u32,
    tokens: [[u8; COUNT]; COUNTS],
}

/// The snapshots that count, by number.
#[derive(Debug, Default)]
pub(super) struct CountedSnapshots {
    blocks: Vec<Vec<Packed>>,
    names: Distinct<Names>,
    reported: Distinct<Option<Usd>>,
}

/// A snapshot that counts, with its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'c> {
    pub(super) place: RecordRef,
    pub(super) tokens: Tokens,
    pub(super) reported: Option<Usd>,
    pub(super) names: &'c Names,
}

impl<'c> Counted<'c> {
    pub(super) fn rank(&self) -> Rank<'c> {
        Rank::new(self.tokens, self.names, self.reported, self.place)
    }
}

impl CountedSnapshots {
    /// The number of snapshots.
    pub(super) fn len(&self) -> usize {
        let full = self.blocks.len().saturating_sub(1) * BLOCK;
        full + self.blocks.last().map_or(0, Vec::len)
    }

    /// Adds a snapshot and returns its number.
    pub(super) fn push(&mut self, snapshot: &Snapshot) -> u32 {
        let number = u32::try_from(self.len()).expect("a session has fewer than 2^32 requests");
        let packed = self.pack(snapshot);
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let block = self
            .blocks
            .last_mut()
            .expect("a block was added if none had room");
        block.push(packed);
        number
    }

    /// Replaces a snapshot.
    pub(super) fn set(&mut self, number: u32, snapshot: &Snapshot) {
        let packed = self.pack(snapshot);
        let number = number as usize;
        self.blocks[number / BLOCK][number % BLOCK] = packed;
    }

    /// The snapshot with a number.
    pub(super) fn get(&self, number: u32) -> Counted<'_> {
        let number = number as usize;
        self.unpack(&self.blocks[number / BLOCK][number % BLOCK])
    }

    /// All snapshots.
    pub(super) fn iter(&self) -> impl Iterator<Item = Counted<'_>> {
        self.blocks
            .iter()
            .flatten()
            .map(|packed| self.unpack(packed))
    }

    fn pack(&mut self, snapshot: &Snapshot) -> Packed {
        let place = match snapshot.place.log {
            LogKind::Responses => snapshot.place.seq | RESPONSES,
            LogKind::Actions | LogKind::Changes => snapshot.place.seq & !RESPONSES,
        };
        let counts = <[u64; COUNTS]>::from(snapshot.tokens);
        Packed {
            place,
            names: self.names.number_of(&snapshot.names),
            reported: self.reported.number_of(&snapshot.reported),
            tokens: counts.map(|count| {
                let bytes = count.to_le_bytes();
                std::array::from_fn(|at| bytes[at])
            }),
        }
    }

    fn unpack(&self, packed: &Packed) -> Counted<'_> {
        let is_response = packed.place & RESPONSES != 0;
        let count = |bytes: [u8; COUNT]| {
            u64::from_le_bytes(std::array::from_fn(|at| {
                bytes.get(at).copied().unwrap_or(0)
            }))
        };
        Counted {
            place: RecordRef {
                log: if is_response {
                    LogKind::Responses
                } else {
                    LogKind::Actions
                },
                seq: packed.place & !RESPONSES,
            },
            tokens: Tokens::from(packed.tokens.map(count)),
            reported: *self.reported.get(packed.reported),
            names: self.names.get(packed.names),
        }
    }
}

/// Different values, each stored once and named by a number.
#[derive(Debug)]
struct Distinct<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    fn number_of(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number =
            u32::try_from(self.values.len()).expect("there are fewer values than requests");
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        number
    }

    fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use session_model::records::Record;

    use super::*;

    fn snapshot(log: LogKind, seq: u64, fields: &serde_json::Value) -> Snapshot {
        let record = Record::parse(&fields.to_string()).unwrap().record;
        Snapshot::of(RecordRef { log, seq }, &record).unwrap()
    }

    #[test]
    fn a_snapshot_is_kept_with_all_that_the_rules_compare() {
        let max = u64::try_from(MAX_TOKENS).unwrap();
        let given = [
            snapshot(
                LogKind::Responses,
                7,
                &json!({"type": "usage", "input": max, "output": 255, "cacheRead": 256,
                "cacheWrite": max, "cacheWrite1h": max, "reasoning": 1, "model": "m", "provider": "p",
                "agentId": "a", "costUsd": 1.5}),
            ),
            snapshot(LogKind::Actions, 7, &json!({"type": "usage"})),
        ];
        let mut kept = CountedSnapshots::default();
        for n in 0..2 * BLOCK {
            assert_eq!(kept.push(&given[n % 2]) as usize, n);
        }
        kept.set(3, &given[0]);
        assert_eq!(kept.len(), 2 * BLOCK);
        assert_eq!(kept.names.values.len(), 2);
        for (at, expected) in [(0, &given[0]), (3, &given[0]), (BLOCK + 1, &given[1])] {
            let found = kept.get(u32::try_from(at).unwrap());
            assert_eq!(found.rank(), expected.rank());
            assert_eq!(found.place, expected.place);
        }
        assert!(size_of::<Packed>() <= 48);
    }
}
