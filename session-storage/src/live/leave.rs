//! A subscriber's grant to follow. This module does not know who issues the grant or what it
//! depends on.

use std::time::Instant;

/// A grant that allows a subscriber to continue.
pub trait Leave {
    /// Returns whether the grant still holds. Called before each delivery.
    fn holds(&mut self) -> bool;
    /// Returns the latest time at which to check the grant, even if nothing happens.
    fn ends(&self) -> Option<Instant>;
}
