//! Retention: deleting completed sessions, if and as the operator has said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_model::SessionId;

use super::archiving::ArchivingError;
use super::{Sessions, now};
use crate::archive::Archive;
use crate::store::retention::{Bound, Candidate, beyond};

/// How often the bounds are looked at.
const EVERY: Duration = Duration::from_secs(10);

impl Sessions {
    /// Keeps the bounds until the task is dropped; returns at once if none is set.
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

    /// What is beyond the bounds now, oldest first.
    pub async fn beyond_bounds(&self) -> Vec<(Candidate, Bound)> {
        let policy = self.settings.retention;
        let store = Arc::clone(&self.store);
        let picked = actix_web::web::block(move || {
            let mut rows = store.index.newest(None, usize::MAX, |_, _| true);
            // The index is in the order of the creation, which is by the client's clock.
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

    /// Deletes what is beyond the bounds now, after archiving it if there is an archive; answers how many sessions
    /// went.
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

    /// The dry run: each session is told once for as long as it is beyond a bound.
    async fn tell_beyond(&self, told: &mut BTreeSet<SessionId>) {
        let beyond = self.beyond_bounds().await;
        for (session, bound) in beyond.iter().filter(|(session, _)| !told.contains(&session.id)) {
            tracing::info!(session = %session.id, %bound, bytes = session.bytes, "retention would delete a session");
        }
        *told = beyond.into_iter().map(|(session, _)| session.id).collect();
    }
}
