//! The progress of one session's batch, and what the service may have stored of it without our
//! knowledge.
//!
//! Each number is for one request: the service answers every later request with the same number
//! with the results of the first one that it accepted. If the whole batch is refused, it has to be
//! halved, and a line that is refused alone is rejected; the rest is then a different request. That
//! is simple as long as every attempt got a response. If one did not, the service may have stored
//! it.
//!
//! So while a request is in doubt, nothing else is sent with its number: either the same lines
//! again, or, where that no longer helps, an **empty batch**. An empty batch stores nothing, and is
//! small enough for whatever refused the other request for its size. If the service has stored the
//! request, the empty batch is a repeat and is answered with the request's results, which settle
//! the remaining lines of that request. If not, the empty batch uses the number up, and is answered
//! with no results, now and whenever it is repeated; the remaining lines are sent with the next
//! number. A service that has stored only the beginning of a large batch ends that batch with the
//! empty one, and answers with the results of the beginning. Either way nothing is lost and nothing
//! is stored twice, however many responses are lost on the way. A single line that is refused while
//! it is in doubt is asked for too, so that no line is both stored and reported as rejected.
//!
//! Once every line of a request in doubt has been given up, there is nothing left to ask for, and
//! its number is skipped, because it may be used up. If it is not, the service reports a gap, and
//! the remaining lines get new numbers. If even an empty batch is refused twenty times, the doubt
//! stays: the remaining lines are sent with the next number, and may be stored twice.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The progress of one session's batch. Lines are counted from the first of the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The epoch of `seq`.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// The number of the current request.
    #[serde(rename = "q")]
    pub seq: u64,
    /// Lines that are settled.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub settled: usize,
    /// Lines of the current request; 0 means all remaining ones.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub lines: usize,
    /// The first line of the first request with this number that got no response.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    from: usize,
    /// The end of that request; 0 if there was none.
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    reach: usize,
    /// The same as `reach`, kept for an earlier version, which sends nothing with this number that
    /// ends after it. Written by that version, it may be smaller: that version halves a request
    /// without changing its number, and this is where the half ended.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    bound: usize,
    /// The request in doubt is refused, so that only an empty batch can tell whether it is stored.
    #[serde(rename = "k", default, skip_serializing_if = "std::ops::Not::not")]
    asks: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Step {
    /// The progress at the start: nothing is settled, nothing is sent.
    pub(crate) fn new(epoch: u64, seq: u64) -> Self {
        Self {
            epoch,
            seq,
            ..Self::default()
        }
    }

    /// Returns the lines to send next, of a batch of `total`.
    pub(crate) fn request(&self, total: usize) -> Range<usize> {
        let end = if self.lines == 0 {
            total
        } else {
            total.min(self.settled + self.lines)
        };
        self.settled.min(end)..end
    }

    /// Returns whether an earlier request with this number may be stored.
    pub(crate) fn in_doubt(&self) -> bool {
        self.reach > 0
    }

    /// Returns whether an empty batch must first ask what became of the request in doubt before
    /// these lines can be sent.
    pub(crate) fn has_to_ask(&self, lines: &Range<usize>) -> bool {
        let is_another =
            self.from != lines.start || self.reach != lines.end || self.bound != self.reach;
        self.in_doubt() && (is_another || self.asks)
    }

    /// Marks the request of these lines as possibly stored.
    pub(crate) fn doubt(&mut self, sent: &Range<usize>) {
        if !self.in_doubt() {
            self.from = sent.start;
            self.reach = sent.end;
            self.bound = sent.end;
        }
    }

    /// Notes that the request in doubt cannot be repeated.
    pub(crate) fn ask(&mut self) {
        self.asks = true;
    }

    /// Returns the remaining lines of the request in doubt that the response to an empty batch
    /// shows to be stored, if any, and how many of its results are for lines before them.
    pub(crate) fn shown(&self, results: usize) -> Option<(Range<usize>, usize)> {
        let end = self.from + results;
        // An earlier version may have sent other lines with this number.
        if self.bound != self.reach && ![self.reach, self.bound].contains(&end) {
            return None;
        }
        let end = end.min(self.reach);
        let stored = self.settled.max(self.from)..end;
        (!stored.is_empty()).then(|| (stored.clone(), stored.start - self.from))
    }

    /// Settles `lines` more lines. With `counted`, the number is used up too.
    pub(crate) fn settle(&mut self, lines: usize, counted: bool) {
        self.settled += lines;
        self.lines = self.lines.saturating_sub(lines);
        if counted || self.in_doubt() && self.settled >= self.reach {
            self.next_number();
        }
    }

    /// Limits the next requests to this many lines.
    pub(crate) fn split(&mut self, lines: usize) {
        self.lines = lines;
    }

    /// Moves to the next number: this one is used up.
    pub(crate) fn next_number(&mut self) {
        self.number(self.epoch, self.seq + 1);
    }

    /// Continues with this number, which no request has used yet.
    pub(crate) fn number(&mut self, epoch: u64, seq: u64) {
        *self = Self {
            epoch,
            seq,
            settled: self.settled,
            lines: self.lines,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_is_repeated_or_asked_for() {
        let mut step = Step::new(1, 0);
        assert!(!step.has_to_ask(&step.request(8)));
        step.doubt(&(0..8));
        assert!(!step.has_to_ask(&step.request(8)), "the same again");
        step.split(4);
        assert!(step.has_to_ask(&step.request(8)));
        step.settle(1, false);
        assert_eq!(step.shown(8), Some((1..8, 1)));
        assert_eq!(
            step.shown(3),
            Some((1..3, 1)),
            "the beginning of a large batch"
        );
        assert_eq!(step.shown(0), None);
        assert_eq!(step.shown(1), None);
        step.next_number();
        assert_eq!(step.seq, 1);
        assert!(!step.in_doubt());
        assert_eq!(step.request(8), 1..4);
        step.doubt(&(1..4));
        step.settle(3, false);
        assert_eq!(step.seq, 2, "nothing of it is left");
        assert!(!step.in_doubt(), "nothing of it is left");
    }

    #[test]
    fn what_an_earlier_version_has_halved_under_its_number_is_asked_for() {
        let earlier = r#"{"e":1,"q":7,"s":1,"n":3,"r":8,"b":4,"a":1}"#;
        let step: Step = serde_json::from_str(earlier).unwrap();
        assert!(step.has_to_ask(&step.request(8)));
        assert_eq!(step.shown(8), Some((1..8, 1)));
        assert_eq!(step.shown(4), Some((1..4, 1)));
        assert_eq!(
            step.shown(1),
            None,
            "the line that was sent alone is rejected"
        );
    }

    #[test]
    fn an_earlier_version_sends_nothing_that_ends_later_than_what_is_in_doubt() {
        let mut step = Step::new(1, 0);
        step.doubt(&(0..8));
        assert_eq!(
            serde_json::to_string(&step).unwrap(),
            r#"{"e":1,"q":0,"r":8,"b":8}"#
        );
    }

    const TOTAL: usize = 6;

    /// A batch in delivery, and a service.
    #[derive(Clone, Default)]
    struct Way {
        step: Step,
        /// The service's epoch, the next number that it expects, and how many lines it stored with
        /// the previous number.
        known: (u64, u64, usize),
        /// How many lines it has stored of a batch with the expected number, as yet in part.
        begun: usize,
        stored: [u32; TOTAL],
        delivered: [bool; TOTAL],
    }

    /// What the service has of a request whose response is lost.
    #[derive(Clone, Copy)]
    enum Arrives {
        Not,
        InPart,
        Whole,
    }

    impl Way {
        /// Returns the number of results in the response; `None` is a gap.
        fn arrive(&mut self, sent: &Range<usize>) -> Option<usize> {
            let (epoch, expected, last) = self.known;
            if self.step.epoch == epoch && self.step.seq + 1 == expected {
                return Some(last);
            }
            let expected = if self.step.epoch > epoch { 0 } else { expected };
            (self.step.seq == expected).then(|| {
                let begun = std::mem::take(&mut self.begun);
                sent.clone()
                    .skip(begun)
                    .for_each(|line| self.stored[line] += 1);
                let results = if sent.is_empty() { begun } else { sent.len() };
                self.known = (self.step.epoch, expected + 1, results);
                results
            })
        }

        /// The service stores the first half of the request, and stops.
        fn arrive_in_part(&mut self, sent: &Range<usize>) {
            let (epoch, expected, _) = self.known;
            let expected = if self.step.epoch > epoch { 0 } else { expected };
            let half = sent.len() / 2;
            if self.step.seq == expected && half > self.begun {
                sent.clone()
                    .take(half)
                    .skip(self.begun)
                    .for_each(|line| self.stored[line] += 1);
                self.known = (self.step.epoch, expected, 0);
                self.begun = half;
            }
        }

        fn answered(&mut self, sent: &Range<usize>) {
            let Some(results) = self.arrive(sent) else {
                return self.step.number(self.step.epoch + 1, 0);
            };
            let settled = if sent.is_empty() {
                self.step.shown(results).map(|(lines, _)| lines)
            } else {
                Some(sent.clone())
            };
            let Some(settled) = settled else {
                return self.step.next_number();
            };
            assert!(sent.is_empty() || results == sent.len());
            settled.clone().for_each(|line| self.delivered[line] = true);
            self.step.settle(settled.len(), true);
        }

        fn lost(&mut self, sent: &Range<usize>, arrives: Arrives) {
            match arrives {
                Arrives::Not => {}
                Arrives::InPart => self.arrive_in_part(sent),
                Arrives::Whole => drop(self.arrive(sent)),
            }
            self.step.doubt(sent);
        }

        fn refused(&mut self, lines: usize) {
            match lines {
                1 if self.step.in_doubt() => self.step.ask(),
                1 => self.step.settle(1, false),
                lines => self.step.split(lines / 2),
            }
        }

        fn go(&self, more: u32) {
            if self.step.settled == TOTAL {
                for (stored, delivered) in self.stored.iter().zip(self.delivered) {
                    assert!(*stored < 2, "stored twice: {:?}", self.stored);
                    assert_eq!(
                        *stored > 0,
                        delivered,
                        "lost, or rejected though stored: {:?}",
                        self.stored
                    );
                }
                return;
            }
            let lines = self.step.request(TOTAL);
            assert!(!lines.is_empty());
            let asks = self.step.has_to_ask(&lines);
            let sent = if asks {
                lines.start..lines.start
            } else {
                lines.clone()
            };
            let after = |act: &dyn Fn(&mut Self)| {
                let mut way = self.clone();
                act(&mut way);
                way.go(more.saturating_sub(1));
            };
            after(&|way| way.answered(&sent));
            if more > 0 {
                for arrives in [Arrives::Not, Arrives::InPart, Arrives::Whole] {
                    after(&|way| way.lost(&sent, arrives));
                }
                // Refused only for its size, so an empty batch is not refused.
                if !asks {
                    after(&|way| way.refused(lines.len()));
                }
            }
        }
    }

    #[test]
    fn everything_is_stored_once_whatever_fails_on_the_way() {
        Way {
            step: Step::new(1, 0),
            ..Way::default()
        }
        .go(12);
    }
}
