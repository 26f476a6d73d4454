//! Accepts connections: for each listener, builds the service that every worker runs for its
//! connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpServiceBuilder, Protocol};
use actix_service::{
    IntoServiceFactory as _, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::dev::{AppConfig, Server};
use actix_web::error::DispatchError;
use actix_web::http::KeepAlive;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::crowd::{self, PATIENCE};
use super::descriptors::Shares;
use super::listen::{Listeners, SocketFile};
use super::tls::Certificates;
use super::wire::Wire;
use crate::app::{self, Parts};
use crate::config::Config;

/// How long HTTP/2 requests in flight may take once the service is shutting down.
const GRACE: Duration = Duration::from_secs(1);

/// The settings and shared state with which every connection is served.
#[derive(Clone)]
pub(super) struct Door {
    parts: Parts,
    /// Cancelled at shutdown, which closes idle connections.
    draining: CancellationToken,
    keep_alive: Duration,
    head_timeout: Duration,
    /// How long a peer may accept no data before the connection is closed.
    patience: Duration,
    certificates: Option<Arc<Certificates>>,
}

/// Serves on the listeners. The caller must keep the socket's file for as long as the service runs.
pub(super) fn serve(
    config: &Config,
    listeners: Listeners,
    certificates: Option<Arc<Certificates>>,
    parts: Parts,
    draining: CancellationToken,
    shares: &Shares,
) -> std::io::Result<(Server, Option<SocketFile>)> {
    let door = Door::new(config, parts, certificates, draining);
    let mut server = Server::build()
        .workers(config.workers)
        .worker_max_blocking_threads(shares.blocking_threads)
        // A worker at its limit is skipped. So all workers together accept the permitted number of
        // connections and no more.
        .max_concurrent_connections(shares.accepted.div_ceil(config.workers))
        .shutdown_timeout(config.shutdown_timeout.as_secs().saturating_add(1))
        .disable_signals();
    for listener in listeners.tcp {
        let (name, door) = (listener.local_addr()?.to_string(), door.clone());
        server = match door.certificates.clone() {
            Some(certificates) => server.listen(name, listener, move || door.tls(&certificates))?,
            None => server.listen(name, listener, move || door.tcp())?,
        };
    }
    let mut socket = None;
    if let Some((listener, file)) = listeners.unix {
        let mut door = door;
        if !config.socket_needs_key {
            door.parts = door.parts.trusted();
        }
        server = server.listen_uds("http+unix", listener, move || door.unix())?;
        socket = Some(file);
    }
    Ok((server.run(), socket))
}

impl Door {
    pub(super) fn new(
        config: &Config,
        parts: Parts,
        certificates: Option<Arc<Certificates>>,
        draining: CancellationToken,
    ) -> Self {
        Self {
            parts,
            draining,
            keep_alive: config.keep_alive,
            head_timeout: config.request_timeout,
            patience: config.ws_idle_timeout,
            certificates,
        }
    }

    fn tcp(
        &self,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<>
    {
        let (parts, patience) = (self.parts.clone(), self.patience);
        let enter = move |stream: TcpStream| {
            prepare(&stream, patience);
            let peer = stream.peer_addr().ok();
            let (connections, requests) = (parts.connections.clone(), Arc::clone(&parts.requests));
            async move {
                match connections.enter_within(PATIENCE).await {
                    Some(counted) => Ok((Wire::new(stream, counted, requests), peer)),
                    None => Err(crowd::turn_away(stream, connections.most(), &requests).await),
                }
            }
        };
        fn_service(enter).and_then(self.http())
    }

    fn tls(
        &self,
        certificates: &Arc<Certificates>,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<>
    {
        let (door, certificates) = (self.clone(), Arc::clone(certificates));
        let enter = move |stream: TcpStream| {
            prepare(&stream, door.patience);
            let (door, certificates) = (door.clone(), Arc::clone(&certificates));
            async move {
                let peer = stream.peer_addr().ok();
                // A TLS handshake costs more than an unauthenticated client may use while there is
                // no room.
                let counted = door.parts.connections.enter_within(PATIENCE).await;
                let Some(counted) = counted else { return Err(crowd::full(&door.parts.requests)) };
                let (stream, http2) = certificates.accept(stream, door.head_timeout).await.map_err(|error| {
                    tracing::debug!(%error, peer = peer.map(tracing::field::display), "TLS handshake failed");
                    DispatchError::Io(error)
                })?;
                let wire = Wire::new(stream, counted, Arc::clone(&door.parts.requests));
                if !http2 {
                    return Ok((wire, Protocol::Http1, peer));
                }
                let draining = door.draining;
                let goodbye = async move {
                    draining.cancelled_owned().await;
                    tokio::time::sleep(GRACE).await;
                };
                Ok((wire.http2(goodbye), Protocol::Http2, peer))
            }
        };
        let app = map_config(self.app(), |()| AppConfig::default());
        fn_service(enter).and_then(self.builder().finish(app))
    }

    fn unix(
        &self,
    ) -> impl ServiceFactory<UnixStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<>
    {
        let parts = self.parts.clone();
        let enter = move |stream: UnixStream| {
            let wire = Wire::new(stream, parts.connections.enter(), Arc::clone(&parts.requests));
            async move { Ok((wire, None)) }
        };
        fn_service(enter).and_then(self.http())
    }

    pub(super) fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
    ) -> impl ServiceFactory<
        (Wire<T>, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<T> {
        self.builder().h1(map_config(self.app(), |()| AppConfig::default()))
    }

    /// Builds the application of one worker.
    fn app(
        &self,
    ) -> impl ServiceFactory<
        actix_http::Request,
        Config = AppConfig,
        Response = actix_web::dev::ServiceResponse<impl actix_web::body::MessageBody + use<>>,
        Error = actix_web::HttpResponse,
        InitError = (),
    > + use<> {
        app::app(&self.parts).into_factory().map_err(|error: actix_web::Error| error.error_response())
    }

    fn builder<T: 'static, S>(&self) -> HttpServiceBuilder<Wire<T>, S>
    where
        S: ServiceFactory<actix_http::Request, Config = ()>,
        S::Error: Into<actix_http::Response<actix_http::body::BoxBody>> + 'static,
        S::InitError: std::fmt::Debug,
        <S::Service as Service<actix_http::Request>>::Future: 'static,
    {
        let draining = self.draining.clone();
        HttpServiceBuilder::default()
            .graceful_shutdown_signal(move || draining.clone().cancelled_owned())
            .keep_alive(KeepAlive::Timeout(self.keep_alive))
            .client_request_timeout(self.head_timeout)
            .client_disconnect_timeout(Duration::from_secs(1))
            .h1_allow_half_closed(false)
            .on_connect_ext(|wire: &Wire<T>, data| drop(data.insert(Arc::clone(wire.activity()))))
    }
}

/// Sets the socket options. No delay, because responses are small and clients wait for them. A
/// timeout after which the system closes a connection whose peer accepts no data, because no layer
/// above the socket can see that a write is stuck.
fn prepare(stream: &TcpStream, patience: Duration) {
    let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    let prepared = stream.set_nodelay(true).and_then(|()| {
        rustix::net::sockopt::set_tcp_user_timeout(stream, millis).map_err(std::io::Error::from)
    });
    if let Err(error) = prepared {
        tracing::debug!(%error, "a connection's options could not be set");
    }
}
