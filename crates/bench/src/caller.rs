//! One blocking connection: set-up, paced requests and whatever is asked once.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};

use crate::stream::{Address, BlockingDuplex};

/// Says where an answer ends, or that it isn't complete.
pub(crate) type Complete = fn(&[u8]) -> Result<Option<usize>>;

/// A connection and the answers' grammar.
pub(crate) struct Caller {
    stream: Box<dyn BlockingDuplex>,
    complete: Complete,
    received: Vec<u8>,
}

impl Caller {
    /// Connects.
    pub(crate) fn connect(address: &Address, complete: Complete) -> Result<Self> {
        let stream = address
            .connect_blocking()
            .with_context(|| format!("failed to connect to {address:?}"))?;
        Ok(Self {
            stream,
            complete,
            received: Vec::new(),
        })
    }

    /// Sends a request and waits for its answer, which is returned whole.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.call_until(request, self.complete)
    }

    /// Like [`Self::call`], for the one answer with another grammar.
    pub(crate) fn call_until(&mut self, request: &[u8], complete: Complete) -> Result<Vec<u8>> {
        self.stream.write_all(request)?;
        loop {
            if let Some(end) = complete(&self.received)? {
                return Ok(self.received.drain(..end).collect());
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk)?;
            ensure!(count > 0, "the server closed the connection");
            self.received.extend_from_slice(&chunk[..count]);
        }
    }
}
