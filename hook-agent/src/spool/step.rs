//! How far one session's batch is, and what may be stored of it unknown to us.
//!
//! A number is meant for one request: the service answers every later one under it with the results of the first that it
//! took. Where that is refused whole, the batch has to be halved, and a line that is refused alone is set aside: then what
//! is left is another request. That is simple as long as each attempt was answered. If one was not, the service may have
//! stored it.
//!
//! So while a request is in doubt nothing else is sent under its number: either the same lines again, or, where that is
//! no use any more, an **empty batch**, which stores nothing and is small enough for whatever refused the other for its
//! size. If the service has stored the request, the empty batch is a repeat, and answered with its results: the lines
//! that are left of it are settled by them. If not, the empty batch is the one that has used the number up, and is
//! answered with no results, now and whenever it is repeated: what is left goes under the next number. Either way
//! nothing is lost, and nothing is stored twice, however many answers are lost on the way.
//!
//! Once every line of a request in doubt is set aside, nothing is left to ask for, and the number goes along: it may
//! be used up. If it is not, the service says so (a gap), and the rest is numbered anew. What for twenty times refuses even an
//! empty batch leaves the doubt: what is left goes under the next number, and may be stored twice.

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
    /// The same. An earlier version sends nothing that ends later, and halves the request under its number: where that
    /// one ended.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    bound: usize,
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

    /// The lines to send next, of a batch of `total`.
    pub(crate) fn request(&self, total: usize) -> Range<usize> {
        let end = if self.lines == 0 { total } else { total.min(self.settled + self.lines) };
        self.settled.min(end)..end
    }

    /// Whether an earlier request under this number may be stored.
    pub(crate) fn in_doubt(&self) -> bool {
        self.reach > 0
    }

    /// Whether an empty batch has to ask what became of the request in doubt before these lines can be sent.
    pub(crate) fn has_to_ask(&self, lines: &Range<usize>) -> bool {
        self.in_doubt() && (self.from != lines.start || self.reach != lines.end || self.bound != self.reach)
    }

    /// The request of these lines may be stored.
    pub(crate) fn doubt(&mut self, sent: &Range<usize>) {
        if !self.in_doubt() {
            (self.from, self.reach, self.bound) = (sent.start, sent.end, sent.end);
        }
    }

    /// The lines left of the request in doubt that the answer to an empty batch shows to be stored, if any, and how many of
    /// its results are for lines before them.
    pub(crate) fn shown(&self, results: usize) -> Option<(Range<usize>, usize)> {
        let end =
            [self.reach, self.bound].into_iter().find(|end| results > 0 && results == end - self.from)?;
        let stored = self.settled.max(self.from)..end;
        (!stored.is_empty()).then(|| (stored.clone(), stored.start - self.from))
    }

    /// So many more lines are done with; with `counted` so is the number.
    pub(crate) fn settle(&mut self, lines: usize, counted: bool) {
        self.settled += lines;
        self.lines = self.lines.saturating_sub(lines);
        if counted || self.in_doubt() && self.settled >= self.reach {
            self.next_number();
        }
    }

    /// From now on requests carry so many lines.
    pub(crate) fn split(&mut self, lines: usize) {
        self.lines = lines;
    }

    /// This number is used up.
    pub(crate) fn next_number(&mut self) {
        self.number(self.epoch, self.seq + 1);
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
    fn what_is_in_doubt_is_repeated_or_asked_for() {
        let mut step = Step::new(1, 0);
        assert!(!step.has_to_ask(&step.request(8)));
        step.doubt(&(0..8));
        assert!(!step.has_to_ask(&step.request(8)), "the same again");
        step.split(4);
        assert!(step.has_to_ask(&step.request(8)));
        step.settle(1, false);
        assert_eq!(step.shown(8), Some((1..8, 1)));
        assert_eq!((step.shown(0), step.shown(3)), (None, None));
        step.next_number();
        assert_eq!((step.seq, step.in_doubt(), step.request(8)), (1, false, 1..4));
        step.doubt(&(1..4));
        step.settle(3, false);
        assert_eq!((step.seq, step.in_doubt()), (2, false), "nothing of it is left");
    }

    #[test]
    fn what_an_earlier_version_has_halved_under_its_number_is_asked_for() {
        let earlier = r#"{"e":1,"q":7,"s":1,"n":3,"r":8,"b":4,"a":1}"#;
        let step: Step = serde_json::from_str(earlier).unwrap();
        assert!(step.has_to_ask(&step.request(8)));
        assert_eq!((step.shown(8), step.shown(4)), (Some((1..8, 1)), Some((1..4, 1))));
        assert_eq!(step.shown(1), None, "the line that was sent alone is set aside");
    }

    #[test]
    fn an_earlier_version_sends_nothing_that_ends_later_than_what_is_in_doubt() {
        let mut step = Step::new(1, 0);
        step.doubt(&(0..8));
        assert_eq!(serde_json::to_string(&step).unwrap(), r#"{"e":1,"q":0,"r":8,"b":8}"#);
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
            let settled = if sent.is_empty() {
                self.step.shown(results).map(|(lines, _)| lines)
            } else {
                Some(sent.clone())
            };
            let Some(settled) = settled else { return self.step.next_number() };
            assert!(sent.is_empty() || results == sent.len());
            settled.clone().for_each(|line| self.delivered[line] = true);
            self.step.settle(settled.len(), true);
        }

        fn lost(&mut self, sent: &Range<usize>, arrives: bool) {
            if arrives {
                self.arrive(sent);
            }
            self.step.doubt(sent);
        }

        fn refused(&mut self, lines: usize) {
            match lines {
                1 => self.step.settle(1, false),
                lines => self.step.split(lines / 2),
            }
        }

        fn go(&self, more: u32) {
            if self.step.settled == TOTAL {
                for (stored, delivered) in self.stored.iter().zip(self.delivered) {
                    assert!(*stored > 0 || !delivered, "lost: {:?}", self.stored);
                    assert!(*stored < 2, "stored twice: {:?}", self.stored);
                }
                return;
            }
            let lines = self.step.request(TOTAL);
            assert!(!lines.is_empty());
            let asks = self.step.has_to_ask(&lines);
            let sent = if asks { lines.start..lines.start } else { lines.clone() };
            let after = |act: &dyn Fn(&mut Self)| {
                let mut way = self.clone();
                act(&mut way);
                way.go(more.saturating_sub(1));
            };
            after(&|way| way.answered(&sent));
            if more > 0 {
                after(&|way| way.lost(&sent, true));
                after(&|way| way.lost(&sent, false));
                // For its size alone, which an empty batch has not.
                if !asks {
                    after(&|way| way.refused(lines.len()));
                }
            }
        }
    }

    #[test]
    fn whatever_happens_on_the_way_everything_is_stored_once() {
        Way { step: Step::new(1, 0), ..Way::default() }.go(12);
    }
}
