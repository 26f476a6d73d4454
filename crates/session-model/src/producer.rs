//! Idempotent producers: numbers as in the Durable Streams protocol, checked and remembered per
//! session.
//!
//! A producer sends `(id, epoch, seq)`: one `seq` per request, starting at 0 in each epoch. An
//! accepted request is remembered with its response, so that a repeat gets the same response and
//! stores nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most producers remembered per session; beyond that, the one idle for longest is forgotten.
pub const MAX_PRODUCERS: usize = 64;
/// The longest producer id, in bytes.
pub const MAX_PRODUCER_ID: usize = 128;

/// The producer numbers of one request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProducerNumbers {
    /// The producer's id.
    pub id: String,
    /// The producer's incarnation.
    pub epoch: u64,
    /// The request's number within the epoch, from 0.
    pub seq: u64,
}

/// The response to an accepted request, kept to answer repeats.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
    /// If a batch is stored in parts: which part this is. In what is remembered: how far the batch
    /// is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// A part of a batch: lines that are committed together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Number of lines in the parts before this one.
    pub from: u64,
    /// Number of lines processed once this part is stored.
    pub done: u64,
    /// Whether this is the last part.
    pub last: bool,
}

/// How the response to a batch begins.
pub const BATCH_OPENING: &str = "{\"results\":[";

/// What to do with a request that has producer numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<'a> {
    /// Accept it: it is the next one.
    Accept,
    /// Return this response: the request repeats the last accepted one.
    Repeat(&'a Answer),
    /// A repeat of an older request: it was stored, and its response has been forgotten.
    Duplicate,
    /// A repeat of a batch that is stored only in part.
    Begun,
    /// Numbers before this one are missing.
    Gap {
        /// The number that would be accepted.
        expected: u64,
    },
    /// A newer incarnation of this producer has written.
    Stale {
        /// The newer epoch.
        epoch: u64,
    },
}

/// What is remembered of one producer: an entry of `producers.json`. The names here, in [`Answer`] and
/// in [`Part`] are on disk: only add fields, with a default.
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
    /// Decides what to do with a request, by its producer numbers.
    pub fn check(&self, numbers: &ProducerNumbers) -> Verdict<'_> {
        let Some(known) = self.0.get(&numbers.id) else {
            return if numbers.seq == 0 {
                Verdict::Accept
            } else {
                Verdict::Gap { expected: 0 }
            };
        };
        if numbers.epoch < known.epoch {
            return Verdict::Stale { epoch: known.epoch };
        }
        let expected = if numbers.epoch > known.epoch {
            0
        } else if known.answer.part.is_some() {
            known.seq
        } else {
            known.seq + 1
        };
        match numbers.seq {
            seq if seq == known.seq && numbers.epoch == known.epoch => known.again(),
            seq if seq == expected => Verdict::Accept,
            seq if seq > expected => Verdict::Gap { expected },
            _ => Verdict::Duplicate,
        }
    }

    /// The progress of a batch of which only some lines are stored: their number, and the response
    /// so far.
    pub fn begun(&self, numbers: &ProducerNumbers) -> Option<(u64, &str)> {
        let known = self.0.get(&numbers.id)?;
        if known.epoch != numbers.epoch || known.seq != numbers.seq {
            return None;
        }
        let part = known.answer.part?;
        Some((part.done, &known.answer.body))
    }

    /// Remembers an accepted request. `used` grows with every commit and shows which producer is
    /// idle for longest. A part of a batch is appended to the parts before it. The same part may be
    /// passed more than once, as happens when journals are replayed.
    pub fn accept(&mut self, numbers: ProducerNumbers, mut answer: Answer, used: u64) {
        let ProducerNumbers { id, epoch, seq } = numbers;
        if let Some(part) = answer.part {
            match self
                .0
                .get_mut(&id)
                .filter(|known| (known.epoch, known.seq) == (epoch, seq))
            {
                Some(known) => return known.go_on(part, &answer.body, used),
                // The parts before it were in a file that was damaged.
                None if part.from > 0 => answer.body.insert_str(0, &lost_results(part.from)),
                None => {}
            }
            answer.part = Some(part).filter(|part| !part.last);
        }
        if !self.0.contains_key(&id) && self.0.len() >= MAX_PRODUCERS {
            let idle = self
                .0
                .iter()
                .min_by_key(|(_, p)| p.used)
                .map(|(id, _)| id.clone());
            if let Some(idle) = idle {
                self.0.remove(&idle);
            }
        }
        self.0.insert(
            id,
            Position {
                epoch,
                seq,
                used,
                answer,
            },
        );
    }

    /// The remembered position of a producer.
    pub fn position(&self, id: &str) -> Option<&Position> {
        self.0.get(id)
    }

    /// Resets a producer to an earlier remembered position.
    pub fn restore(&mut self, id: String, earlier: Option<Position>) {
        match earlier {
            Some(position) => drop(self.0.insert(id, position)),
            None => drop(self.0.remove(&id)),
        }
    }

    /// Whether no producer is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Position {
    /// What to do with a request that repeats this position's numbers.
    fn again(&self) -> Verdict<'_> {
        if self.answer.part.is_some() {
            Verdict::Begun
        } else {
            Verdict::Repeat(&self.answer)
        }
    }

    /// Appends a part to the remembered ones, unless it is already among them.
    fn go_on(&mut self, part: Part, results: &str, used: u64) {
        let Some(known) = self.answer.part.filter(|known| known.done == part.from) else {
            return;
        };
        self.answer.body.push_str(results);
        self.answer.part = if part.last {
            None
        } else {
            Some(Part {
                done: part.done,
                ..known
            })
        };
        self.used = used;
    }
}

