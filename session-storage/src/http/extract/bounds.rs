//! Limits of request bodies.

use std::time::Duration;

use session_model::{Code, Refusal};
use tokio_util::sync::CancellationToken;

/// Limits of request bodies.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Maximum number of bytes.
    pub bytes: usize,
    /// Longest time without progress.
    pub stall: Duration,
    /// Cancelled when the service stops.
    pub draining: CancellationToken,
}

/// Returns the refusal of a body that is larger than this.
pub(crate) fn too_large(bytes: usize) -> Refusal {
    Refusal::new(
        Code::PayloadTooLarge,
        format!("the body is larger than {bytes} bytes"),
    )
}
