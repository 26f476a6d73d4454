//! The client's queue on disk: what a call leaves behind before it returns, until the service has it.
//!
//! ```text
//! <spool dir>/<producer id>/      one folder a living agent, mode 0700; the name is its Producer-Id
//! ├── lock                        held (flock) for as long as the owner lives; a free one may be adopted
//! ├── service                     the address that this folder's records are for
//! ├── 00000000000000000000.seg    records, append-only; the name is the number of its first record
//! ├── state                       two slots: how far delivery is, and the window that is under way
//! ├── rejected/events.jsonl       what the service refused for good, each with its reason
//! ├── held/<slot>/                records of one session that wait for a token or for the session: [`held`]
//! └── lost/events.jsonl           what was lost on the way to the service, by session and reason
//! ```
//! Processes too short to own a folder share one: [`shared`].
//!
//! **What is durable when.** A call returns after its record's `write(2)`: it survives the end of the process by
//! whatever signal. Nothing is synced, so a power cut may take what the system had not written back yet.
//!
//! **Exactly once.** Records leave in windows: the records of one stretch of one segment, grouped by session into
//! batches, each under one `Producer-Seq`. The window's end and the numbers are in `state` *before* a batch is
//! sent, and its progress after each answer, so whoever delivers the folder next repeats exactly the batches that
//! were under way, under exactly their numbers. Every opening takes a new, larger epoch (the clock in ms), which
//! numbers every session from 0 again; a window from before keeps the epoch that it was planned with. [`step`] tells what
//! holds when something on the way refuses a batch for its size.
//!
//! **Crash cases**, each with its test:
//! - killed after `write(2)`: the record is there, the next owner delivers it;
//! - killed within `write(2)`, or a full disk: a torn tail; cut off at once, or at the next opening; never delivered;
//! - killed before `state` knew of a window: nothing of it was sent; it is planned anew;
//! - killed between send and answer: repeated with the same numbers; the service answers as the first time did;
//! - killed between answer and `state`: the same;
//! - killed while writing `state`: its checksum fails, the other slot holds the state before;
//! - damage in a segment: delivery goes on with the next record that can be read, and counts as `damaged` what lies
//!   between; how many records that were is known if something behind it has a number, and else a lower bound;
//! - killed between replacing a dropped segment and removing the next one: that one is told as lost, and delivered;
//! - killed between skipping what is too old or damaged and writing the `gap` for it: the loss is not told.
//!
//! **Bounds.** When the segments hold `spool_max_bytes`, the oldest segment that delivery is not working on goes
//! (`dropped`), or the new record is refused; records older than `spool_max_age` go when their turn comes (`expired`), a clock that is set
//! forward aside ([`age`]).
//! A window that is under way is kept for as long as the service is away, but where it does not let the token in, what
//! is as old as that goes to `rejected/`.
//! Every loss is told in the session's own log by a record of type `gap`: [`loss`].
//! The same code works in memory when no directory can be written.

mod age;
mod count;
mod folder;
mod held;
mod kept;
mod loss;
mod place;
pub(crate) mod private;
mod progress;
mod queue;
mod record;
mod rejected;
mod shared;
mod step;
mod survey;
mod trust;
mod window;

pub(crate) use folder::Folder;
pub(crate) use held::{Opened, SLOTS};
pub(crate) use loss::Reason;
pub(crate) use place::Place;
pub(crate) use progress::now_millis;
pub(crate) use queue::{Limits, Spool};
pub(crate) use record::{begin_frame, finish_frame};
pub(crate) use rejected::{Rejection, keep};
pub(crate) use shared::{Held, SharedFolder};
pub(crate) use step::Step;
pub(crate) use survey::{FolderInfo, survey};
pub(crate) use trust::{check as check_trust, make as make_trusted};
pub(crate) use window::{Batch, Head, Window};
