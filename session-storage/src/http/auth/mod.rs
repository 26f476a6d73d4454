//! Who calls, and for how long a response may go on.
//!
//! The guard of the routes, which decides whether a caller is admitted, is part of the table of
//! routes: see `app/guard.rs`. Keys, tokens and scopes themselves are in [`crate::access`].

pub mod caller;
pub(super) mod follower;
pub(super) mod permit;
