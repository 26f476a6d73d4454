//! How far one session's batch is, and what may be stored of it unknown to us.
//!
//! A number is meant for one request. It carries another only where the first was refused whole: then the batch is
//! halved, and a line that is refused alone is set aside. If an earlier request under the number had no answer, the
//! service may have stored that one, and answers every later one with its results. Two rules keep this sound, with
//! any service:
//!
//! - While a number is in doubt, no request under it ends later than the smallest one whose answer is missing: all that
//!   is sent is then part of whatever is stored, and settles nothing that is not.
//! - How many results an answer has tells which request it is for: fewer than the lines that were sent are a line's
//!   that was sent alone, and has been set aside since. Where it can't be told, only what was sent is settled, and the
//!   rest is sent under the next number.
//!
//! What remains: a line may be stored twice, never lost, if two requests under one number had no answer. Lines 1 and 2
//! are sent and stored, and the answer is lost. The repeat is refused whole, so line 1 is sent alone; that answer is
//! lost, too, and the repeat refused: line 1 is set aside. Line 2 is next. Under the same number its answer would have
//! one result, and so would a repeat of line 1's: taking that for line 2's might lose it. So it goes under the next
//! number, and is stored once more. `Producer-Duplicate` in the answer would tell the two apart, but a service that does
//! not send it, as an older one, looks as if nothing had been repeated: then the line would be lost.
//!
//! Once every line below that end is set aside, the number goes along: it may be used up. If it is not, the service says
//! so (a gap), and the rest is numbered anew.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How far one session's batch is. Lines are counted from the batch's first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The epoch that `seq` counts in.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// The number that its current request carries.
    #[serde(rename = "q")]
    pub seq: u64,
    /// Lines that are settled.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub settled: usize,
    /// Lines of the current request; 0 is all that are left.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub lines: usize,
    /// Where the first request under this number whose answer is missing started, and
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    from: usize,
    /// where it ended; 0 if there was none.
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    reach: usize,
    /// Where the smallest of them ended, those of one line aside.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    bound: usize,
    /// One line was sent alone and its answer is missing: its place, counted from 1; 0 if there was none.
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    alone: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Step {
    /// Nothing is settled, nothing sent.
    pub(crate) fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq, ..Self::default() }
    }

    /// The lines of the request to send now, of a batch of `total`.
    pub(crate) fn request(&self, total: usize) -> Range<usize> {
        let end = if self.in_doubt() { self.bound.min(total) } else { total };
        let end = if self.lines == 0 { end } else { end.min(self.settled + self.lines) };
        self.settled.min(end)..end
    }

    /// Whether an earlier request under this number may be stored.
    pub(crate) fn in_doubt(&self) -> bool {
        self.reach > 0
    }

    /// This request may be stored.
    pub(crate) fn doubt(&mut self, sent: &Range<usize>) {
        if !self.in_doubt() {
            (self.from, self.reach, self.bound) = (sent.start, sent.end, sent.end);
        } else if sent.len() > 1 {
            self.bound = self.bound.min(sent.end);
        }
        if sent.len() == 1 {
            self.alone = sent.end;
        }
    }

    /// The lines that an answer with so many results settles, and how many of the results are for lines before them.
    pub(crate) fn answered(&self, sent: &Range<usize>, results: usize) -> (Range<usize>, usize) {
        if self.alone > 0 && results < sent.len() {
            return (sent.start..sent.start, 0);
        }
        let before = sent.start - self.from.min(sent.start);
        let known = before == 0 || results == self.reach - self.from || results == self.bound - self.from;
        let end = self.from + results;
        if results > sent.len() && known && end >= sent.end && end <= self.reach {
            return (sent.start..end, before);
        }
        (sent.clone(), results.saturating_sub(sent.len()))
    }

    /// So many more lines are done with; with `counted` so is the number.
    pub(crate) fn settle(&mut self, lines: usize, counted: bool) {
        self.settled += lines;
        self.lines = self.lines.saturating_sub(lines);
        if counted || self.in_doubt() && self.settled >= self.bound {
            self.number(self.epoch, self.seq + 1);
        }
        self.tell_apart();
    }

    /// From now on requests carry so many lines.
    pub(crate) fn split(&mut self, lines: usize) {
        self.lines = lines;
        self.tell_apart();
    }

    /// Two lines that were sent alone under one number have answers alike: the second has the next number.
    fn tell_apart(&mut self) {
        let next = self.request(usize::MAX);
        if self.alone > 0 && next.len() == 1 && next.end != self.alone {
            self.number(self.epoch, self.seq + 1);
        }
    }

    /// From here on under this number, which nothing was sent with.
    pub(crate) fn number(&mut self, epoch: u64, seq: u64) {
        *self = Self { epoch, seq, settled: self.settled, lines: self.lines, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_never_ends_later_than_one_that_may_be_stored() {
        let mut step = Step::new(1, 0);
        step.doubt(&(0..8));
        step.lines = 4;
        step.doubt(&step.request(9));
        step.lines = 1;
        step.doubt(&step.request(9));
        step.settle(1, false);
        assert_eq!((step.request(9), step.seq), (1..4, 0));
        step.settle(3, false);
        assert_eq!((step.request(9), step.seq), (4..9, 1), "none is left that the number is for");
    }

    #[test]
    fn the_number_of_results_tells_what_is_stored() {
        let mut step = Step::new(1, 0);
        assert_eq!(step.answered(&(0..8), 8), (0..8, 0));
        step.doubt(&(0..8));
        assert_eq!(step.answered(&(0..4), 8), (0..8, 0));
        step.doubt(&(0..4));
        assert_eq!(step.answered(&(0..2), 4), (0..4, 0));
        step.settle(1, false);
        assert_eq!(step.answered(&(1..4), 8), (1..8, 1), "the first");
        assert_eq!(step.answered(&(1..4), 4), (1..4, 1), "the second");
        assert_eq!(step.answered(&(1..4), 3), (1..4, 0), "this one");
        assert_eq!(step.answered(&(1..2), 3), (1..2, 2), "not known");
    }

    const TOTAL: usize = 6;

    /// A batch on its way, and a service.
    #[derive(Clone, Default)]
    struct Way {
        step: Step,
        /// The service's epoch, the number that it expects, and how many lines it stored under the one before.
        known: (u64, u64, usize),
        stored: [u32; TOTAL],
        delivered: [bool; TOTAL],
        unanswered: u32,
    }

    impl Way {
        /// The results of its answer; `None` is a gap.
        fn arrive(&mut self, sent: &Range<usize>) -> Option<usize> {
            let (epoch, expected, last) = self.known;
            if self.step.epoch == epoch && self.step.seq + 1 == expected {
                return Some(last);
            }
            let expected = if self.step.epoch > epoch { 0 } else { expected };
            (self.step.seq == expected).then(|| {
                sent.clone().for_each(|line| self.stored[line] += 1);
                self.known = (self.step.epoch, expected + 1, sent.len());
                sent.len()
            })
        }

        fn answered(&mut self, sent: &Range<usize>) {
            let Some(results) = self.arrive(sent) else { return self.step.number(self.step.epoch + 1, 0) };
            let (lines, _) = self.step.answered(sent, results);
            lines.clone().for_each(|line| self.delivered[line] = true);
            self.step.settle(lines.len(), true);
        }

        fn lost(&mut self, sent: &Range<usize>, arrives: bool) {
            if arrives {
                self.arrive(sent);
            }
            self.unanswered += 1;
            self.step.doubt(sent);
        }

        fn refused(&mut self, sent: &Range<usize>) {
            match sent.len() {
                1 => self.step.settle(1, false),
                lines => self.step.split(lines / 2),
            }
        }

        fn go(&self, more: u32) {
            if self.step.settled == TOTAL {
                for (stored, delivered) in self.stored.iter().zip(self.delivered) {
                    assert!(*stored > 0 || !delivered, "lost: {:?}", self.stored);
                    assert!(*stored < 2 || self.unanswered > 1, "stored twice: {:?}", self.stored);
                }
                return;
            }
            let sent = self.step.request(TOTAL);
            assert!(!sent.is_empty());
            let after = |act: &dyn Fn(&mut Self)| {
                let mut way = self.clone();
                act(&mut way);
                way.go(more.saturating_sub(1));
            };
            after(&|way| way.answered(&sent));
            if more > 0 {
                after(&|way| way.lost(&sent, true));
                after(&|way| way.lost(&sent, false));
                after(&|way| way.refused(&sent));
            }
        }
    }

    #[test]
    fn whatever_happens_on_the_way_nothing_counts_as_delivered_that_is_not_stored() {
        Way { step: Step::new(1, 0), ..Way::default() }.go(12);
    }
}
