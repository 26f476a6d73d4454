//! Copies of the running store as streams: single sessions, or the whole directory as of one
//! position.
//!
//! A separate thread writes the bundle, because it reads all the data; the stream passes it on in
//! pieces. If the reader is gone, or takes nothing for a minute, the thread ends. An error that
//! aborts a copy is logged, and the copy then has no manifest.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use session_model::{Code, Refusal, SessionId};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender};

use super::pieces::ByteStream;
use super::service::Sessions;
use crate::clock::now;
use session_store::bundle::{BundleWriter, Sink};
use session_store::engine::{Engine, Index, Row};
use session_store::error::CopyError;

/// Size of a piece.
const PIECE: usize = 256 << 10;
/// Maximum number of pieces that wait for the reader.
const PIECES: usize = 4;
/// How long a reader may take nothing.
const STALL: Duration = Duration::from_mins(1);

/// Which sessions to export. Without ids and a user, all of them.
#[derive(Debug, Clone, Default)]
pub struct ExportQuery {
    /// Only these sessions; empty means all.
    pub ids: BTreeSet<SessionId>,
    /// Only sessions of this user.
    pub user: Option<String>,
}

impl ExportQuery {
    /// Returns the selected sessions, oldest first.
    pub fn selected(&self, index: &Index) -> Vec<SessionId> {
        let rows = index.newest(None, usize::MAX, |id, row| self.wants(id, row));
        rows.into_iter().rev().map(|((_, _, id), _)| id).collect()
    }

    fn wants(&self, id: &SessionId, row: &Row) -> bool {
        (self.ids.is_empty() || self.ids.contains(id))
            && self
                .user
                .as_ref()
                .is_none_or(|user| row.user.as_str() == user)
    }
}

/// Writer on the thread's side of the stream.
struct Pieces {
    to: Sender<Result<Bytes, Refusal>>,
    runtime: Handle,
    piece: BytesMut,
}

impl Pieces {
    fn send(&self, piece: Result<Bytes, Refusal>) -> io::Result<()> {
        let sent = async { tokio::time::timeout(STALL, self.to.send(piece)).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the reader is gone",
            )),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the reader takes nothing",
            )),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = self.piece.split().freeze();
        if piece.is_empty() {
            Ok(())
        } else {
            self.send(Ok(piece))
        }
    }
}

impl Sessions {
    /// Exports the selected sessions, each as of its own offset.
    pub fn export(&self, query: &ExportQuery) -> Result<ByteStream, Refusal> {
        for id in &query.ids {
            self.known(id)?;
        }
        let ids = query.selected(self.engine.index());
        self.copy("export", move |engine, bundle| engine.export(&ids, bundle))
    }

    /// Copies the whole directory as of one position.
    pub fn backup(&self) -> Result<ByteStream, Refusal> {
        self.copy("backup", |engine, bundle| engine.backup(bundle))
    }

    fn copy<F>(&self, what: &'static str, write: F) -> Result<ByteStream, Refusal>
    where
        F: FnOnce(&dyn Engine, BundleWriter<Sink<'_>>) -> Result<u64, CopyError> + Send + 'static,
    {
        let (to, mut from) = mpsc::channel(PIECES);
        let engine = Arc::clone(&self.engine);
        let mut pieces = Pieces {
            to,
            runtime: Handle::current(),
            piece: BytesMut::new(),
        };
        let run = move || {
            let written = write(&*engine, BundleWriter::new(&mut pieces, now()));
            match written.and_then(|offset| Ok(pieces.flush().map(|()| offset)?)) {
                Ok(offset) => tracing::info!(what, offset, "a copy was handed out"),
                Err(error) => {
                    tracing::warn!(what, %error, "a copy was broken off");
                    let refusal = Refusal::new(Code::StorageUnavailable, "the copy was broken off");
                    if let Err(gone) = pieces.send(Err(refusal)) {
                        tracing::debug!(%gone, "nobody is there to be told");
                    }
                }
            }
        };
        let spawned = std::thread::Builder::new().name(what.to_owned()).spawn(run);
        spawned.map_err(|error| {
            tracing::error!(%error, "no thread for a copy");
            Refusal::new(Code::Internal, "the copy could not be begun")
        })?;
        Ok(Box::pin(stream::poll_fn(move |context| {
            from.poll_recv(context)
        })))
    }
}
