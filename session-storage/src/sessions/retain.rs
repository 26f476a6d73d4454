//! Retention: deletes completed sessions according to the configured policy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_model::SessionId;

use super::archiving::ArchivingError;
use super::service::Sessions;
use crate::archive::Archive;
use crate::clock::now;
use session_store::retention::{Bound, Candidate, beyond};

/// Interval between two checks of the limits.
const EVERY: Duration = Duration::from_secs(10);

/// What retention did.
#[derive(Debug, Default)]
pub struct Retained {
    /// The deleted sessions, oldest first, with the limits that they exceeded.
    pub deleted: Vec<(Candidate, Bound)>,
    /// How many sessions beyond the limits were kept; the log says why.
    pub kept: usize,
}

impl Sessions {
    /// Enforces the retention limits until the task is dropped. Returns immediately if no limit is
    /// set.
    pub async fn keep_retention(self: Arc<Self>, archive: Option<Archive>) {
        if !self.settings.retention.is_active() {
            return;
        }
        let mut reported = BTreeSet::new();
        loop {
            if self.settings.retention.dry_run {
                self.tell_beyond(&mut reported).await;
            } else {
                self.retain(archive.as_ref()).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Returns the sessions currently beyond the limits, oldest first.
    pub async fn beyond_bounds(&self) -> Vec<(Candidate, Bound)> {
        let policy = self.settings.retention;
        let engine = Arc::clone(&self.engine);
        let picked = actix_web::web::block(move || {
            let mut rows = engine.index().newest(None, usize::MAX, |_, _| true);
            // The index is ordered by creation time, which comes from the client's clock.
            rows.sort_by(|((_, offset, _), row), ((_, other_offset, _), other)| {
                (other.received, other_offset).cmp(&(row.received, offset))
            });
            let sessions = rows
                .into_iter()
                .map(|((_, _, id), row)| (id, row.received, row.completed));
            beyond(|id| engine.size_of(id), sessions, policy, now())
        });
        picked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "retention could not choose what to delete");
            Vec::new()
        })
    }

    /// Deletes the sessions currently beyond the limits, after archiving them if there is an
    /// archive.
    pub async fn retain(&self, archive: Option<&Archive>) -> Retained {
        let mut retained = Retained::default();
        for (session, bound) in self.beyond_bounds().await {
            let as_of = match self.archived_as_of(&session.id, archive).await {
                Ok(as_of) => as_of,
                Err(error) => {
                    tracing::warn!(session = %session.id, %error, "retention keeps a session that could not be archived");
                    retained.kept += 1;
                    continue;
                }
            };
            match self.retire(&session.id, as_of).await {
                Ok(true) => {
                    tracing::info!(session = %session.id, %bound, bytes = session.bytes, "retention deleted a session");
                    retained.deleted.push((session, bound));
                }
                Ok(false) => {
                    retained.kept += 1;
                    tracing::info!(session = %session.id, "retention leaves a session that something has happened to");
                }
                Err(refused) => {
                    retained.kept += 1;
                    tracing::warn!(session = %session.id, error = %refused, "retention could not delete");
                }
            }
        }
        retained
    }

    async fn archived_as_of(
        &self,
        id: &SessionId,
        archive: Option<&Archive>,
    ) -> Result<Option<u64>, ArchivingError> {
        let Some(archive) = archive else {
            return Ok(None);
        };
        let (offset, archived) = self.archive(id, archive).await?;
        tracing::info!(session = %id, key = archived.key, bytes = archived.bytes, "a session was archived");
        Ok(Some(offset))
    }

    /// Dry run: logs each session once for as long as it stays beyond a limit.
    async fn tell_beyond(&self, reported: &mut BTreeSet<SessionId>) {
        let beyond = self.beyond_bounds().await;
        for (session, bound) in beyond
            .iter()
            .filter(|(session, _)| !reported.contains(&session.id))
        {
            tracing::info!(session = %session.id, %bound, bytes = session.bytes, "retention would delete a session");
        }
        *reported = beyond.into_iter().map(|(session, _)| session.id).collect();
    }
}
