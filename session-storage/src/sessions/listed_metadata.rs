//! Metadata in lists.
//!
//! A list sums the usage of few sessions: reading all records of many would make it slow. Sums that
//! were computed before cost nothing. Rows beyond the bound have the sums that their sessions keep,
//! marked as not exact.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use session_model::SessionId;

use super::metadata_answers::MetadataAnswer;
use super::pieces::{Piece, PieceStream};
use super::service::Sessions;
use super::usage_records::Known;

/// The most sessions that one list sums.
const SESSIONS: usize = 32;
/// The most bytes of records that one list reads to sum them.
const BYTES: u64 = 32 << 20;

/// A row of a list of metadata.
pub(super) struct ListedMetadata {
    pub(super) id: SessionId,
    pub(super) answer: MetadataAnswer,
}

/// What a list may still read.
struct Allowance {
    sessions: usize,
    bytes: u64,
}

impl Allowance {
    /// Takes the records of one session, if the allowance has as many bytes.
    fn take(&mut self, bytes: u64) -> bool {
        let is_enough = self.sessions > 0 && bytes <= self.bytes;
        if is_enough {
            self.sessions -= 1;
            self.bytes -= bytes;
        }
        is_enough
    }
}

impl Sessions {
    /// Completes the rows of a list, piece by piece.
    pub(super) fn completed(
        &self,
        rows: PieceStream<Vec<ListedMetadata>>,
    ) -> PieceStream<Vec<Bytes>> {
        let allowance = Allowance {
            sessions: SESSIONS,
            bytes: BYTES,
        };
        let start = (rows, self.clone(), allowance);
        Box::pin(stream::unfold(
            start,
            |(mut rows, sessions, mut allowance)| async move {
                let piece = match rows.next().await? {
                    Ok(Piece { content, is_last }) => {
                        let content = sessions.completed_rows(content, &mut allowance).await;
                        Ok(Piece { content, is_last })
                    }
                    Err(refusal) => Err(refusal),
                };
                Some((piece, (rows, sessions, allowance)))
            },
        ))
    }

    async fn completed_rows(
        &self,
        rows: Vec<ListedMetadata>,
        allowance: &mut Allowance,
    ) -> Vec<Bytes> {
        let mut documents = Vec::with_capacity(rows.len());
        for row in rows {
            documents.push(self.completed_row(row, allowance).await);
        }
        documents
    }

    async fn completed_row(&self, row: ListedMetadata, allowance: &mut Allowance) -> Bytes {
        let id = row.id;
        let unsummed = match row.answer {
            MetadataAnswer::Complete(document) => return document,
            MetadataAnswer::Unsummed(unsummed) => unsummed,
        };
        let unsummed = match self.complete_from_cache(&id, unsummed) {
            Ok(document) => return document,
            Err(unsummed) => unsummed,
        };
        if allowance.sessions == 0 {
            return unsummed.marked_inexact();
        }
        // The session may have grown since the row was read. One that was created again in the
        // meantime may have an owner whose sessions the caller must not see.
        let created = unsummed.version.created;
        let read = self.read(&id, |view| {
            let is_same = view.created_offset == created;
            is_same.then(|| {
                let answer = MetadataAnswer::of_view(view, &self.settings.prices);
                (answer, Known::of(view))
            })
        });
        let Ok(Some((answer, known))) = read.await else {
            return unsummed.marked_inexact();
        };
        match answer {
            MetadataAnswer::Unsummed(current) if !allowance.take(known.record_bytes()) => {
                current.marked_inexact()
            }
            answer => self.complete(&id, answer, known).await,
        }
    }
}
