//! What becomes of connections for which there is no room: told so, and closed.
//!
//! An idle connection makes room first ([`crate::app::connections`]). Those that wait for that, or are being told, are
//! among the few that may be there beyond the most ([`super::descriptors`]); further ones wait in the system's queue.
//! Over TLS nobody is told: a handshake costs more than an answer, so the connection is closed. Those that come over the
//! Unix socket are counted and let in, so that whoever runs the service reaches it when it is full.

use std::io;
use std::time::Duration;

use actix_web::error::DispatchError;
use session_model::{Code, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wire::parting;
use crate::metrics::Requests;

/// How long one waits for an idle connection to make room, and one that is turned away may take to hear it.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How much of what it still says is taken in, so that the system does not throw the answer away.
const HEARD: u64 = 64 << 10;

/// Tells a client that there is no room, and ends the connection.
pub(super) async fn turn_away(mut stream: TcpStream, most: usize, requests: &Requests) -> DispatchError {
    let why = format!("too many connections: at most {most} at a time");
    let answer = parting(Refusal::new(Code::RateLimited, why), "retry-after: 1\r\n", requests);
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(HEARD), &mut tokio::io::sink()).await
    };
    match tokio::time::timeout(PATIENCE, telling).await {
        Ok(Ok(_)) | Err(_) => DispatchError::Io(no_room()),
        Ok(Err(error)) => DispatchError::Io(error),
    }
}

/// The end of a connection that is not told why.
pub(super) fn full(requests: &Requests) -> DispatchError {
    requests.errors.count(Code::RateLimited);
    DispatchError::Io(no_room())
}

fn no_room() -> io::Error {
    io::Error::other("there are as many connections as there may be")
}
