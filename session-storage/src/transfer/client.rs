//! Sends requests to the running service over its Unix socket, TCP or TLS, on this or another
//! machine.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::body::{Body, Head, Left, MAX_HEAD, parse_head, read_head};
use crate::config::{Address, Config};
use crate::secure::{self, Trust};

/// How long the service may send nothing.
const SILENCE: Duration = Duration::from_mins(2);
/// How long the service may send nothing before a response that takes no time.
const SHORT_SILENCE: Duration = Duration::from_secs(5);

/// How to reach the running service, and with which credentials.
#[derive(Clone, Debug)]
pub struct Connector<'c> {
    /// The configuration, which says where the service listens unless `address` is set.
    pub config: &'c Config,
    /// Whether the storage directory was configured rather than taken from the default.
    pub is_directory_given: bool,
    /// The URL of the service, if it is not the one on this machine.
    pub address: Option<Address>,
    /// The certificate authorities that are trusted instead of the machine's.
    pub authorities: Option<PathBuf>,
    /// The key that is sent.
    pub key: Option<String>,
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// Returns the host to connect to. A service that listens on all addresses is reached over
/// loopback.
fn at_home(host: &str) -> &str {
    match host.trim_start_matches('[').trim_end_matches(']') {
        "0.0.0.0" | "::" => "localhost",
        other => other,
    }
}

fn tcp(host: &str, port: u16, silence: Duration) -> io::Result<TcpStream> {
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    let stream = TcpStream::connect(&addresses[..])?;
    stream.set_read_timeout(Some(silence))?;
    stream.set_write_timeout(Some(silence))?;
    Ok(stream)
}

fn is_not_running(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
    )
}

impl Connector<'_> {
    /// Sends a GET request and returns the body of its response; `None` if no service is running
    /// here.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Option<impl Read + use<>>> {
        let Some((head, body)) = self.ask("GET", path, SILENCE)? else {
            return Ok(None);
        };
        accepted(&head, body).map(Some)
    }

    /// Sends a request that takes the service no time and returns the head of its response; `None`
    /// if no service is running here.
    pub(super) fn head_of(&self, method: &str, path: &str) -> anyhow::Result<Option<Head>> {
        let Some((head, body)) = self.ask(method, path, SHORT_SILENCE)? else {
            return Ok(None);
        };
        accepted(&head, body)?;
        Ok(Some(head))
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        silence: Duration,
    ) -> anyhow::Result<Option<(Head, Body<impl BufRead + use<>>)>> {
        let Some(mut stream) = self.connect(silence)? else {
            return Ok(None);
        };
        let key = self
            .key
            .as_ref()
            .map(|key| format!("Authorization: Bearer {key}\r\n"));
        let key = key.unwrap_or_default();
        let host = self
            .address
            .as_ref()
            .map_or("localhost", Address::authority);
        let question =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{key}\r\n");
        stream
            .write_all(question.as_bytes())
            .map_err(|error| self.failed(error))
            .context("failed to ask the service")?;
        let mut answer = BufReader::with_capacity(256 << 10, stream);
        let head = read_head(&mut answer)
            .map_err(|error| self.failed(error))
            .context(if self.is_encrypted() {
                "failed to read the service's answer"
            } else {
                "failed to read the service's answer (is it `https://`?)"
            })?;
        let head = parse_head(&head)?;
        let left = if head.is_chunked {
            Left::Chunk(0)
        } else {
            Left::Unknown
        };
        Ok(Some((head, Body { from: answer, left })))
    }

    /// Connects to the service. Returns `None` if nothing listens on this machine; for another
    /// machine that is an error.
    fn connect(&self, silence: Duration) -> anyhow::Result<Option<Box<dyn Connection>>> {
        let connected = match (&self.address, &self.config.socket_path) {
            (Some(address), _) => {
                let stream = tcp(&address.host, address.port, silence)
                    .with_context(|| format!("failed to reach the service at {address}"))?;
                let trust = address.is_encrypted.then(|| self.trust(Trust::Platform));
                return over(stream, &address.host, trust).map(Some);
            }
            (None, Some(path)) => UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(silence))?;
                Ok(Box::new(stream) as Box<dyn Connection>)
            }),
            // A service that listens on any free port cannot be found by its configured port.
            (None, None) if self.config.port == 0 => return Ok(None),
            (None, None) => {
                let host = at_home(&self.config.host);
                match tcp(host, self.config.port, silence) {
                    Ok(stream) => {
                        let own = self.config.tls_cert.clone().map(Trust::Exactly);
                        return over(stream, host, own.map(|own| self.trust(own))).map(Some);
                    }
                    Err(error) => Err(error),
                }
            }
        };
        match connected {
            Err(error) if is_not_running(&error) => Ok(None),
            connected => connected.map(Some).context("failed to reach the service"),
        }
    }

    /// Describes where the service is reached, for messages.
    pub(super) fn place(&self) -> String {
        match (&self.address, &self.config.socket_path) {
            (Some(address), _) => address.to_string(),
            (None, Some(socket)) => socket.display().to_string(),
            (None, None) => format!("{}:{}", at_home(&self.config.host), self.config.port),
        }
    }

    fn is_encrypted(&self) -> bool {
        match &self.address {
            Some(address) => address.is_encrypted,
            None => self.config.tls_cert.is_some() && self.config.socket_path.is_none(),
        }
    }

    /// Returns the configured authorities, or else `usual`.
    fn trust(&self, usual: Trust) -> Trust {
        self.authorities.clone().map_or(usual, Trust::Authorities)
    }

    /// Adds to an error of the connection what can be done about it.
    fn failed(&self, error: io::Error) -> anyhow::Error {
        let whom = self
            .address
            .as_ref()
            .map_or_else(|| "the service".to_owned(), ToString::to_string);
        match secure::explain(&error) {
            Some(why) => anyhow::anyhow!("{whom}: {why}"),
            None => error.into(),
        }
    }
}

fn over(
    stream: TcpStream,
    host: &str,
    trust: Option<Trust>,
) -> anyhow::Result<Box<dyn Connection>> {
    let Some(trust) = trust else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(host.to_owned())
        .with_context(|| format!("`{host}` is no name of a host"))?;
    let connection = ClientConnection::new(secure::client(&trust)?, name)?;
    Ok(Box::new(StreamOwned::new(connection, stream)))
}

/// Returns the body of a successful response; otherwise fails with the service's error and advice
/// on it.
fn accepted<R: BufRead>(head: &Head, body: Body<R>) -> anyhow::Result<Body<R>> {
    if head.status == 200 {
        return Ok(body);
    }
    let mut text = String::new();
    body.take(MAX_HEAD)
        .read_to_string(&mut text)
        .context("failed to read the service's refusal")?;
    bail!(
        "the service refused with {}: {}{}",
        head.status,
        text.trim(),
        advice(head.status)
    );
}

/// Returns advice on an error status.
fn advice(status: u16) -> &'static str {
    match status {
        401 => " (see SESSION_STORAGE_KEY and --key-file)",
        403 => " (the key needs the scope admin, for all sessions)",
        421 => " (name the host in the service's ALLOWED_HOSTS)",
        _ => "",
    }
}
