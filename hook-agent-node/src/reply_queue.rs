//! Queues answers for the event loop: one reply queue per environment, one wake-up for all answers since
//! the last.
#![expect(
    clippy::needless_pass_by_value,
    reason = "what JavaScript hands over is owned"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hook_agent::sync::Mutex;
use hook_agent::{Answer, Error, SharedAgent, Ticket};
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::error::{Result, thrown};

/// What became of the request of this id.
#[napi(object)]
pub struct Settled {
    /// As the JavaScript side gave it.
    pub id: i64,
    /// The error's code, if it is one.
    pub code: Option<String>,
    /// The answer's JSON, or the error's message.
    pub text: String,
}

type Waiting = Arc<Mutex<Vec<Settled>>>;
/// Unreferenced, so it does not keep the event loop alive. The JavaScript side decides that.
type Wake = ThreadsafeFunction<(), (), Vec<Settled>, napi::Status, false, true>;

/// The replies of one environment, from its first agent until the last one is closed and answered.
#[napi]
pub struct ReplyQueue(Option<Arc<ReplySender>>);

/// The part of the queue that other threads hold.
pub(crate) struct ReplySender {
    waiting: Waiting,
    wake: Wake,
}

#[napi]
impl ReplyQueue {
    /// Calls `deliver` on the event loop with everything that has come since its last call.
    #[napi(constructor)]
    pub fn new(deliver: Function<'_, Vec<Settled>, ()>) -> napi::Result<Self> {
        let waiting = Waiting::default();
        let taken = Arc::clone(&waiting);
        let wake = deliver
            .build_threadsafe_function()
            .weak::<true>()
            .build_callback(move |_| Ok(std::mem::take(&mut *taken.lock())))?;
        Ok(Self(Some(Arc::new(ReplySender { waiting, wake }))))
    }

    /// Puts `true` in once everything that was called in this process so far is settled or known to
    /// be queued.
    #[napi]
    pub fn rest(&self, id: i64) -> Result<()> {
        let tickets: Vec<Ticket> = SharedAgent::all()
            .iter()
            .filter_map(|shared| shared.latest())
            .collect();
        let left = Arc::new(AtomicUsize::new(tickets.len() + 1));
        let sender = self.sender()?;
        let one_less = move || {
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                sender.put_text(id, Ok("true".to_owned()));
            }
        };
        for ticket in tickets {
            let one_less = one_less.clone();
            ticket.on_done(move |_| one_less());
        }
        one_less();
        Ok(())
    }

    /// Gives the event loop its handle back. Nothing may be put in any more.
    #[napi]
    pub fn close(&mut self) {
        self.0 = None;
    }

    pub(crate) fn sender(&self) -> Result<Arc<ReplySender>> {
        self.0.clone().ok_or_else(|| thrown(&Error::Closed))
    }
}

impl ReplySender {
    /// Queues an outcome. Callable from any thread; never waits for the event loop.
    pub(crate) fn put(&self, id: i64, outcome: std::result::Result<Answer, Error>) {
        self.put_text(id, outcome.map(Answer::into_json));
    }

    pub(crate) fn put_text(&self, id: i64, outcome: std::result::Result<String, Error>) {
        let settled = match outcome {
            Ok(text) => Settled {
                id,
                code: None,
                text,
            },
            Err(error) => Settled {
                id,
                code: Some(error.code().to_owned()),
                text: error.to_string(),
            },
        };
        let mut waiting = self.waiting.lock();
        let first = waiting.is_empty();
        waiting.push(settled);
        drop(waiting);
        if first {
            // an environment that is shutting down accepts no calls, and no code is left to receive
            // the outcome.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}
