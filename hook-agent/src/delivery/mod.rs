//! Draining the spool: attempt, back off, reject. One thread a process, which alone talks to the service.
//!
//! It takes a window from the spool, posts its batches one after the other, and settles each by its answer
//! ([`verdict`]). Between a failed attempt and the next, the window stays as planned, in the spool and in its state.
//!
//! **Crash cases**: whatever kills the process, the window under way is repeated with the same numbers by the next
//! owner ([`crate::spool`] lists them one by one). **The service's crash** between storing and answering looks like a
//! broken exchange: repeated, and answered as the first time. **A service that has lost what it had answered** (a
//! restored backup, a deleted session) expects an earlier number: the batch is numbered anew in a new epoch, and
//! what was answered before is not sent again. **A copied folder** with two owners: each takes its own epoch, the
//! service fences one off with 403, which then numbers anew; only a batch whose answer was lost at that very moment
//! can be stored twice.
//!
//! Nothing here raises, prints or blocks a caller; every failure is counted and told by `stats()`.

mod answers;
mod backoff;
mod bell;
mod drain;
mod held;
mod misses;
mod once;
mod report;
mod request;
mod settling;
mod verdict;
mod worker;

pub(crate) use answers::{Answers, Outcome};
pub(crate) use bell::Bell;
pub(crate) use drain::{Drain, Turn};
pub(crate) use once::{Delivered, Once};
pub(crate) use report::Report;
pub(crate) use worker::{Shared, start};
