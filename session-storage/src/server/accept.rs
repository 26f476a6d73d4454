//! Accepts connections: for each listener, builds the service that every worker runs for its
//! connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpServiceBuilder, Protocol};
use actix_service::{
    IntoServiceFactory as _, Service, ServiceFactory, ServiceFactoryExt as _, fn_service,
    map_config,
};
use actix_web::dev::{AppConfig, Server};
use actix_web::error::DispatchError;
use actix_web::http::KeepAlive;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::connection_limit::{self, TIMEOUT};
use super::connection_stream::ConnectionStream;
use super::descriptors::Shares;
use super::listen::{Listeners, SocketFile};
use super::tls::Certificates;
use crate::config::Config;
use crate::http::app::{self, AppState};

/// How long HTTP/2 requests in flight may take once the service is shutting down.
const GRACE: Duration = Duration::from_secs(1);

/// The settings and shared state with which every connection is served.
#[derive(Clone)]
pub(super) struct Connector {
    state: AppState,
    /// Cancelled at shutdown, which closes idle connections.
    draining: CancellationToken,
    keep_alive: Duration,
    head_timeout: Duration,
    /// How long a peer may accept no data before the connection is closed.
    write_timeout: Duration,
    certificates: Option<Arc<Certificates>>,
}

/// Serves on the listeners. The caller must keep the socket's file for as long as the service runs.
pub(super) fn serve(
    config: &Config,
    listeners: Listeners,
    certificates: Option<Arc<Certificates>>,
    state: AppState,
    draining: CancellationToken,
    shares: &Shares,
) -> std::io::Result<(Server, Option<SocketFile>)> {
    let connector = Connector::new(config, state, certificates, draining);
    let mut server = Server::build()
        .workers(config.workers)
        .worker_max_blocking_threads(shares.blocking_threads)
        // A worker at its limit is skipped. So all workers together accept the permitted number of
        // connections and no more.
        .max_concurrent_connections(shares.accepted.div_ceil(config.workers))
        .shutdown_timeout(config.shutdown_timeout.as_secs().saturating_add(1))
        .disable_signals();
    for listener in listeners.tcp {
        let name = listener.local_addr()?.to_string();
        let connector = connector.clone();
        server = match connector.certificates.clone() {
            Some(certificates) => {
                server.listen(name, listener, move || connector.tls(&certificates))?
            }
            None => server.listen(name, listener, move || connector.tcp())?,
        };
    }
    let mut socket = None;
    if let Some((listener, file)) = listeners.unix {
        let mut connector = connector;
        if !config.socket_needs_key {
            connector.state = connector.state.trusted();
        }
        server = server.listen_uds("http+unix", listener, move || connector.unix())?;
        socket = Some(file);
    }
    Ok((server.run(), socket))
}

impl Connector {
    pub(super) fn new(
        config: &Config,
        state: AppState,
        certificates: Option<Arc<Certificates>>,
        draining: CancellationToken,
    ) -> Self {
        Self {
            state,
            draining,
            keep_alive: config.keep_alive,
            head_timeout: config.request_timeout,
            write_timeout: config.ws_idle_timeout,
            certificates,
        }
    }

    fn tcp(
        &self,
    ) -> impl ServiceFactory<
        TcpStream,
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<> {
        let state = self.state.clone();
        let write_timeout = self.write_timeout;
        let enter = move |stream: TcpStream| {
            prepare(&stream, write_timeout);
            let peer = stream.peer_addr().ok();
            let connections = state.connections.clone();
            let requests = Arc::clone(&state.requests);
            async move {
                match connections.enter_within(TIMEOUT).await {
                    Some(counted) => Ok((ConnectionStream::new(stream, counted, requests), peer)),
                    None => {
                        Err(connection_limit::reject(stream, connections.most(), &requests).await)
                    }
                }
            }
        };
        fn_service(enter).and_then(self.http())
    }

    fn tls(
        &self,
        certificates: &Arc<Certificates>,
    ) -> impl ServiceFactory<
        TcpStream,
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<> {
        let connector = self.clone();
        let certificates = Arc::clone(certificates);
        let enter = move |stream: TcpStream| {
            prepare(&stream, connector.write_timeout);
            let connector = connector.clone();
            let certificates = Arc::clone(&certificates);
            async move {
                let peer = stream.peer_addr().ok();
                // A TLS handshake costs more than an unauthenticated client may use while there is
                // no room.
                let counted = connector.state.connections.enter_within(TIMEOUT).await;
                let Some(counted) = counted else {
                    return Err(connection_limit::full(&connector.state.requests));
                };
                let (stream, http2) = certificates.accept(stream, connector.head_timeout).await.map_err(|error| {
                    tracing::debug!(%error, peer = peer.map(tracing::field::display), "TLS handshake failed");
                    DispatchError::Io(error)
                })?;
                let stream =
                    ConnectionStream::new(stream, counted, Arc::clone(&connector.state.requests));
                if !http2 {
                    return Ok((stream, Protocol::Http1, peer));
                }
                let draining = connector.draining;
                let end = async move {
                    draining.cancelled_owned().await;
                    tokio::time::sleep(GRACE).await;
                };
                Ok((stream.http2(end), Protocol::Http2, peer))
            }
        };
        let app = map_config(self.app(), |()| AppConfig::default());
        fn_service(enter).and_then(self.builder().finish(app))
    }

    fn unix(
        &self,
    ) -> impl ServiceFactory<
        UnixStream,
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<> {
        let state = self.state.clone();
        let enter = move |stream: UnixStream| {
            let stream = ConnectionStream::new(
                stream,
                state.connections.enter(),
                Arc::clone(&state.requests),
            );
            async move { Ok((stream, None)) }
        };
        fn_service(enter).and_then(self.http())
    }

    pub(super) fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
    ) -> impl ServiceFactory<
        (ConnectionStream<T>, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<T> {
        self.builder()
            .h1(map_config(self.app(), |()| AppConfig::default()))
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
        app::app(&self.state)
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response())
    }

    fn builder<T: 'static, S>(&self) -> HttpServiceBuilder<ConnectionStream<T>, S>
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
            .on_connect_ext(|stream: &ConnectionStream<T>, data| {
                drop(data.insert(Arc::clone(stream.activity())));
            })
    }
}

/// Sets the socket options. No delay, because responses are small and clients wait for them. A
/// timeout after which the system closes a connection whose peer accepts no data, because no layer
/// above the socket can see that a write is stuck.
fn prepare(stream: &TcpStream, write_timeout: Duration) {
    let millis = u32::try_from(write_timeout.as_millis()).unwrap_or(u32::MAX);
    let prepared = stream.set_nodelay(true).and_then(|()| {
        rustix::net::sockopt::set_tcp_user_timeout(stream, millis).map_err(std::io::Error::from)
    });
    if let Err(error) = prepared {
        tracing::debug!(%error, "failed to set a connection's options");
    }
}
