//! What a store knows about its blobs while it is open.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::pins::Pins;
use super::usage::Usage;

/// What a store knows about its blobs while it is open.
#[derive(Debug, Default)]
pub(crate) struct Blobs {
    /// The blobs that uploads rely on.
    pub(super) pins: Arc<Pins>,
    /// The bytes of each session's blobs.
    pub(super) usage: Usage,
    /// How many uploads have begun.
    pub(super) parts: AtomicU64,
}
