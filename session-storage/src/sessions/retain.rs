//! Retention: deleting completed sessions, if and as the operator has said.

use std::sync::Arc;
use std::time::Duration;

use session_model::SessionId;

use super::{Sessions, now};
use crate::store::layout::Layout;
use crate::store::retention::{Candidate, pick};

/// How often the bounds are looked at.
const EVERY: Duration = Duration::from_secs(10);

impl Sessions {
    /// Keeps the bounds until the task is dropped; returns at once if none is set.
    pub async fn keep_retention(self: Arc<Self>) {
        if !self.settings.retention.is_active() {
            return;
        }
        loop {
            self.retain().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Deletes what is beyond the bounds now; answers how many sessions went.
    pub async fn retain(&self) -> usize {
        let policy = self.settings.retention;
        let store = Arc::clone(&self.store);
        let picked = actix_web::web::block(move || {
            let rows = store.index.newest(None, usize::MAX, |_, _| true);
            let candidates: Vec<Candidate> = rows
                .into_iter()
                .map(|((created, _, id), row)| {
                    let bytes = if policy.max_bytes.is_some() { size_of(store.layout(), &id) } else { 0 };
                    Candidate { id, created, completed: row.completed, bytes }
                })
                .collect();
            pick(&candidates, policy, now())
        });
        let mut deleted = 0;
        let picked = picked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "retention could not choose what to delete");
            Vec::new()
        });
        for id in picked {
            match self.delete(&id, None).await {
                Ok(_) => deleted += 1,
                Err(refused) => {
                    tracing::warn!(session = %id, error = %refused.refusal, "retention could not delete");
                }
            }
        }
        if deleted > 0 {
            tracing::info!(deleted, "retention deleted completed sessions");
        }
        deleted
    }
}

/// The bytes of a session's files.
pub(super) fn size_of(layout: &Layout, id: &SessionId) -> u64 {
    let Ok(entries) = std::fs::read_dir(layout.session(id)) else { return 0 };
    entries
        .flatten()
        .filter_map(|e| e.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len())
        .sum()
}
