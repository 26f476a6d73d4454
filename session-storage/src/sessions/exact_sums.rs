//! The exact usage in metadata, for sessions that do not keep it.
//!
//! A session keeps the sums of its `usage` records and knows whether they are exact. If they are not,
//! the records are summed as for `GET …/usage`: in turn with its requests, from the logs up to where
//! they were when the metadata was read. The sums are kept for the next reader, until a record is
//! stored that may change them.

use std::sync::Arc;

use bytes::Bytes;
use session_model::usage::ModelSums;
use session_model::{Refusal, SessionId};

use super::metadata_answers::{MetadataAnswer, UnsummedMetadata};
use super::request_usage::sum;
use super::service::Sessions;
use super::sums_cache::SumsVersion;
use super::usage_records::Known;

impl Sessions {
    /// Completes metadata with the exact usage. Metadata of a session with an unreadable record shows
    /// the sums that the session keeps, marked as not exact.
    pub(super) async fn complete(
        &self,
        id: &SessionId,
        answer: MetadataAnswer,
        known: Known,
    ) -> Bytes {
        let unsummed = match answer {
            MetadataAnswer::Complete(document) => return document,
            MetadataAnswer::Unsummed(unsummed) => unsummed,
        };
        match self.exact_sums(id, unsummed.version, known).await {
            Ok(sums) => unsummed.with(&sums, &self.settings.prices),
            Err(refusal) => {
                // A session that was deleted in the meantime needs no operator.
                if self.exists(id) {
                    tracing::warn!(session = %id, error = %refusal.message, "the usage of a session could not be summed; its metadata has sums that are not exact");
                }
                unsummed.marked_inexact()
            }
        }
    }

    /// Completes metadata with exact usage that was computed before.
    pub(super) fn complete_from_cache(
        &self,
        id: &SessionId,
        unsummed: Box<UnsummedMetadata>,
    ) -> Result<Bytes, Box<UnsummedMetadata>> {
        match self.sums.get(id, unsummed.version) {
            Some(sums) => Ok(unsummed.with(&sums, &self.settings.prices)),
            None => Err(unsummed),
        }
    }

    async fn exact_sums(
        &self,
        id: &SessionId,
        version: SumsVersion,
        known: Known,
    ) -> Result<Arc<ModelSums>, Refusal> {
        if let Some(sums) = self.sums.get(id, version) {
            return Ok(sums);
        }
        let turn = self.turn_to_sum().await?;
        // Another request may have computed them while this one waited.
        if let Some(sums) = self.sums.get(id, version) {
            return Ok(sums);
        }
        let summed = self.sum_in_turn(turn, id, known, |logs, amendments| {
            Ok(sum(logs, amendments)?.model_sums())
        });
        let sums = Arc::new(summed.await?.result);
        self.sums.put(id, version, Arc::clone(&sums));
        Ok(sums)
    }
}
