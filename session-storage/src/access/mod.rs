//! Access control: keys, session tokens, tickets, and what each of them permits.
//!
//! ```text
//! $STORAGE_PATH/access/            mode 0700; every file 0600, replaced whole
//! ├── keys.json                    the keys: hashes of their secrets, scopes, limits (written by
//! │                                the command line)
//! ├── token.secret                 the secret that signs session tokens (created at first use)
//! ├── last-used.json               when each key was last used (written by the service from time
//! │                                to time)
//! └── .lock                        held while one of them is being changed
//! ```
//!
//! Access control is **off** until there is a key: then every client that reaches a listener may do
//! everything, which is why the service refuses to start without keys on addresses other than
//! loopback. Once `keys.json` has a key, in whatever status, access control is **on** for as long
//! as the service runs, on loopback too: revoking the last key, or removing the file, does not turn
//! it off.
//!
//! The service checks the files every [`watch::EVERY`]. A change is in force from then on, and it
//! ends the live streams of clients that lost access.
//!
//! # Why no slow hash
//! A secret has 256 bits from the system's random generator. Guessing one is infeasible whatever
//! the hash costs. Salts and slow hashes protect secrets that can be guessed from a list of likely
//! ones, which does not apply here. SHA-256 costs less than a microsecond per request, and a stored
//! hash cannot be turned back into a key.
//!
//! This module depends on neither HTTP nor sessions: it determines who the client is. [`rule`]
//! defines what a route requires, and `crate::http::app` applies it.

mod authentication;
#[cfg(test)]
mod bytes_tests;
pub mod key_file;
mod key_set;
mod last_used;
pub mod principal;
pub mod record;
pub mod rule;
pub mod scope;
pub mod secret;
mod ticket;
pub mod token;
pub mod watch;

pub use authentication::{Access, Denied, issue_as_operator, new_key};
pub use principal::Principal;
pub use rule::Rule;
pub use scope::{Role, Scope, Scopes};
