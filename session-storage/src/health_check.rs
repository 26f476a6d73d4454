//! `session-storage healthcheck`: asks the running service whether it is well, for images without curl.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use session_storage::config::Config;

/// How long the whole check may take.
const PATIENCE: Duration = Duration::from_secs(2);
const QUESTION: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const WELL: &[u8] = b"HTTP/1.1 200 ";

/// The exit code: 0 if the service is well.
pub(crate) fn run(config: &Config) -> u8 {
    let asked = match &config.socket_path {
        Some(path) => over_socket(path),
        None => over_tcp(&config.host, config.port, config.tls_cert.as_deref()),
    };
    match asked {
        Ok(true) => 0,
        Ok(false) => complain("the service is not well"),
        Err(error) => complain(&format!("the service cannot be asked: {error}")),
    }
}

fn complain(why: &str) -> u8 {
    let _ = writeln!(io::stderr(), "session-storage: {why}");
    1
}

fn over_socket(path: &Path) -> io::Result<bool> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    ask(stream)
}

fn over_tcp(host: &str, port: u16, certificate: Option<&Path>) -> io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
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
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Whoever listens everywhere is asked at home.
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

/// TLS with whoever has the key of the certificate that is configured, and with nobody else. Its names and its end are
/// not looked at: it is the very certificate, whatever it is for, and those who come from elsewhere judge the rest.
fn encrypt(stream: TcpStream, certificate: &Path) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let unreadable = |why: String| io::Error::other(format!("TLS_CERT `{}`: {why}", certificate.display()));
    let mut chain =
        CertificateDer::pem_file_iter(certificate).map_err(|error| unreadable(error.to_string()))?;
    let own = chain.next().ok_or_else(|| unreadable("it holds no certificate".to_owned()))?;
    let own = own.map_err(|error| unreadable(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ThisCertificate { own, provider }))
        .with_no_client_auth();
    let name = ServerName::from(stream.peer_addr()?.ip());
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Takes one certificate, from whoever proves to have its key.
#[derive(Debug)]
struct ThisCertificate {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ThisCertificate {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.own {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("its certificate is not the one in TLS_CERT".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(QUESTION)?;
    let mut answer = [0; WELL.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer == WELL)
}
