//! The audit log: who did what to which session, and when. Append-only, one JSON object a line.
//!
//! ```text
//! $STORAGE_PATH/audit/ or AUDIT_LOG_PATH      mode 0700, files 0600
//! ├── lock                                    held while somebody writes
//! ├── audit.jsonl                             the newest
//! └── audit.1.jsonl … audit.<n>.jsonl         older ones, 1 the youngest; what is beyond AUDIT_LOG_FILES goes
//! ```
//!
//! A line is `{"at", "who", "method", "route", "session", "status", "requestId", "address"}`: `who` is a key's id,
//! `token:<id>`, `socket`, `anonymous`, or null for one who was not recognised; never a secret, and nothing of a body
//! or a query. What was refused has a `code`, that of the answer: credentials that are not good (`unauthorized`), a host or
//! an origin that is none of ours (with the route `unmatched`: no route was looked for). What the command line does to
//! keys and tokens is a line with `who` `cli:<user id of the system>`, the method `CLI`, the command as its route and, in
//! `about`, the key or token that it was done to. What somebody repeats within a second (the same route, session and status) is one line with `count` and
//! `until`: a busy agent costs a line a second and not one per append.
//!
//! Requests only add to a table in memory; a thread of its own writes it once a second, in one write and one sync. So
//! `kill -9` loses at most the last second. More than [`ledger::MOST`] different deeds in one second, or lines that the disk refuses,
//! are dropped, counted in a line `{"at", "dropped"}` as soon as there is room, and told by the service's log.

pub mod file;
pub mod ledger;
mod writer;

pub use ledger::Deed;
pub use writer::{Audit, write_now};
