//! TLS as a client of the service: which certificates are trusted, and how a failure is explained.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// Which certificates are trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Only the one in this file, regardless of its name and expiry.
    Exactly(PathBuf),
    /// Those issued by the authorities in this file.
    Authorities(PathBuf),
    /// Those issued by the authorities that this machine trusts.
    Platform,
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of certificates cannot be read or holds none.
    #[error("failed to read certificates from `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The machine has no trusted authorities.
    #[error("this machine has no certificates of authorities: name a file of them with --ca ({0})")]
    NoPlatform(String),
    /// The certificates cannot be used.
    #[error("TLS cannot be begun: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Creates the configuration of TLS connections.
pub fn client(trust: &Trust) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let config = match trust {
        Trust::Exactly(path) => {
            let expected = read(path)?.swap_remove(0);
            let only = Arc::new(Only { provider, expected });
            builder.dangerous().with_custom_certificate_verifier(only)
        }
        Trust::Authorities(path) => builder.with_root_certificates(authorities(path)?),
        Trust::Platform => builder.with_root_certificates(platform()?),
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// Reads the certificates of a file; there is at least one.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |why: String| TrustError::Unreadable {
        path: path.to_owned(),
        why,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() {
        Err(unreadable("it holds none".to_owned()))
    } else {
        Ok(found)
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in read(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn platform() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "certificates of this machine that cannot be read");
    }
    if added == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TrustError::NoPlatform(why.join("; ")));
    }
    Ok(roots)
}

/// Explains what an operator can do about a connection that failed because of TLS.
pub fn explain(error: &io::Error) -> Option<String> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let known = match cause {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "nobody who is trusted here has issued its certificate: name its authority's with --ca"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: is the clock right?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::ApplicationVerificationFailure => {
                "its certificate is not the one that TLS_CERT names here: say with --ca whom to trust"
            }
            _ => return Some(format!("its certificate is refused: {cause}")),
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS there: is it `http://`?",
        _ => return Some(format!("TLS failed: {cause}")),
    };
    Some(known.to_owned())
}

/// Accepts exactly one certificate, from a peer that proves to have its key.
#[derive(Debug)]
struct Only {
    provider: Arc<CryptoProvider>,
    expected: CertificateDer<'static>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.expected != *shown {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
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
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
