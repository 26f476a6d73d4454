//! Shared state of the application, besides its routes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::guard::{AccessGuard, Guards};
use super::hosts::Hosts;
use crate::config::Config;
use crate::http::extract::bounds::Bounds;
use crate::http::extract::redact::Redact;
use crate::http::routes::{health, probes};
use crate::live::{Known, Live};
use crate::observability::metrics::Requests;
use crate::observability::traces::Traces;
use crate::sessions::Sessions;

/// Shared state of the application; cloned for every worker.
#[derive(Clone)]
pub struct AppState {
    pub(super) sessions: Arc<Sessions>,
    pub(super) known: Known,
    pub(super) bodies: Bounds,
    pub(super) redact: Redact,
    pub(super) hosts: Hosts,
    pub(super) access_guard: AccessGuard,
    pub(super) origins: Vec<String>,
    pub(super) dashboard: Option<PathBuf>,
    pub(super) started: health::Started,
    pub(super) access_log: bool,
    pub(super) traces: Option<Traces>,
    pub(super) encrypted: bool,
    /// Request counters.
    pub(crate) requests: Arc<Requests>,
    /// Open connections.
    pub(crate) connections: Connections,
}

impl AppState {
    /// Creates the state from the configuration. `draining` is cancelled when the service stops.
    pub fn new(
        config: &Config,
        sessions: Arc<Sessions>,
        guards: Guards,
        draining: CancellationToken,
    ) -> Self {
        let asked = Arc::clone(&sessions);
        Self {
            hosts: Hosts::new(config),
            access_guard: AccessGuard::new(config, guards, Arc::clone(&sessions)),
            known: Arc::new(move |id| asked.known(id)),
            bodies: Bounds {
                bytes: usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX),
                stall: config.body_timeout,
                draining,
            },
            redact: Redact::new(Arc::clone(sessions.redaction())),
            origins: config.cors_allowed_origins.clone(),
            dashboard: config.dashboard_path.clone(),
            started: health::Started(Instant::now()),
            access_log: config.access_log,
            traces: None,
            encrypted: config.tls_cert.is_some(),
            requests: Arc::new(Requests::new(super::endpoints::ROUTES.to_vec())),
            connections: Connections::new(config.max_connections),
            sessions,
        }
    }

    /// Sets the trace exporter, if there is one.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// Returns what the probes and `/metrics` report on.
    pub(super) fn probed(&self) -> probes::Probed {
        probes::Probed {
            requests: Arc::clone(&self.requests),
            connections: self.connections.clone(),
            draining: self.bodies.draining.clone(),
        }
    }

    /// Returns a copy for a listener that only callers with full access can reach.
    #[must_use]
    pub fn trusted(&self) -> Self {
        let mut state = self.clone();
        state.access_guard.trusted = true;
        state
    }

    /// Creates a worker's entry point to the live feed.
    pub(super) fn live(&self) -> Live {
        Live::new(
            self.sessions.hub().as_ref().clone(),
            self.sessions.history(),
            Arc::clone(&self.known),
        )
    }
}
