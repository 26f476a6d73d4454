//! Implements `session-storage healthcheck`, which checks the health of the running service, for
//! images without curl.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use session_storage::config::Config;
use session_storage::secure::{self, Trust};

/// How long the whole check may take.
const TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const HEALTHY: &[u8] = b"HTTP/1.1 200 ";

/// Checks the service and returns the exit code: 0 if it is healthy.
pub(crate) fn run(config: &Config) -> u8 {
    let asked = match &config.socket_path {
        Some(path) => over_socket(path),
        None => over_tcp(&config.host, config.port, config.tls_cert.as_deref()),
    };
    match asked {
        Ok(true) => 0,
        Ok(false) => complain("the service is not healthy"),
        Err(error) => complain(&format!("failed to reach the service: {}", explain(&error))),
    }
}

fn explain(error: &io::Error) -> String {
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "its certificate is not the one that TLS_CERT names".to_owned()
        }
        Some(_) | None => error.to_string(),
    }
}

fn complain(why: &str) -> u8 {
    let _ = writeln!(io::stderr(), "session-storage: {why}");
    1
}

fn over_socket(path: &Path) -> io::Result<bool> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    ask(stream)
}

fn over_tcp(host: &str, port: u16, certificate: Option<&Path>) -> io::Result<bool> {
    let deadline = Instant::now() + TIMEOUT;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses(host, port)? {
        match TcpStream::connect_timeout(&address, left(deadline)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(left(deadline)))?;
                stream.set_write_timeout(Some(left(deadline)))?;
                return match certificate {
                    Some(certificate) => ask(encrypt(stream, certificate)?),
                    None => ask(stream),
                };
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}

/// Resolves the addresses to try. A service that listens on all addresses is checked over loopback.
fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = match bare {
        "0.0.0.0" | "::" => "localhost",
        other => other,
    };
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// Starts TLS with a peer that has the key of the configured certificate, and with no other. The
/// names and the expiry of the certificate are not checked: it must be exactly this certificate,
/// whatever it is for; clients on other machines check the rest.
fn encrypt(
    stream: TcpStream,
    certificate: &Path,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let config =
        secure::client(&Trust::Exactly(certificate.to_owned())).map_err(io::Error::other)?;
    let name = ServerName::from(stream.peer_addr()?.ip());
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

fn ask(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(REQUEST)?;
    let mut answer = [0; HEALTHY.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer == HEALTHY)
}
