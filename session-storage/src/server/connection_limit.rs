//! Handles connections beyond the connection limit: each gets an error response and is closed.
//!
//! First, an idle connection is closed to make room ([`crate::http::app::connections`]). The few
//! connections that may exist beyond the limit ([`super::descriptors`]) are those waiting for room
//! or receiving the error; further ones wait in the system's queue. Over TLS no error is sent,
//! because a handshake costs more than a response; the connection is just closed. Connections over
//! the Unix socket count but are always admitted, so that the operator can reach a service that is
//! full.

use std::io;
use std::time::Duration;

use actix_web::error::DispatchError;
use session_model::{Code, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::connection_stream::final_response;
use crate::observability::metrics::Requests;

/// How long a connection waits for an idle one to be closed, and how long sending the error
/// response may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// How many bytes of the client's request are read and discarded, so that the system does not drop
/// the response that was sent.
const DISCARDED: u64 = 64 << 10;

/// Sends an error to a client for whose connection there is no room, and closes the connection.
pub(super) async fn reject(
    mut stream: TcpStream,
    most: usize,
    requests: &Requests,
) -> DispatchError {
    let why = format!("too many connections: at most {most} at a time");
    let answer = final_response(
        Refusal::new(Code::RateLimited, why),
        "retry-after: 1\r\n",
        requests,
    );
    let sending = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(DISCARDED), &mut tokio::io::sink()).await
    };
    match tokio::time::timeout(TIMEOUT, sending).await {
        Ok(Ok(_)) | Err(_) => DispatchError::Io(limit_reached()),
        Ok(Err(error)) => DispatchError::Io(error),
    }
}

/// The error that closes a connection without a response.
pub(super) fn full(requests: &Requests) -> DispatchError {
    requests.errors.count(Code::RateLimited);
    DispatchError::Io(limit_reached())
}

fn limit_reached() -> io::Error {
    io::Error::other("the connection limit is reached")
}
