//! The connection to the collector: HTTP/1.1, one request per connection, on the exporter's own
//! thread, which may block.
//!
//! A failure is logged once, not for every batch, and so is the recovery from it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response, StatusCode};
use opentelemetry_http::{Bytes, HttpClient, HttpError};

/// The timeout of connecting, of sending, and of waiting for the response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest status line of a collector, in bytes; what follows it is not read.
const LONGEST_STATUS_LINE: u64 = 8192;

/// The HTTP client that the exporter uses.
#[derive(Debug, Default)]
pub(super) struct Collector {
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = post(&request);
        let fault = match &answer {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(format!("the collector responded with {status}")),
            Err(error) => Some(error.to_string()),
        };
        match fault {
            Some(fault) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(collector = %request.uri(), error = fault, "failed to deliver traces");
            }
            None if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(collector = %request.uri(), "traces are delivered again");
            }
            Some(_) | None => {}
        }
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer?;
        Ok(response)
    }
}

/// Sends the request and returns the status of the response.
fn post(request: &Request<Bytes>) -> io::Result<StatusCode> {
    let uri = request.uri();
    let wrong = |what: &'static str| io::Error::new(io::ErrorKind::InvalidInput, what);
    let authority = uri
        .authority()
        .ok_or_else(|| wrong("the collector's address has no host"))?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let mut stream = connect(host, authority.port_u16().unwrap_or(80))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut head = Vec::new();
    write!(
        head,
        "{} {} HTTP/1.1\r\nhost: {authority}\r\n",
        request.method(),
        uri.path()
    )?;
    for (name, value) in request.headers() {
        write!(
            head,
            "{name}: {}\r\n",
            value.to_str().map_err(|_| wrong("a header is no text"))?
        )?;
    }
    write!(
        head,
        "content-length: {}\r\nconnection: close\r\n\r\n",
        request.body().len()
    )?;
    stream.write_all(&head)?;
    stream.write_all(request.body())?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_STATUS_LINE)).read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
