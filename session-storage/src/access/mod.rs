//! Who may do what: keys, session tokens, tickets, and what each of them may touch.
//!
//! ```text
//! $STORAGE_PATH/access/            mode 0700; every file 0600, replaced whole
//! ├── keys.json                    the keys: hashes of their secrets, scopes, limits (written by the command line)
//! ├── token.secret                 what session tokens are signed with (made at first use)
//! ├── last-used.json               when each key was last used (written by the service, now and then)
//! └── .lock                        held while one of them is being changed
//! ```
//!
//! Access control is **off** until there is a key: then everybody who reaches a listener may do everything, which is
//! why a start on other than loopback addresses is refused without keys. Once `keys.json` has a key, of whatever
//! state, it is **on** for as long as the service runs, on loopback too: revoking the last key, or removing the
//! file, does not open the door.
//!
//! The service looks at the files every [`watch::EVERY`]; a change counts from then on, and ends the live streams of
//! those who lost their leave.
//!
//! # Why no slow hash
//! A secret is 256 bits from the system's generator. Guessing one is hopeless whatever the hash costs; what salts
//! and slow hashes are for, choosing among the likely, does not apply. SHA-256 costs less than a microsecond on the
//! path of each request, and what is stored cannot be turned back into a key.
//!
//! This module knows neither HTTP nor sessions: it tells who somebody is; what a route asks of them stands in
//! [`rule`], and `crate::app` asks.

mod gate;
pub mod key_file;
mod last_used;
pub mod principal;
pub mod record;
mod ring;
pub mod rule;
pub mod scope;
pub mod secret;
mod ticket;
pub mod token;
pub mod watch;

pub use gate::{Access, Denied, issue_as_operator, new_key};
pub use principal::Principal;
pub use rule::Rule;
pub use scope::{Role, Scope, Scopes};
