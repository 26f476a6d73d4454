//! The result of one turn of a drain.

use std::time::Duration;

/// The result of one turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing to send.
    Idle,
    /// A window is settled.
    Progress,
    /// The service can't accept the window now.
    Failed { after: Option<Duration> },
    /// Records wait for another token, or for their session to be created.
    Locked,
}
