//! The vocabulary of records: which types there are, which fields they have, and how to read them.
//!
//! [`record_type`] is the table: one row per type, from which the enum, the structs of [`body`],
//! the counters, the JSON Schema and the tables of `docs/RECORDS.md` are made. Reading refuses
//! nothing. Each field is read for itself: a field of another type than the table says stays in
//! [`Record::extra`] as it was given and is reported as a [`Warning`].
//!
//! ```
//! use session_model::records::{Body, Record};
//!
//! let read = Record::parse(r#"{"type":"bash_exec","tool":"Bash","command":"ls","n":1e3}"#)?;
//! assert!(read.warnings.is_empty());
//! let Body::BashExec(call) = &read.record.body else { unreachable!() };
//! assert_eq!(call.command.as_ref().and_then(|text| text.as_text()), Some("ls"));
//! assert_eq!(read.record.extra["n"].to_string(), "1e3");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod blob;
mod check;
mod common;
mod content;
mod field;
mod integer;
mod key;
mod kind;
mod lookup;
mod outline;
mod record;
pub mod record_type;
mod schema;
mod values;

pub use blob::BlobRef;
pub(crate) use check::{Noted, Values};
pub use common::{Common, Origin, OriginFields};
pub use content::Content;
pub use field::Field;
pub use key::{InvalidKey, MAX_CHARS as MAX_KEY_CHARS, RecordKey, is_key};
pub use kind::{Kind, Warning};
pub(crate) use outline::warnings;
pub use record::{Parsed, Record};
pub(crate) use record_type::KnownType;
pub use record_type::{Body, CallType, Family, Log, RecordType, body};
pub use schema::schema;
pub use values::{
    ChangeOp, Decision, Lane, MessageSource, Reason, ResultStatus, SearchTarget, StepStatus,
    TimeSource,
};
