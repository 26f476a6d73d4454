//! Redaction: replaces secrets of known shapes in a record before the record is stored anywhere.
//!
//! [`Redactor::json`] takes the bytes of a JSON document and [`Redactor::lines`] those of a batch.
//! Both first search for [anchors], short literals of which every known shape contains
//! one, in one vectorized pass over the raw bytes ([`literals`]), and for long [`runs`] in another
//! one ([`run_signs`]). Most documents contain none and pass through unparsed. Around an anchor a few bytes are checked ([`probe`]). Only if those could be a secret
//! is the document walked string by string ([`strings`]): each string is unescaped and searched by
//! the detectors, and what they find is replaced in place. Every other byte stays.
//!
//! A secret is replaced by a placeholder ([`placeholder`]): `[redacted:<kind>:<8 hex>]`. The digits are a
//! hash under a [`Key`] that never leaves the storage directory (or the client's spool): within one
//! directory the same secret has the same placeholder, and nobody can test guesses against a
//! placeholder without the key. Text that is already redacted is never redacted again.
//!
//! Characters that hide a secret from a search but not from a reader are removed for a second
//! search ([`plain`]).
//!
//! Every function here takes a bounded number of steps per byte, whatever the bytes are.
//!
//! | Detector | What it finds |
//! |---|---|
//! | [`token`] | provider tokens, by the list of their shapes ([`providers`]) in long [`runs`] |
//! | [`shape`] | JSON web tokens and Slack webhooks, which have an inner structure |
//! | [`pem`] | blocks of private keys |
//! | [`url`], [`webhook`] | passwords in URLs, and URLs that are secrets |
//! | [`header`] | `Bearer` and `Basic` credentials |
//! | [`assignment`] | high-entropy values of `password` etc., also in name-value lists, `.netrc` |
//! | [`table`] | such values in tables |
//! | [`cookie`] | cookies |
//! | [`command`] | passwords in command lines |

mod alphabet;
mod anchors;
mod assignment;
mod command;
mod cookie;
mod entropy;
mod escape;
mod header;
mod literals;
mod pem;
mod placeholder;
mod plain;
mod probe;
mod provider_list;
mod provider_shape;
mod providers;
mod redactor;
#[cfg(feature = "custom-rules")]
mod rules;
mod run_signs;
mod runs;
mod scan;
mod shape;
mod siblings;
mod stream;
mod strings;
mod table;
mod token;
mod url;
mod webhook;

pub use anchors::prepare;
pub use placeholder::Key;
pub use provider_list::list_version;
pub use redactor::{Redactor, Screened, is_suspicious};
#[cfg(feature = "custom-rules")]
pub use rules::{RuleError, Rules};
pub use session_model::placeholder::{count, may_bear};
pub use stream::TextStream;
