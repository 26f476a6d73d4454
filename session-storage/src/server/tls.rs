//! TLS: the certificate and its key, reloaded when their files change.
//!
//! New connections use the newest pair that could be read; open connections keep theirs. If a pair
//! cannot be used, the previous one stays in use and a warning is logged.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Config;
use crate::reloads::Reloads;

/// How often the files are checked.
const EVERY: Duration = Duration::from_secs(1);
/// The offered protocols, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Only one of the two files is configured.
    #[error("{0} also needs {1}")]
    Half(&'static str, &'static str),
    /// A file cannot be read, or is not in the PEM format.
    #[error("{name}: failed to read `{path}`: {why}")]
    Unreadable {
        /// The name of the option.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The certificate and the key do not match, or are of an unknown kind.
    #[error("TLS_CERT `{certificate}` and TLS_KEY `{key}` cannot be used: {source}")]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
}

/// The pair that new connections use.
#[derive(Debug)]
pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

/// Identifies one version of a file.
type Stamp = Option<(u64, i64, i64, u64)>;

impl Certificates {
    /// Reads the pair; `None` if no pair is configured.
    pub(super) fn open(config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        let (certificate, key) = match (&config.tls_cert, &config.tls_key) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(TlsError::Half("TLS_CERT", "TLS_KEY")),
            (None, Some(_)) => return Err(TlsError::Half("TLS_KEY", "TLS_CERT")),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        };
        let current = RwLock::new(Arc::new(read(&certificate, &key)?));
        Ok(Some(Arc::new(Self {
            certificate,
            key,
            current,
        })))
    }

    /// Performs the handshake; returns whether HTTP/2 was negotiated.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
    ) -> io::Result<(TlsStream<TcpStream>, bool)> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.read()));
        let stream = tokio::time::timeout(timeout, acceptor.accept(stream)).await??;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0]);
        Ok((stream, h2))
    }

    fn stamps(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
        })
    }

    fn reload(&self) -> Result<(), TlsError> {
        *self.current.write() = Arc::new(read(&self.certificate, &self.key)?);
        tracing::info!(certificate = %self.certificate.display(), "TLS certificate reloaded");
        Ok(())
    }

    /// Reloads the pair at `SIGHUP`, and when a file has changed and then stayed the same for one
    /// check, so that it is not read half-written. Never returns.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "failed to listen for SIGHUP"))
            .ok();
        let mut seen = self.stamps();
        let mut reloads = Reloads::new(Some(seen));
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::time::timeout(EVERY, asked).await.is_ok();
            let now = self.stamps();
            if asked || reloads.is_due(now) && now == seen {
                match self.reload() {
                    Ok(()) => reloads.succeeded(now),
                    Err(error) if reloads.failed(now) || asked => {
                        tracing::warn!(%error, "failed to reload the TLS certificate; the current one stays in use");
                    }
                    Err(_) => {}
                }
            }
            seen = now;
        }
    }
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let unreadable = |name, path: &Path| {
        let path = path.to_owned();
        move |why: String| TlsError::Unreadable { name, path, why }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("TLS_CERT", certificate)(error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("TLS_CERT", certificate)(
            "it holds no certificate".to_owned(),
        ));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("TLS_KEY", key)(error.to_string()))?;
    let unusable = |source| TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}
