//! The lifecycle of the service: open, listen, serve, shut down.
//!
//! A shutdown refuses new connections, ends the live streams, lets requests in flight finish (idle
//! connections are closed immediately), syncs, and returns. It waits for the connections itself,
//! because the framework checks whether they have ended only once a second. A second signal ends
//! the shutdown immediately.

mod accept;
mod connection_limit;
mod connection_stream;
mod descriptors;
mod error;
mod guards;
#[cfg(any(test, fuzzing))]
pub(crate) mod in_memory;
mod listen;
mod tls;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::archive::Archive;
use crate::config::{Config, LoadedConfig, StorageSync};
use crate::http::app::connections::Connections;
use crate::http::app::{AppState, Guards};
use crate::live::{Hub, LiveConfig};
use crate::observability::traces::{self, Traces};
use crate::permissions;
use crate::sessions::{Sessions, Settings, read_prices, read_rules};
use descriptors::Shares;
pub use error::ServerError;
use listen::Listeners;
use session_store::blobs::BlobLimits;
use session_store::keys::KeyLimits;
use session_store::{OpenFiles, Options, SyncPolicy, retention};
use tls::Certificates;
pub use tls::TlsError;

/// How the service ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// All requests were finished and everything was synced.
    InOrder,
    /// A second signal ended the shutdown early.
    Forced,
}

/// Serves until a signal arrives; writes one line per address to `announce`.
pub async fn run(loaded: &LoadedConfig, announce: &mut impl Write) -> Result<Ended, ServerError> {
    crate::clock::check(std::time::SystemTime::now())?;
    let shares = share_out(loaded)?;
    let config = &Config {
        max_connections: shares.connections,
        ..loaded.config.clone()
    };
    let mut signals = Signals::new()?;
    let guards = guards::open(config)?;
    refuse_unguarded(config, &guards.access)?;
    let traces = traces::start(config)?;
    let certificates = Certificates::open(config)?;
    let hub = Arc::new(Hub::new(live_config(config)));
    let mut settings = serving(config)?;
    settings.store.files = shares.files;
    let sessions = Sessions::open(settings, hub)?;
    permissions::warn_if_wider(&config.storage_path, config.storage_mode);
    let outcome = serve(
        config,
        &shares,
        &sessions,
        certificates,
        traces.clone(),
        &guards,
        &mut signals,
        announce,
    )
    .await;
    if !matches!(outcome, Ok(Ended::Forced)) {
        guards::close(guards).await;
        sessions.shutdown().await;
        if let Some(traces) = traces
            && actix_web::web::block(move || traces.finish())
                .await
                .is_err()
        {
            tracing::warn!("failed to deliver the last traces");
        }
        tracing::info!("stopped");
    }
    outcome
}

/// Divides the file descriptors, and logs if fewer connections are possible than configured.
fn share_out(loaded: &LoadedConfig) -> Result<Shares, ServerError> {
    let limit = descriptors::raise();
    let config = &loaded.config;
    let shares = descriptors::share_out(limit, config)
        .map_err(|least| ServerError::TooFewFiles { limit, least })?;
    let asked = config.max_connections;
    let most = shares.connections;
    if most < asked {
        let text = "the limit of open files permits fewer connections than MAX_CONNECTIONS: raise it, or lower MAX_CONNECTIONS";
        if loaded.is_given("max_connections") {
            tracing::warn!(asked, connections = most, limit, "{text}");
        } else {
            tracing::info!(asked, connections = most, limit, "{text}");
        }
    }
    Ok(shares)
}

/// Refuses to start where other machines can reach a service without a key, because such clients
/// could do everything.
fn refuse_unguarded(config: &Config, access: &Access) -> Result<(), ServerError> {
    if access.is_on() || config.allow_anonymous || listen::is_loopback(&config.host, config.port)? {
        return Ok(());
    }
    Err(ServerError::Unguarded(config.host.clone()))
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is opened before and closed after, in its own order"
)]
async fn serve(
    config: &Config,
    shares: &Shares,
    sessions: &Arc<Sessions>,
    certificates: Option<Arc<Certificates>>,
    traces: Option<Traces>,
    guards: &Guards,
    signals: &mut Signals,
    announce: &mut impl Write,
) -> Result<Ended, ServerError> {
    let archive = config
        .archive_url
        .as_deref()
        .map(Archive::open)
        .transpose()?;
    let listeners = Listeners::open(config)?;
    let draining = CancellationToken::new();
    let state = AppState::new(
        config,
        Arc::clone(sessions),
        guards.clone(),
        draining.clone(),
    )
    .with_traces(traces);
    let connections = state.connections.clone();
    listeners.announce(
        announce,
        if certificates.is_some() {
            "https"
        } else {
            "http"
        },
    );
    let fresh = certificates
        .clone()
        .map(|certificates| actix_web::rt::spawn(certificates.keep_fresh()));
    let (server, socket) = accept::serve(
        config,
        listeners,
        certificates,
        state,
        draining.clone(),
        shares,
    )?;
    let tasks = guards::keep(guards, sessions);
    let stop = Stop {
        config,
        sessions,
        draining,
        connections,
        archive,
    };
    let outcome = stop.when_asked(server, signals).await;
    tasks
        .iter()
        .for_each(actix_web::rt::task::JoinHandle::abort);
    drop(socket);
    if let Some(fresh) = fresh {
        fresh.abort();
    }
    outcome
}