/// The start of a response whose first `lines` results are lost.
fn lost_results(lines: u64) -> String {
    format!(
        "{BATCH_OPENING}{}",
        vec![r#"{"success":true}"#; lines as usize].join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(epoch: u64, seq: u64) -> ProducerNumbers {
        ProducerNumbers {
            id: "p".into(),
            epoch,
            seq,
        }
    }

    fn answer(body: &str) -> Answer {
        Answer {
            status: 200,
            body: body.into(),
            part: None,
        }
    }

    #[test]
    fn the_table_of_verdicts() {
        let mut producers = Producers::default();
        assert_eq!(producers.check(&numbers(0, 0)), Verdict::Accept);
        assert_eq!(
            producers.check(&numbers(0, 3)),
            Verdict::Gap { expected: 0 }
        );
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
            assert_eq!(
                producers.check(&numbers(epoch, seq)),
                verdict,
                "epoch {epoch} seq {seq}"
            );
        }
    }

    #[test]
    fn the_idlest_producer_is_forgotten_first() {
        let mut producers = Producers::default();
        for n in 0..=MAX_PRODUCERS as u64 {
            let id = format!("p{n}");
            producers.accept(
                ProducerNumbers {
                    id,
                    epoch: 0,
                    seq: 0,
                },
                answer(""),
                n,
            );
        }
        let first = ProducerNumbers {
            id: "p0".into(),
            epoch: 0,
            seq: 1,
        };
        assert_eq!(producers.check(&first), Verdict::Gap { expected: 0 });
        let second = ProducerNumbers {
            id: "p1".into(),
            epoch: 0,
            seq: 1,
        };
        assert_eq!(producers.check(&second), Verdict::Accept);
    }

    /// The parts of a batch of five lines.
    fn parts() -> [Answer; 3] {
        let part = |from, done, last, body: &str| Answer {
            status: 200,
            body: body.into(),
            part: Some(Part { from, done, last }),
        };
        [
            part(0, 2, false, "{\"results\":[1,2"),
            part(2, 4, false, ",3,4"),
            part(4, 5, true, ",5],\"offset\":9}"),
        ]
    }

    #[test]
    fn a_batch_in_parts_is_one_answer_however_often_a_part_is_repeated() {
        let whole = answer("{\"results\":[1,2,3,4,5],\"offset\":9}");
        for told in [
            &[0, 1, 2][..],
            &[0, 0, 1, 0, 1, 2],
            &[0, 1, 2, 0, 1, 2],
            &[0, 1, 2, 2, 1],
        ] {
            let mut producers = Producers::default();
            for &n in told {
                producers.accept(numbers(0, 0), parts()[n].clone(), n as u64);
            }
            assert_eq!(
                producers.check(&numbers(0, 0)),
                Verdict::Repeat(&whole),
                "{told:?}"
            );
            assert_eq!(producers.begun(&numbers(0, 0)), None);
            assert_eq!(producers.check(&numbers(0, 1)), Verdict::Accept);
        }
    }

    #[test]
    fn a_batch_that_is_stored_in_part_has_to_be_completed_first() {
        let mut producers = Producers::default();
        producers.accept(numbers(1, 0), answer("first"), 1);
        producers.accept(numbers(1, 1), parts()[0].clone(), 2);
        assert_eq!(
            producers.begun(&numbers(1, 1)),
            Some((2, "{\"results\":[1,2"))
        );
        for (epoch, seq, verdict) in [
            (1, 1, Verdict::Begun),
            (1, 2, Verdict::Gap { expected: 1 }),
            (1, 0, Verdict::Duplicate),
            (2, 0, Verdict::Accept),
            (0, 1, Verdict::Stale { epoch: 1 }),
        ] {
            assert_eq!(
                producers.check(&numbers(epoch, seq)),
                verdict,
                "{epoch} {seq}"
            );
        }
        let stored = serde_json::to_string(&producers).unwrap();
        assert_eq!(
            serde_json::from_str::<Producers>(&stored).unwrap(),
            producers
        );
    }

    #[test]
    fn of_parts_that_are_lost_it_is_known_that_they_were_stored() {
        let mut producers = Producers::default();
        producers.accept(numbers(0, 0), parts()[1].clone(), 1);
        producers.accept(numbers(0, 0), parts()[2].clone(), 2);
        let Verdict::Repeat(answer) = producers.check(&numbers(0, 0)) else {
            panic!("it is whole")
        };
        let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let stored = serde_json::json!({"success": true});
        assert_eq!(
            answer["results"],
            serde_json::json!([stored, stored, 3, 4, 5])
        );
    }
}
