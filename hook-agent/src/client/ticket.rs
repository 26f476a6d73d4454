//! The receipt of a call: it can be dropped, waited for, given a callback or awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Answer;
use crate::Error;
use crate::delivery::Delivery;
use crate::sync::{Condvar, Mutex};

/// The receipt of a write in the spool, or of a read in progress.
///
/// Dropping it changes nothing: a write is delivered all the same.
pub struct Ticket(Inner);

enum Inner {
    Record {
        shared: Arc<Delivery>,
        pid: u32,
        record: u64,
    },
    Read(Arc<AnswerCell>),
}

type Settled = Result<Answer, Error>;

impl Ticket {
    pub(crate) fn record(shared: Arc<Delivery>, pid: u32, record: u64) -> Self {
        Self(Inner::Record {
            shared,
            pid,
            record,
        })
    }

    pub(crate) fn read(cell: Arc<AnswerCell>) -> Self {
        Self(Inner::Read(cell))
    }

    /// Returns the number of a write, from which [`HookAgent::ticket`](super::HookAgent::ticket)
    /// makes this ticket again. A read has none.
    pub fn number(&self) -> Option<u64> {
        match self.0 {
            Inner::Record { record, .. } => Some(record),
            Inner::Read(_) => None,
        }
    }

    /// Calls `callback` once, with the service's response or an error; see [`super`] for when and
    /// on which thread.
    pub fn on_done(self, callback: impl FnOnce(Result<Answer, Error>) + Send + 'static) {
        match self.0 {
            Inner::Read(cell) => cell.on_done(Box::new(callback)),
            // This process is a fork of the caller: the parent delivers the record.
            Inner::Record { pid, .. } if pid != std::process::id() => {
                callback(Ok(Answer::queued()));
            }
            Inner::Record { shared, record, .. } => {
                let of = Arc::clone(&shared);
                let waits = shared.answers.register(
                    record,
                    Box::new(move |outcome| callback(Answer::of(outcome, &of))),
                );
                if waits {
                    shared.notifier.notify(|signals| signals.now = true);
                }
            }
        }
    }

    /// Waits for the answer, at most for `timeout`. After that the record is still delivered.
    pub fn wait(self, timeout: Duration) -> Result<Answer, Error> {
        self.into_cell().wait(timeout)
    }

    fn into_cell(self) -> Arc<AnswerCell> {
        if let Inner::Read(cell) = self.0 {
            return cell;
        }
        let cell = Arc::new(AnswerCell::default());
        let filled = Arc::clone(&cell);
        self.on_done(move |settled| filled.fill(settled));
        cell
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Inner::Record { record, .. } => write!(f, "Ticket(record {record})"),
            Inner::Read(_) => f.write_str("Ticket(read)"),
        }
    }
}

impl IntoFuture for Ticket {
    type Output = Result<Answer, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Awaited(self.into_cell()))
    }
}

/// Holds one answer until it is taken.
#[derive(Default)]
pub(crate) struct AnswerCell {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    settled: Option<Settled>,
    callback: Option<Box<dyn FnOnce(Settled) + Send>>,
    waker: Option<Waker>,
}

impl AnswerCell {
    pub(crate) fn fill(&self, settled: Settled) {
        let mut state = self.state.lock();
        if let Some(callback) = state.callback.take() {
            drop(state);
            return callback(settled);
        }
        state.settled = Some(settled);
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }

    fn on_done(&self, callback: Box<dyn FnOnce(Settled) + Send>) {
        let mut state = self.state.lock();
        let Some(settled) = state.settled.take() else {
            state.callback = Some(callback);
            return;
        };
        drop(state);
        callback(settled);
    }

    fn wait(&self, timeout: Duration) -> Settled {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        loop {
            if let Some(settled) = state.settled.take() {
                return settled;
            }
            let over;
            (state, over) = self.filled.wait_until(state, deadline);
            if over {
                let late = Error::Timeout {
                    millis: timeout.as_millis(),
                };
                return state.settled.take().unwrap_or(Err(late));
            }
        }
    }
}

struct Awaited(Arc<AnswerCell>);

impl Future for Awaited {
    type Output = Settled;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        let mut state = self.0.state.lock();
        if let Some(settled) = state.settled.take() {
            return Poll::Ready(settled);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
