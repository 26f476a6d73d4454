//! One worker of the service over in-memory connections instead of sockets, for fuzzing and tests.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_service::{Service as _, ServiceFactory as _};
use futures_core::future::LocalBoxFuture;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use super::accept::Door;
use super::wire::Wire;
use super::{ServerError, guards, live_config, serving};
use crate::app::Parts;
use crate::config::Config;
use crate::live::Hub;
use crate::sessions::Sessions;

/// A function that serves one connection to its end.
pub(crate) type Serve = Box<dyn Fn(DuplexStream) -> LocalBoxFuture<'static, ()>>;

/// Builds the components of the service in the same way as [`super::run`].
pub(crate) fn parts(config: &Config) -> Result<(Arc<Sessions>, Parts), ServerError> {
    let guards = guards::open(config)?;
    let sessions = Sessions::open(serving(config)?, Arc::new(Hub::new(live_config(config))))?;
    Ok((Arc::clone(&sessions), Parts::new(config, sessions, guards, CancellationToken::new())))
}

/// Builds the service of one worker.
pub(crate) async fn serve(config: &Config, parts: Parts, draining: CancellationToken) -> Serve {
    let door = Door::new(config, parts.clone(), None, draining);
    let service = door.http::<DuplexStream>().new_service(()).await;
    let service = Rc::new(service.unwrap_or_else(|()| unreachable!("the application always starts")));
    Box::new(move |stream| {
        let wire = Wire::new(stream, parts.connections.enter(), Arc::clone(&parts.requests));
        let service = Rc::clone(&service);
        Box::pin(async move {
            // The result only says how the connection ended, which the client at its other end
            // checks.
            let _ = service.call((wire, Some(SocketAddr::from(([127, 0, 0, 1], 1))))).await;
        })
    })
}
