//! One worker of the service over in-memory connections instead of sockets, for fuzzing and tests.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_service::{Service as _, ServiceFactory as _};
use futures_core::future::LocalBoxFuture;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use super::accept::Connector;
use super::connection_stream::ConnectionStream;
use super::{ServerError, guards, live_config, serving};
use crate::config::Config;
use crate::http::app::AppState;
use crate::live::Hub;
use crate::sessions::Sessions;

/// A function that serves one connection to its end.
pub(crate) type Serve = Box<dyn Fn(DuplexStream) -> LocalBoxFuture<'static, ()>>;

/// Builds the components of the service in the same way as [`super::run`].
pub(crate) fn state(config: &Config) -> Result<(Arc<Sessions>, AppState), ServerError> {
    let guards = guards::open(config)?;
    let sessions = Sessions::open(serving(config)?, Arc::new(Hub::new(live_config(config))))?;
    Ok((
        Arc::clone(&sessions),
        AppState::new(config, sessions, guards, CancellationToken::new()),
    ))
}

/// Builds the service of one worker.
pub(crate) async fn serve(config: &Config, state: AppState, draining: CancellationToken) -> Serve {
    let connector = Connector::new(config, state.clone(), None, draining);
    let service = connector.http::<DuplexStream>().new_service(()).await;
    let service =
        Rc::new(service.unwrap_or_else(|()| unreachable!("the application always starts")));
    Box::new(move |stream| {
        let stream = ConnectionStream::new(
            stream,
            state.connections.enter(),
            Arc::clone(&state.requests),
        );
        let service = Rc::clone(&service);
        Box::pin(async move {
            // The result only says how the connection ended, which the client at its other end
            // checks.
            let _ = service
                .call((stream, Some(SocketAddr::from(([127, 0, 0, 1], 1)))))
                .await;
        })
    })
}
