//! The lifecycle of the guards (access control, limits, audit log): opened before the service
//! listens, kept up to date, closed last.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::{self, task::JoinHandle};
use tokio::time::Instant;

use super::error::ServerError;
use crate::access::key_file::Folder;
use crate::access::{Access, watch};
use crate::audit::{Audit, file::AuditFiles};
use crate::config::{AuditLog, Config};
use crate::http::app::Guards;
use crate::limits::{Limits, MEASURE_EVERY};
use crate::sessions::Sessions;

/// How often inactive clients are removed from the rate limits.
const TIDY_EVERY: Duration = Duration::from_mins(1);
/// The pause between two measurements, as a multiple of the time that the last one took.
const REST: u32 = 20;

pub(super) fn open(config: &Config) -> Result<Guards, ServerError> {
    let audit = || Audit::start(AuditFiles::of(config)).map(Arc::new);
    Ok(Guards {
        access: Arc::new(Access::open(Folder::below(&config.storage_path))?),
        limits: Arc::new(Limits::new(config)),
        audit: if config.audit_log == AuditLog::Off {
            None
        } else {
            Some(audit()?)
        },
    })
}

/// Starts the tasks that keep the guards up to date until they are aborted.
pub(super) fn keep(guards: &Guards, sessions: &Arc<Sessions>) -> Vec<JoinHandle<()>> {
    let hub = Arc::clone(sessions.hub());
    let mut tasks = vec![
        rt::spawn(watch::follow(Arc::clone(&guards.access), move || {
            hub.wake_all();
        })),
        rt::spawn(tidy(Arc::clone(&guards.limits))),
    ];
    if guards.limits.quota.counts_bytes() {
        tasks.push(rt::spawn(measure(
            Arc::clone(&guards.limits),
            Arc::clone(sessions),
        )));
    }
    tasks
}

async fn tidy(limits: Arc<Limits>) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        limits.of_key.tidy();
        limits.of_address.tidy();
    }
}

async fn measure(limits: Arc<Limits>, sessions: Arc<Sessions>) {
    loop {
        let begun = Instant::now();
        let of = Arc::clone(&sessions);
        limits.quota.measuring();
        match actix_web::web::block(move || of.bytes_by_user()).await {
            Ok(used) => limits.quota.measured(used),
            Err(error) => {
                tracing::error!(%error, "failed to measure the sessions of the users");
            }
        }
        tokio::time::sleep(MEASURE_EVERY.max(begun.elapsed() * REST)).await;
    }
}

/// Writes the guards' pending data.
pub(super) async fn close(guards: Guards) {
    if guards.access.is_on() {
        watch::write_last_used(&guards.access).await;
    }
    let Some(audit) = guards.audit else { return };
    if actix_web::web::block(move || audit.close()).await.is_err() {
        tracing::error!("failed to close the audit log");
    }
}
