//! What the generator speaks: per server, the bytes of a greeting and of one unit of work, and
//! where an answer ends.
//!
//! A dialect does no I/O. One connection sends the same request each time, or one that differs in
//! its number, so that nothing but the exchange itself is paid for while measuring.

pub(crate) mod http;
pub(crate) mod nats;
pub(crate) mod postgres;
pub(crate) mod redis;

use anyhow::Result;

/// One server's protocol, as far as a closed loop needs it.
pub(crate) trait Dialect {
    /// Sent once after connecting.
    fn greeting(&self, _connection: usize) -> Vec<u8> {
        Vec::new()
    }

    /// The length of the complete answer to the greeting at the start of `received`, or that it
    /// isn't complete.
    fn greeted(&self, _received: &[u8]) -> Result<Option<usize>> {
        Ok(Some(0))
    }

    /// The unit of work that this connection asks for, again and again.
    fn request(&self, connection: usize) -> Vec<u8>;

    /// Called before each request is sent.
    fn renew(&self, _request: &mut [u8]) {}

    /// The length of the complete answer at the start of `received`; an error when it tells of a
    /// failure.
    fn answer(&self, received: &[u8]) -> Result<Option<usize>>;
}
