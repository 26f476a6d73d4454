//! Listening, serving, stopping.
//!
//! Stop means: no new connections, sockets and streams get their close, what is in flight is answered, the store
//! finishes and syncs, exit. A second signal ends at once.

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::live::{Hub, Live, LiveConfig};
use crate::request_id::RequestId;
use crate::routes::body::BodyLimits;
use crate::routes::health::Started;
use crate::sessions::{Sessions, Settings};
use crate::store::Options;
use crate::{app, dashboard};

/// What the service listens on.
struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut tcp = Vec::new();
        let mut port = config.port;
        for address in config.addresses() {
            match listen(address, port) {
                Ok(listener) => {
                    port = listener.local_addr()?.port();
                    tcp.push(listener);
                }
                // Of `localhost` the second address may be missing on this machine.
                Err(error) if !tcp.is_empty() && error.kind() == io::ErrorKind::AddrNotAvailable => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("failed to listen on {address} port {port}"));
                }
            }
        }
        let unix = config.socket_path.as_deref().map(bind_unix).transpose()?;
        Ok(Self { tcp, unix })
    }

    fn announce(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        for listener in &self.tcp {
            writeln!(out, "listening on http://{}", listener.local_addr()?)?;
        }
        if let Some((_, path)) = &self.unix {
            writeln!(out, "listening on unix:{}", path.display())?;
        }
        Ok(out.flush()?)
    }
}

fn listen(address: std::net::IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind((address, port).into())?;
    socket.listen(2048)?.into_std()
}

/// Binds the Unix socket; one that nobody answers on is left over from a crash and replaced.
fn bind_unix(path: &Path) -> anyhow::Result<(UnixListener, PathBuf)> {
    let shown = path.display();
    if path.exists() {
        let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
        anyhow::ensure!(is_socket, "`{shown}` is no socket and is left alone");
        anyhow::ensure!(
            UnixStream::connect(path).is_err(),
            "another process listens on the socket `{shown}`"
        );
        fs::remove_file(path).with_context(|| format!("failed to replace the stale socket `{shown}`"))?;
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("failed to listen on the socket `{shown}`"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("failed to set the mode of the socket `{shown}`"))?;
    Ok((listener, path.to_owned()))
}

/// Runs the service until a signal stops it. `out` gets one line an address.
pub async fn run(config: Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = Arc::new(Hub::new(LiveConfig {
        ping_interval: config.ws_ping_interval,
        idle_timeout: config.ws_idle_timeout,
        ..LiveConfig::default()
    }));
    let sessions = Sessions::open(settings(&config), Arc::clone(&hub))?;
    let listeners = Listeners::bind(&config)?;
    let draining = Arc::new(AtomicBool::new(false));
    let socket = listeners.unix.as_ref().map(|(_, path)| path.clone());
    let mut signals = Signals::register()?;
    listeners.announce(out)?;
    tracing::info!(storage = %config.storage_path.display(), "ready");
    let server = serve(&config, Arc::clone(&sessions), listeners, Arc::clone(&draining))?;
    let handle = server.handle();
    let retention = actix_web::rt::spawn(Arc::clone(&sessions).keep_retention());
    let serving = actix_web::rt::spawn(server);
    signals.wait().await;
    tracing::info!("stopping");
    draining.store(true, Ordering::Relaxed);
    hub.close_all();
    retention.abort();
    let end_at_once = actix_web::rt::spawn(exit_at_second_signal(signals));
    handle.stop(true).await;
    serving.await.context("the server ended in disorder")??;
    sessions.shutdown().await;
    end_at_once.abort();
    if let Some(path) = socket {
        fs::remove_file(&path)
            .with_context(|| format!("failed to remove the socket `{}`", path.display()))?;
    }
    tracing::info!("stopped");
    Ok(())
}

fn settings(config: &Config) -> Settings {
    Settings {
        store: Options {
            path: config.storage_path.clone(),
            sync: config.storage_sync,
            recent_limit: config.recent_limit,
            journal_max_bytes: config.journal_max_bytes,
        },
        auto_create: config.auto_create_sessions,
        retention: config.retention,
    }
}

fn serve(
    config: &Config,
    sessions: Arc<Sessions>,
    listeners: Listeners,
    draining: Arc<AtomicBool>,
) -> anyhow::Result<actix_web::dev::Server> {
    let limits = Data::new(BodyLimits { bytes: config.max_body_bytes, pause: config.body_timeout });
    let started = Data::new(Started(Instant::now()));
    let hub = Hub::clone(sessions.hub());
    let history = sessions.history();
    let known = Arc::clone(&sessions);
    let sessions = Data::from(sessions);
    let origins = config.cors_allowed_origins.clone();
    let dashboard_path = config.dashboard_path.clone();
    let prefix = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let server = HttpServer::new(move || {
        let known = Arc::clone(&known);
        let live = Live::new(hub.clone(), Arc::clone(&history), Arc::new(move |id| known.known(id)));
        App::new()
            .app_data(sessions.clone())
            .app_data(limits.clone())
            .app_data(started.clone())
            .app_data(Data::new(live))
            .configure(|app| dashboard::configure(app, dashboard_path.clone()))
            .configure(app::configure)
            .wrap(app::cors(&origins))
            .wrap(RequestId::new(&prefix, Arc::clone(&draining)))
    });
    let mut server = server
        .workers(config.workers)
        .keep_alive(config.keep_alive)
        .client_request_timeout(config.request_timeout)
        .max_connections(config.max_connections)
        .tcp_nodelay(true)
        .h1_allow_half_closed(false)
        .shutdown_timeout(config.shutdown_timeout.as_secs().max(1))
        .disable_signals();
    for listener in listeners.tcp {
        server = server.listen(listener)?;
    }
    if let Some((listener, _)) = listeners.unix {
        server = server.listen_uds(listener)?;
    }
    Ok(server.run())
}

/// The signals that ask for a stop, noticed from the moment they are registered.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn register() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[expect(clippy::exit, reason = "the operator has asked twice")]
async fn exit_at_second_signal(mut signals: Signals) {
    signals.wait().await;
    tracing::warn!("a second signal: ending at once; the next start recovers");
    std::process::exit(1);
}
