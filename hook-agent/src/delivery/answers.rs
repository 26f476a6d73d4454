//! The callers that wait for records, and the outcomes of the latest records.
//!
//! A call that nobody awaits costs nothing here. A call awaited after its response arrived still
//! finds the response if it is among the last few batches; later, it still learns whether the
//! record was stored ([`unstored`](super::unstored)).

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::outcome::Outcome;
use super::unstored::Unstored;
use crate::sync::Mutex;

/// The number of settled batches that are remembered, and the most bytes kept of each response.
const REMEMBERED: usize = 8;
const REMEMBERED_BYTES: usize = 1024;

/// Called once, on the delivery thread or on the thread that registers it.
pub(crate) type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// The waiting callbacks and the remembered outcomes.
pub(crate) struct Answers {
    inner: Mutex<Inner>,
    /// True between a failed attempt and the next success. Meanwhile new callbacks get `queued` at
    /// once.
    failing: AtomicBool,
    panics: AtomicU64,
}

struct Inner {
    waiting: HashMap<u64, Callback>,
    recent: VecDeque<Vec<(u64, Outcome)>>,
    /// All records below this number are settled, whether remembered or not.
    settled: u64,
    /// Settled records at or above `settled`.
    ahead: Vec<u64>,
    unstored: Unstored,
}

impl Answers {
    /// Returns an empty table for a process whose first record will have this number.
    pub(crate) fn from(first: u64) -> Self {
        let inner = Inner {
            waiting: HashMap::new(),
            recent: VecDeque::new(),
            settled: first,
            ahead: Vec::new(),
            unstored: Unstored::from(first),
        };
        Self {
            inner: Mutex::new(inner),
            failing: AtomicBool::new(false),
            panics: AtomicU64::new(0),
        }
    }

    /// Calls `callback` once the record's outcome is known. Returns whether that is still to come.
    pub(crate) fn register(&self, record: u64, callback: Callback) -> bool {
        let mut inner = self.inner.lock();
        let known = inner
            .known(record)
            .or_else(|| self.is_failing().then_some(Outcome::Queued));
        let Some(outcome) = known else {
            inner.wait(record, callback);
            return true;
        };
        drop(inner);
        self.call(callback, outcome);
        false
    }

    /// Settles records with these outcomes, in order.
    pub(crate) fn settle(&self, outcomes: Vec<(u64, Outcome)>) {
        let mut inner = self.inner.lock();
        let mut due = Vec::new();
        for (record, outcome) in &outcomes {
            due.extend(
                inner
                    .waiting
                    .remove(record)
                    .map(|callback| (callback, outcome.clone())),
            );
            inner.ahead.push(*record);
            if let Outcome::Rejected { .. } = outcome {
                inner
                    .unstored
                    .add(*record, record + 1, outcome.clone().shortened());
            }
        }
        inner.recent.push_back(
            outcomes
                .into_iter()
                .map(|(record, outcome)| (record, outcome.shortened()))
                .collect(),
        );
        if inner.recent.len() > REMEMBERED {
            inner.recent.pop_front();
        }
        drop(inner);
        self.call_all(due);
    }

    /// Delivery has reached this record: callbacks that still wait for an earlier one get
    /// `Dropped`.
    pub(crate) fn passed(&self, cursor: u64) {
        let mut inner = self.inner.lock();
        inner.pass(cursor);
        let gone: Vec<u64> = inner
            .waiting
            .keys()
            .copied()
            .filter(|record| *record < cursor)
            .collect();
        let dropped = gone
            .iter()
            .filter_map(|record| Some((inner.waiting.remove(record)?, Outcome::Dropped)));
        let due = dropped.collect();
        drop(inner);
        self.call_all(due);
    }

