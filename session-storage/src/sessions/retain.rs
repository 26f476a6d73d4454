//! Retention: deletes completed sessions according to the configured policy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_model::SessionId;

use super::archiving::ArchivingError;
use super::{Sessions, now};
use crate::archive::Archive;
use crate::store::retention::{Bound, Candidate, beyond};

/// Interval between two checks of the limits.
const EVERY: Duration = Duration::from_secs(10);

impl Sessions {
    /// Enforces the retention limits until the task is dropped. Returns immediately if no limit is
    /// set.
    pub async fn keep_retention(self: Arc<Self>, archive: Option<Archive>) {
        if !self.settings.retention.is_active() {
            return;
        }
        let mut told = BTreeSet::new();
        loop {
            if self.settings.retention.dry_run {
                self.tell_beyond(&mut told).await;
            } else {
                self.retain(archive.as_ref()).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Returns the sessions currently beyond the limits, oldest first.
    pub async fn beyond_bounds(&self) -> Vec<(Candidate, Bound)> {
        let policy = self.settings.retention;
        let store = Arc::clone(&self.store);
        let picked = actix_web::web::block(move || {
            let mut rows = store.index.newest(None, usize::MAX, |_, _| true);
            // The index is ordered by creation time, which comes from the client's clock.
            rows.sort_by(|((_, offset, _), row), ((_, other_offset, _), other)| {
                (other.received, other_offset).cmp(&(row.received, offset))
            });
            let sessions = rows.into_iter().map(|((_, _, id), row)| (id, row.received, row.completed));
            beyond(store.layout(), sessions, policy, now())
        });
        picked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "retention could not choose what to delete");
            Vec::new()
        })
    }

    /// Deletes the sessions currently beyond the limits, after archiving them if there is an
    /// archive. Returns the number of deleted sessions.
    pub async fn retain(&self, archive: Option<&Archive>) -> usize {
        let mut deleted = 0;
        for (session, bound) in self.beyond_bounds().await {
            let as_of = match self.archived_as_of(&session.id, archive).await {
                Ok(as_of) => as_of,
                Err(error) => {
                    tracing::warn!(session = %session.id, %error, "retention keeps a session that could not be archived");
                    continue;
                }
            };
            match self.retire(&session.id, as_of).await {
                Ok(true) => {
                    deleted += 1;
                    tracing::info!(session = %session.id, %bound, bytes = session.bytes, "retention deleted a session");
                }
                Ok(false) => {
                    tracing::info!(session = %session.id, "retention leaves a session that something has happened to");
                }
                Err(refused) => {
                    tracing::warn!(session = %session.id, error = %refused.refusal, "retention could not delete");
                }
            }
        }
        deleted
    }

    async fn archived_as_of(
        &self,
        id: &SessionId,
        archive: Option<&Archive>,
    ) -> Result<Option<u64>, ArchivingError> {
        let Some(archive) = archive else { return Ok(None) };
        let (offset, archived) = self.archive(id, archive).await?;
        tracing::info!(session = %id, key = archived.key, bytes = archived.bytes, "a session was archived");
        Ok(Some(offset))
    }

    /// Dry run: logs each session once for as long as it stays beyond a limit.
    async fn tell_beyond(&self, told: &mut BTreeSet<SessionId>) {
        let beyond = self.beyond_bounds().await;
        for (session, bound) in beyond.iter().filter(|(session, _)| !told.contains(&session.id)) {
            tracing::info!(session = %session.id, %bound, bytes = session.bytes, "retention would delete a session");
        }
        *told = beyond.into_iter().map(|(session, _)| session.id).collect();
    }
}
