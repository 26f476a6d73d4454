//! Pure types of the flight recorder: what a session is and how it changes.
//!
//! This crate has no I/O, no clock and no async code. A [`command::Command`] is a change that a
//! client requests. A [`transition`] checks it against a [`view::View`] and returns the change to
//! store, or a [`code::Refusal`]. [`view::View::apply`] is the only way a view changes: live,
//! during recovery, and when an old version is computed. The contents of a session's files are
//! therefore a function of its logs.

pub mod answer;
pub mod batch_line;
pub mod blob;
pub mod change_line;
pub mod clamp;
pub mod code;
pub mod command;
pub mod documents;
pub mod event;
pub mod hex;
pub mod id;
pub mod initial;
pub mod instrument;
pub mod json;
pub mod line;
pub mod merge;
pub mod metadata;
pub mod metric;
mod names;
pub mod number;
pub mod placeholder;
pub mod producer;
pub mod record;
pub mod record_key;
pub mod records;
mod scanner;
pub mod session_scope;
pub mod state;
pub mod state_patch;
mod survey;
pub mod tally;
pub mod timestamp;
pub mod tools;
pub mod transition;
pub mod upgrade;
pub mod usage;
pub mod view;
pub mod wire;

pub use batch_line::{BatchLine, LineData};
pub use blob::BlobName;
pub use code::{Code, ProducerHint, Refusal};
pub use command::{Command, StatePatch};
pub use event::{Change, EventKind, LogKind, PatchFormat};
pub use id::{SessionId, UserId};
pub use record::RecordBody;
pub use session_scope::SessionScope;
pub use timestamp::Timestamp;
pub use view::{LogHead, Stamp, View};
