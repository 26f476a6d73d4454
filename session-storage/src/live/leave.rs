//! A subscriber's leave to follow. Who gives it, and what it hangs on, is not this module's to know.

use std::time::Instant;

/// Whether somebody may go on following.
pub trait Leave {
    /// Asked each time before anything is given out.
    fn holds(&mut self) -> bool;
    /// When to ask at the latest, even if nothing happens.
    fn ends(&self) -> Option<Instant>;
}
