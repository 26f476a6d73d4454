//! Drains the spool: attempt, back off, reject. One thread per process, the only one that sends
//! writes to the service.
//!
//! The thread takes a window from the spool, posts its batches one after the other, and settles
//! each by its response ([`verdict`]). Between a failed attempt and the next, the window stays as
//! planned, in the spool and in its state.
//!
//! **Blobs.** Long values of records are sent first, as blobs; a record refers only to blobs that the
//! service has acknowledged ([`offloading`]). A crash in between sends them again, under the same
//! names.
//!
//! **Crash cases**: whatever kills the process, the next owner repeats the window in delivery with
//! the same numbers ([`crate::spool`] lists the cases). **The service crashes** between storing and
//! answering: this looks like a broken exchange; the batch is repeated and answered as the first
//! time. **The service has lost what it acknowledged** (a restored backup, a deleted session): it
//! expects an earlier number; the batch gets new numbers in a new epoch, and batches acknowledged
//! before are not sent again. **A copied folder** has two owners: each takes its own epoch, the
//! service fences one off with 403, and that one takes new numbers; only a batch whose response was
//! lost at that very moment can be stored twice.
//!
//! Nothing here raises, prints or blocks a caller; every failure is counted and reported by
//! `stats()`.

mod answers;
mod backoff;
mod blob_verdict;
mod drain;
mod held;
mod hold;
mod notifier;
mod offloading;
mod once;
mod outcome;
mod report;
mod request;
mod settling;
mod turn;
mod unstored;
mod uploads;
mod verdict;
mod worker;

pub(crate) use answers::Answers;
pub(crate) use held::SpoolDrain;
pub(crate) use notifier::Notifier;
pub(crate) use once::{Delivered, Once};
pub(crate) use outcome::Outcome;
pub(crate) use report::Report;
pub(crate) use turn::Turn;
pub(crate) use worker::{Delivery, start};
