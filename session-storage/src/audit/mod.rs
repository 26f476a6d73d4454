//! The audit log: who did what to which session, and when. Append-only, one JSON object per line.
//!
//! ```text
//! $STORAGE_PATH/audit/ or AUDIT_LOG_PATH      mode 0700, files 0600
//! ├── lock                                    held while a process writes
//! ├── audit.jsonl                             the current file
//! └── audit.1.jsonl … audit.<n>.jsonl         older ones, 1 is the newest; files beyond
//!                                             AUDIT_LOG_FILES are deleted
//! ```
//!
//! A line is `{"at", "who", "method", "route", "session", "status", "requestId", "address"}`. `who`
//! is a key's id, `token:<id>`, `socket`, `anonymous`, or null for a client that was not
//! authenticated. A line never contains a secret, and nothing of a body or a query. A refused
//! request has a `code`, the same as its response: invalid credentials (`unauthorized`), or a host
//! or origin that is not allowed (with the route `unmatched`, because no route was looked up). A
//! command that changes keys or tokens is a line with `who` `cli:<user id of the system>`, the
//! method `CLI`, the command as its route and, in `about`, the key or token that was changed. Equal
//! events within a second (same principal, route, session and status) are one line with `count` and
//! `until`, so a busy agent costs one line per second and not one per append.
//!
//! Requests only add to a table in memory; a separate thread writes it once a second, in one write
//! and one sync. So `kill -9` loses at most the last second. If more than [`aggregator::MOST`]
//! different events arrive in one second, or the disk refuses lines, the excess is dropped, counted
//! in a line `{"at", "dropped"}` as soon as lines can be written again, and reported in the
//! service's log.

pub mod aggregator;
pub mod file;
mod writer;

pub use aggregator::AuditEvent;
pub use writer::{Audit, write_now};
