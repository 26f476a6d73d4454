//! Retention: deleting completed sessions, if and as the operator has said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_model::SessionId;

use super::{Sessions, now};
use crate::store::retention::{Bound, Candidate, beyond};

/// How often the bounds are looked at.
const EVERY: Duration = Duration::from_secs(10);

impl Sessions {
    /// Keeps the bounds until the task is dropped; returns at once if none is set.
    pub async fn keep_retention(self: Arc<Self>) {
        if !self.settings.retention.is_active() {
            return;
        }
        let mut told = BTreeSet::new();
        loop {
            if self.settings.retention.dry_run {
                self.tell_beyond(&mut told).await;
            } else {
                self.retain().await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// What is beyond the bounds now, oldest first.
    pub async fn beyond_bounds(&self) -> Vec<(Candidate, Bound)> {
        let policy = self.settings.retention;
        let store = Arc::clone(&self.store);
        let picked = actix_web::web::block(move || {
            let rows = store.index.newest(None, usize::MAX, |_, _| true).into_iter();
            let sessions = rows.map(|((created, _, id), row)| (id, created, row.completed));
            beyond(store.layout(), sessions, policy, now())
        });
        picked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "retention could not choose what to delete");
            Vec::new()
        })
    }

    /// Deletes what is beyond the bounds now; answers how many sessions went.
    pub async fn retain(&self) -> usize {
        let mut deleted = 0;
        for (session, bound) in self.beyond_bounds().await {
            match self.retire(&session.id).await {
                Ok(true) => {
                    deleted += 1;
                    tracing::info!(session = %session.id, %bound, bytes = session.bytes, "retention deleted a session");
                }
                Ok(false) => {
                    tracing::info!(session = %session.id, "retention leaves a session that was opened again");
                }
                Err(refused) => {
                    tracing::warn!(session = %session.id, error = %refused.refusal, "retention could not delete");
                }
            }
        }
        deleted
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
