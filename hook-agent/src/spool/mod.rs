//! The client's queue on disk: it keeps each record from the end of the call until the service has
//! it.
//!
//! ```text
//! <spool dir>/<producer id>/      one folder per running agent, mode 0700, named by Producer-Id
//! ├── lock                        held (flock) while the owner lives; a free folder may be adopted
//! ├── service                     the URL that this folder's records are for
//! ├── 00000000000000000000.seg    records, append-only; the name is the number of its first record
//! ├── state                       two slots: the delivery position, and the window in delivery
//! ├── rejected/events.jsonl       what the service rejected permanently, each with its reason
//! ├── held/<slot>/                one session's records waiting for a token or session: [`held`]
//! ├── shortened/events.jsonl      values of which only an excerpt was recorded: [`shortened`]
//! └── lost/events.jsonl           what was lost on the way to the service, by session and reason
//! ```
//! Processes too short-lived to own a folder share one: [`shared`].
//!
//! **What is durable when.** A call returns after its record's `write(2)`, so the record survives
//! the end of the process by any signal. Nothing is synced, so a power cut may lose what the system
//! had not yet written back.
//!
//! **Exactly once.** Records are delivered in windows. A window is a range of records of one
//! segment, grouped by session into batches, each with one `Producer-Seq`. The window's end and the
//! numbers are written to `state` *before* a batch is sent, and its progress after each response.
//! The next process that delivers the folder therefore repeats exactly the batches that were in
//! delivery, with exactly their numbers. Every opening takes a new, larger epoch (the clock in ms),
//! in which every session's numbers start at 0; a window from an earlier opening keeps the epoch
//! that it was planned with. [`step`] describes what holds when anything on the way refuses a batch
//! for its size.
//!
//! **Long values** are in their records, up to the moment when a record is sent: see
//! [`offload`](crate::offload). There is no other file that a crash could separate from its record.
//!
//! **Crash cases**, each with its test:
//! - killed after `write(2)`: the record is there; the next owner delivers it;
//! - killed within `write(2)`, or a full disk: a torn tail; it is cut off at once or at the next
//!   opening, and never delivered;
//! - killed before a window was written to `state`: nothing of it was sent; it is planned again;
//! - killed between request and response: repeated with the same numbers; the service answers as it
//!   did the first time;
//! - killed between response and `state`: the same;
//! - killed while writing `state`: its checksum fails; the other slot holds the previous state;
//! - damage in a segment: delivery goes on with the next readable record and counts the records
//!   between as `damaged`; their number is exact if something behind them has a number, and else a
//!   lower bound;
//! - killed between replacing a dropped segment and removing the next one: that one is reported as
//!   lost, and delivered;
//! - killed between skipping records that are too old or damaged and writing the `gap` for them:
//!   the loss is not reported.
//!
//! **Bounds.** When the segments hold `spool_max_bytes`, the oldest segment that delivery is not
//! working on is dropped (`dropped`), or the new record is refused. A record whose long values do
//! not fit is recorded with excerpts of them. Records older than
//! `spool_max_age` are dropped when their turn comes (`expired`), except if the clock was set
//! forward ([`age`]). A window in delivery is kept for as long as the service is away; but if the
//! service does not accept the token, records older than that age go to `rejected/`. Every loss is
//! reported in the session's own log by a record of type `gap`: [`loss`]. The same code works in
//! memory when no directory can be written.

mod age;
#[cfg(test)]
mod bytes_tests;
mod count;
mod folder;
mod held;
mod line_files;
mod loss;
pub(crate) mod private;
mod producer;
mod progress;
mod queue;
mod record;
mod rejected;
mod shared;
mod shortened;
mod slots;
mod step;
mod storage;
mod survey;
mod tail;
mod trust;
mod window;

pub(crate) use folder::Folder;
pub(crate) use held::OpenedSlot;
pub(crate) use loss::Reason;
pub(crate) use progress::now_millis;
pub(crate) use queue::Spool;
pub(crate) use record::{Record, begin_frame, finish_frame};
pub(crate) use rejected::{Rejection, keep};
pub(crate) use shared::{AppendLock, SharedFolder};
pub(crate) use shortened::ShortenedValue;
pub(crate) use slots::SLOTS;
pub(crate) use step::Step;
pub(crate) use storage::SpoolStorage;
pub(crate) use survey::{FolderInfo, survey};
pub(crate) use tail::Limits;
pub(crate) use trust::{check as check_trust, make as make_trusted};
pub(crate) use window::{Batch, Head, Window};