    /// An attempt failed: all waiting callbacks get `Queued`.
    pub(crate) fn fail(&self) {
        self.failing.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut self.inner.lock().waiting);
        self.call_all(
            waiting
                .into_values()
                .map(|callback| (callback, Outcome::Queued))
                .collect(),
        );
    }

    pub(crate) fn succeed(&self) {
        self.failing.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::SeqCst)
    }

    /// Returns how many callbacks panicked. The delivery thread continued.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    fn call_all(&self, due: Vec<(Callback, Outcome)>) {
        for (callback, outcome) in due {
            self.call(callback, outcome);
        }
    }

    fn call(&self, callback: Callback, outcome: Outcome) {
        if catch_unwind(AssertUnwindSafe(|| callback(outcome))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Inner {
    /// Adds a callback. A record may have several, because its ticket can be made again.
    fn wait(&mut self, record: u64, callback: Callback) {
        let both: Callback = match self.waiting.remove(&record) {
            None => callback,
            Some(earlier) => Box::new(move |outcome| {
                earlier(outcome.clone());
                callback(outcome);
            }),
        };
        self.waiting.insert(record, both);
    }

    /// Marks records below `cursor` that were never settled as dropped.
    fn pass(&mut self, cursor: u64) {
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.sort_unstable();
        let beyond = ahead.split_off(ahead.partition_point(|record| *record < cursor));
        for record in ahead.into_iter().chain([cursor]) {
            if record > self.settled {
                self.unstored.add(self.settled, record, Outcome::Dropped);
            }
            self.settled = self.settled.max(record + u64::from(record < cursor));
        }
        self.ahead = beyond;
    }

    fn known(&self, record: u64) -> Option<Outcome> {
        let remembered = self.recent.iter().find_map(|batch| {
            let at = batch
                .binary_search_by_key(&record, |(number, _)| *number)
                .ok()?;
            Some(batch[at].1.clone())
        });
        remembered.or_else(|| {
            (record < self.settled || self.ahead.contains(&record))
                .then(|| self.unstored.of(record))
        })
    }
}

impl Outcome {
    fn shortened(self) -> Self {
        match self {
            Self::Answer(json) if json.len() > REMEMBERED_BYTES => Self::Stored,
            Self::Rejected {
                call,
                code,
                mut message,
            } => {
                message.truncate(message.floor_char_boundary(REMEMBERED_BYTES));
                Self::Rejected {
                    call,
                    code,
                    message,
                }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn ask(answers: &Answers, record: u64) -> mpsc::Receiver<Outcome> {
        let (sender, receiver) = mpsc::channel();
        answers.register(record, Box::new(move |outcome| drop(sender.send(outcome))));
        receiver
    }

    #[test]
    fn an_answer_is_found_before_and_after_it_came() {
        let answers = Answers::from(0);
        let early = ask(&answers, 1);
        let outcome = Outcome::Answer("{}".into());
        answers.settle(vec![(0, Outcome::Stored), (1, outcome.clone())]);
        assert_eq!(early.try_recv(), Ok(outcome.clone()));
        assert_eq!(ask(&answers, 1).try_recv(), Ok(outcome));
    }

    #[test]
    fn all_callers_that_wait_for_a_record_get_its_result() {
        let answers = Answers::from(0);
        let waiting = [ask(&answers, 1), ask(&answers, 1), ask(&answers, 1)];
        answers.settle(vec![(1, Outcome::Stored)]);
        assert!(
            waiting
                .iter()
                .all(|one| one.try_recv() == Ok(Outcome::Stored))
        );
    }

    #[test]
    fn a_caller_that_waits_for_a_dropped_record_gets_an_error() {
        let answers = Answers::from(0);
        let waiting = ask(&answers, 3);
        answers.passed(4);
        assert_eq!(waiting.try_recv(), Ok(Outcome::Dropped));
    }

    #[test]
    fn what_was_settled_within_a_window_of_many_batches_is_known_before_the_window_is_passed() {
        let answers = Answers::from(0);
        (0..32).for_each(|record| answers.settle(vec![(record, Outcome::Stored)]));
        assert_eq!(ask(&answers, 0).try_recv(), Ok(Outcome::Stored));
        answers.settle(vec![(40, Outcome::Stored)]);
        answers.passed(41);
        let outcomes = [31, 32, 39, 40].map(|record| ask(&answers, record).try_recv().unwrap());
        assert_eq!(
            outcomes,
            [
                Outcome::Stored,
                Outcome::Dropped,
                Outcome::Dropped,
                Outcome::Stored
            ]
        );
    }

    #[test]
    fn while_the_service_is_away_no_caller_waits() {
        let answers = Answers::from(0);
        let waiting = ask(&answers, 3);
        answers.fail();
        assert_eq!(waiting.try_recv(), Ok(Outcome::Queued));
        assert_eq!(ask(&answers, 4).try_recv(), Ok(Outcome::Queued));
    }

    #[test]
    fn a_callback_that_panics_is_counted() {
        let answers = Answers::from(0);
        answers.settle(vec![(0, Outcome::Stored)]);
        answers.register(0, Box::new(|_| panic!("as a test")));
        assert_eq!(answers.panics(), 1);
    }
}
