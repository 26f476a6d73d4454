//! Idempotent producers: the numbers of the Durable Streams protocol, decided and remembered per session.
//!
//! A producer sends `(id, epoch, seq)`, one `seq` a request, from 0 in each epoch. What was accepted is
//! remembered with its answer, so that a repeat is answered as the first time was and stores nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most producers remembered per session; past that the one idle for longest is forgotten.
pub const MAX_PRODUCERS: usize = 64;
/// The longest producer id, in bytes.
pub const MAX_PRODUCER_ID: usize = 128;

/// The numbers of one request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProducerNumbers {
    /// Who sends.
    pub id: String,
    /// Its incarnation.
    pub epoch: u64,
    /// The request's number within the epoch, from 0.
    pub seq: u64,
}

/// What was answered, to be given again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
}

/// What to do with a request that bears numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<'a> {
    /// It is the next one.
    Accept,
    /// It is the last accepted one again: give this answer.
    Repeat(&'a Answer),
    /// It is an older one again: it was stored, its answer is forgotten.
    Duplicate,
    /// Numbers in between are missing.
    Gap {
        /// The number that would be accepted.
        expected: u64,
    },
    /// A newer incarnation of this producer has written.
    Stale {
        /// Its epoch.
        epoch: u64,
    },
}

/// What is remembered of a producer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    epoch: u64,
    seq: u64,
    #[serde(default)]
    used: u64,
    answer: Answer,
}

/// The producers of one session.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Producers(BTreeMap<String, Position>);

impl Producers {
    /// Decides about a request's numbers.
    pub fn check(&self, numbers: &ProducerNumbers) -> Verdict<'_> {
        let Some(known) = self.0.get(&numbers.id) else {
            return if numbers.seq == 0 { Verdict::Accept } else { Verdict::Gap { expected: 0 } };
        };
        if numbers.epoch < known.epoch {
            return Verdict::Stale { epoch: known.epoch };
        }
        let expected = if numbers.epoch > known.epoch { 0 } else { known.seq + 1 };
        match numbers.seq {
            seq if seq == expected => Verdict::Accept,
            seq if seq > expected => Verdict::Gap { expected },
            seq if seq == known.seq => Verdict::Repeat(&known.answer),
            _ => Verdict::Duplicate,
        }
    }

    /// Remembers an accepted request; `used` grows with every commit and tells who is idle.
    pub fn accept(&mut self, numbers: ProducerNumbers, answer: Answer, used: u64) {
        let ProducerNumbers { id, epoch, seq } = numbers;
        if !self.0.contains_key(&id) && self.0.len() >= MAX_PRODUCERS {
            let idle = self.0.iter().min_by_key(|(_, p)| p.used).map(|(id, _)| id.clone());
            if let Some(idle) = idle {
                self.0.remove(&idle);
            }
        }
        self.0.insert(id, Position { epoch, seq, used, answer });
    }

    /// What is remembered of a producer.
    pub fn position(&self, id: &str) -> Option<&Position> {
        self.0.get(id)
    }

    /// Takes a producer back to what was remembered of it earlier.
    pub fn restore(&mut self, id: String, earlier: Option<Position>) {
        match earlier {
            Some(position) => drop(self.0.insert(id, position)),
            None => drop(self.0.remove(&id)),
        }
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(epoch: u64, seq: u64) -> ProducerNumbers {
        ProducerNumbers { id: "p".into(), epoch, seq }
    }

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.into() }
    }

    #[test]
    fn the_table_of_verdicts() {
        let mut producers = Producers::default();
        assert_eq!(producers.check(&numbers(0, 0)), Verdict::Accept);
        assert_eq!(producers.check(&numbers(0, 3)), Verdict::Gap { expected: 0 });
        producers.accept(numbers(1, 0), answer("first"), 1);
        producers.accept(numbers(1, 1), answer("second"), 2);
        for (epoch, seq, verdict) in [
            (1, 2, Verdict::Accept),
            (1, 1, Verdict::Repeat(&answer("second"))),
            (1, 0, Verdict::Duplicate),
            (1, 4, Verdict::Gap { expected: 2 }),
            (0, 9, Verdict::Stale { epoch: 1 }),
            (2, 0, Verdict::Accept),
            (2, 1, Verdict::Gap { expected: 0 }),
        ] {
            assert_eq!(producers.check(&numbers(epoch, seq)), verdict, "epoch {epoch} seq {seq}");
        }
    }

    #[test]
    fn the_idlest_producer_is_forgotten_first() {
        let mut producers = Producers::default();
        for n in 0..=MAX_PRODUCERS as u64 {
            let id = format!("p{n}");
            producers.accept(ProducerNumbers { id, epoch: 0, seq: 0 }, answer(""), n);
        }
        let first = ProducerNumbers { id: "p0".into(), epoch: 0, seq: 1 };
        assert_eq!(producers.check(&first), Verdict::Gap { expected: 0 });
        let second = ProducerNumbers { id: "p1".into(), epoch: 0, seq: 1 };
        assert_eq!(producers.check(&second), Verdict::Accept);
    }
}
