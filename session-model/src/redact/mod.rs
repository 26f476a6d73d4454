//! Redaction: secrets of known shapes leave a record before it is stored anywhere.
//!
//! [`Redactor::json`] takes the bytes of a JSON document and [`Redactor::lines`] those of a batch. Both first look
//! for [anchors](anchors), short literals of which every known shape bears one, in one vectorized pass over
//! the raw bytes. Most documents have none and go on as they are, unparsed. Around an anchor a few bytes are judged
//! ([`probe`]); only if those could be a secret is the document walked string by string ([`strings`]), each unescaped,
//! searched by the detectors, and what they find replaced where it stands. Every other byte stays.
//!
//! A secret becomes a [`tag`]: `[redacted:<kind>:<8 hex>]`, the digits from a hash under a [`Key`] that the storage
//! directory (or the client's spool) keeps to itself: the same secret has the same tag there, and nobody can try
//! guesses against the tag without the key. Text that is redacted already is never redacted again.
//!
//! What hides a secret from a search though not from a reader is taken out for a second one ([`plain`]).
//!
//! Nothing here takes more than a bounded number of steps for each byte, whatever the bytes are.
//!
//! | Detector | What it finds |
//! |---|---|
//! | [`token`] | tokens of providers, by the list of their shapes ([`providers`]) in long [`runs`] |
//! | [`shape`] | JSON web tokens and Slack's webhooks, which have an inner shape |
//! | [`pem`] | blocks of private keys |
//! | [`url`], [`webhook`] | passwords in addresses, and addresses that are secrets |
//! | [`header`] | `Bearer` and `Basic` credentials |
//! | [`assignment`] | values with high entropy that are given to a name such as `password` or `api_key`, also in lists of names and values and in `.netrc` |
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
mod pem;
mod plain;
mod probe;
mod provider_list;
mod provider_shape;
mod providers;
mod redactor;
#[cfg(feature = "custom-rules")]
mod rules;
mod runs;
mod scan;
mod shape;
mod siblings;
mod strings;
mod table;
mod tag;
mod token;
mod url;
mod webhook;

pub use anchors::prepare;
pub use provider_list::list_version;
pub use redactor::{Redactor, Screened, is_suspicious};
#[cfg(feature = "custom-rules")]
pub use rules::{RuleError, Rules};
pub(crate) use tag::count_in;
pub use tag::{Key, count, may_bear};