/// What a shutdown needs.
struct Stop<'a> {
    config: &'a Config,
    sessions: &'a Arc<Sessions>,
    draining: CancellationToken,
    connections: Connections,
    archive: Option<Archive>,
}

impl Stop<'_> {
    async fn when_asked(
        mut self,
        mut server: Server,
        signals: &mut Signals,
    ) -> Result<Ended, ServerError> {
        let handle = server.handle();
        let retention =
            actix_web::rt::spawn(Arc::clone(self.sessions).keep_retention(self.archive.take()));
        let collection = actix_web::rt::spawn(Arc::clone(self.sessions).keep_collecting_blobs());
        tracing::info!(workers = self.config.workers, storage = %self.config.storage_path.display(), "serving");
        tokio::select! {
            ended = &mut server => return ended.map(|()| Ended::InOrder).map_err(ServerError::from),
            name = signals.next() => tracing::info!(signal = name, "stopping"),
        }
        retention.abort();
        collection.abort();
        tokio::select! {
            () = self.drain(&handle) => {}
            _ = &mut server => {}
            name = signals.next() => {
                tracing::warn!(signal = name, "stopping without waiting after a second signal");
                return Ok(Ended::Forced);
            }
        }
        Ok(Ended::InOrder)
    }

    async fn drain(&self, handle: &ServerHandle) {
        let stopped = handle.stop(true);
        self.draining.cancel();
        self.sessions.hub().close_all();
        let finished = async {
            stopped_accepting().await;
            self.connections.none_left().await;
        };
        if tokio::time::timeout(self.config.shutdown_timeout, finished)
            .await
            .is_err()
        {
            let left = self.connections.count();
            tracing::warn!(
                left,
                "connections were still open after the shutdown timeout"
            );
        }
        drop(stopped);
    }
}

/// Waits until connections accepted just before the shutdown have reached their worker and are
/// counted.
async fn stopped_accepting() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The signals SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Converts the configuration to the settings of the sessions.
pub fn settings(config: &Config) -> Settings {
    Settings {
        store: Options {
            path: config.storage_path.clone(),
            sync: match config.storage_sync {
                StorageSync::Always => SyncPolicy::Always,
                StorageSync::EverySec => SyncPolicy::EverySecond,
                StorageSync::No => SyncPolicy::Never,
            },
            recent_limit: config.recent_limit,
            journal_max_bytes: config.journal_max_bytes,
            files: OpenFiles::default(),
            keys: KeyLimits::default(),
        },
        auto_create: config.auto_create_sessions,
        retention: retention::Policy {
            max_sessions: config.retention_max_sessions,
            max_age: config.retention_max_age,
            max_bytes: config.retention_max_bytes,
            dry_run: config.retention_dry_run,
        },
        redaction: config.redaction.then(Arc::default),
        prices: Arc::default(),
        redaction_key_required: config.redaction_key_required,
        blobs: BlobLimits {
            one: config.max_blob_bytes,
            session: config.max_session_blob_bytes,
        },
    }
}

/// The settings of a service that accepts bodies: adds the redaction rules and the prices from their
/// files.
pub fn serving(config: &Config) -> Result<Settings, ServerError> {
    let rules = config
        .redaction_rules
        .as_deref()
        .map(read_rules)
        .transpose()?
        .unwrap_or_default();
    Ok(Settings {
        redaction: config.redaction.then(|| Arc::new(rules)),
        prices: Arc::new(read_prices(config.prices_file.as_deref())?),
        ..settings(config)
    })
}

fn live_config(config: &Config) -> LiveConfig {
    LiveConfig {
        ping_interval: config.ws_ping_interval,
        idle_timeout: config.ws_idle_timeout,
        ..LiveConfig::default()
    }
}
