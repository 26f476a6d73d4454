//! TLS as a client of the service: whose certificate is believed, and what is said when it is not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whose certificate is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Anybody's who has its key: where the question holds no secret and the answer proves nothing.
    Anybody,
    /// The one in this file alone, whatever name it bears and however old it is.
    Exactly(PathBuf),
    /// Those of the authorities in this file.
    Authorities(PathBuf),
    /// Those of the authorities that this machine trusts.
    Platform,
}

/// Why TLS cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of certificates cannot be read, or holds none.
    #[error("failed to read certificates from `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The machine trusts nobody.
    #[error("this machine has no certificates of authorities: name a file of them with --ca ({0})")]
    NoPlatform(String),
    /// What was read cannot be used.
    #[error("TLS cannot be begun: {0}")]
    Unusable(#[from] rustls::Error),
}

/// What a connection is begun with.
pub fn client(trust: &Trust) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let only = |expected| Arc::new(Only { provider, expected });
    let config = match trust {
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(only(None)),
        Trust::Exactly(path) => {
            let own = read(path)?.into_iter().next();
            builder.dangerous().with_custom_certificate_verifier(only(own))
        }
        Trust::Authorities(path) => builder.with_root_certificates(authorities(path)?),
        Trust::Platform => builder.with_root_certificates(platform()?),
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// The certificates of a file, of which there is one at least.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |why: String| TrustError::Unreadable { path: path.to_owned(), why };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() { Err(unreadable("it holds none".to_owned())) } else { Ok(found) }
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

/// What an operator can do about a connection that was not made, if TLS was why.
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

/// Takes a certificate whose owner has its key: this one, or any.
#[derive(Debug)]
struct Only {
    provider: Arc<CryptoProvider>,
    expected: Option<CertificateDer<'static>>,
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
        if self.expected.as_ref().is_some_and(|expected| expected.as_ref() != shown.as_ref()) {
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
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
