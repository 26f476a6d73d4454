//! HTTPS, HTTP/2 and `wss` with a real certificate, and what happens to connections when it is
//! replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server::{Setup, TestServer, eventually};

/// A certificate for `localhost` and its key, in two files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn make(setup: &Setup) -> Self {
        let dir = setup.outside();
        let pair = Self {
            certificate: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        };
        pair.replace();
        pair
    }

    /// Replaces both files with a new certificate and its key; returns the certificate.
    fn replace(&self) -> String {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .unwrap();
        put(&self.key, &made.signing_key.serialize_pem());
        put(&self.certificate, &made.cert.pem());
        made.cert.pem()
    }

    fn pem(&self) -> String {
        std::fs::read_to_string(&self.certificate).unwrap()
    }

    fn of(&self, setup: Setup) -> Setup {
        setup
            .env("TLS_CERT", self.certificate.display())
            .env("TLS_KEY", self.key.display())
    }
}

fn put(path: &Path, text: &str) {
    let spare = path.with_extension("new");
    std::fs::write(&spare, text).unwrap();
    std::fs::rename(spare, path).unwrap();
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let provider = rustls::crypto::ring::default_provider();
    // Fails if another test has installed a provider already, and then that one is used.
    let _ = provider.clone().install_default();
    Arc::new(provider)
}

fn client(pem: &str) -> reqwest::Client {
    provider();
    let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .build()
        .unwrap()
}

/// Opens an HTTP/1.1 connection that trusts only this certificate.
async fn connect(server: &TestServer, pem: &str) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .ok()
}

async fn health(stream: &mut TlsStream<TcpStream>) -> String {
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(
            read > 0,
            "closed after {}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn https_http2_and_wss_are_served_from_one_address() {
    let setup = Setup::new();
    let pair = Pair::make(&setup);
    let setup = pair.of(setup);
    let server = setup.start();
    let client = client(&pair.pem());
    let base = format!("https://localhost:{}", server.address.port());
    let answer = client
        .post(format!("{base}/api/actions/s"))
        .json(&json!({"type": "x"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    for (name, value) in [
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"success": true, "seq": 1})
    );
    let refused = client
        .post(format!("{base}/api/actions/s"))
        .body("{")
        .header("content-type", "application/json");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    assert_eq!(
        refused.json::<Value>().await.unwrap()["code"].clone(),
        json!("invalid_json")
    );
    let mut old = connect(&server, &pair.pem()).await.unwrap();
    assert!(health(&mut old).await.starts_with("HTTP/1.1 200 "));
    let stream = connect(&server, &pair.pem()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("wss://localhost/ws?since=0", stream)
        .await
        .unwrap();
    let mut frames = String::new();
    while !frames.contains("\"action\"") {
        let frame = tokio::time::timeout(crate::server::PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        frames.push_str(frame.to_text().unwrap());
    }
    let healthy = setup
        .clone()
        .env("PORT", server.address.port())
        .run(&["healthcheck"]);
    assert_eq!(healthy.code, Some(0), "{}", healthy.stderr);
    // The health check accepts the configured certificate and no other.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = setup.outside().join("other.pem");
    put(&path, &other.cert.pem());
    let elsewhere = setup
        .clone()
        .env("PORT", server.address.port())
        .env("TLS_CERT", path.display());
    let refused = elsewhere.run(&["healthcheck"]);
    assert!(
        refused.code == Some(1)
            && refused
                .stderr
                .contains("is not the one that TLS_CERT names"),
        "{}",
        refused.said()
    );
    put(&path, "nothing");
    let refused = elsewhere.run(&["healthcheck"]);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("other.pem"),
        "{}",
        refused.said()
    );
    // A client that does not use TLS is refused and does no harm.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain
        .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP/1.1 200"));
    drop((client, socket, old));
    server.stop();
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let setup = Setup::new();
    let pair = Pair::make(&setup);
    let first = pair.pem();
    let server = pair
        .of(setup)
        .allow("failed to reload the TLS certificate")
        .start();
    let mut old = connect(&server, &first).await.unwrap();
    assert!(health(&mut old).await.starts_with("HTTP/1.1 200 "));
    let second = pair.replace();
    let mut new = eventually("the new certificate is shown", async || {
        connect(&server, &second).await
    })
    .await;
    assert!(health(&mut new).await.starts_with("HTTP/1.1 200 "));
    assert!(connect(&server, &first).await.is_none());
    assert!(
        health(&mut old).await.starts_with("HTTP/1.1 200 "),
        "an open connection lives on"
    );
    put(&pair.certificate, "no certificate");
    let warned = |count| {
        let log = server.log_text();
        (log.matches("failed to reload the TLS certificate").count() >= count).then_some(log)
    };
    let log = eventually("the bad file is told", async || warned(1)).await;
    assert!(
        log.contains("TLS_CERT") && log.contains("cert.pem"),
        "{log}"
    );
    assert!(
        connect(&server, &second).await.is_some(),
        "the one before stays"
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(server.pid().cast_signed()).unwrap(),
        rustix::process::Signal::HUP,
    )
    .unwrap();
    eventually("SIGHUP reads the files again", async || warned(2)).await;
    assert!(health(&mut old).await.starts_with("HTTP/1.1 200 "));
    drop((old, new));
    server.stop();
}

#[test]
fn a_pair_that_cannot_be_used_stops_the_start_by_its_name() {
    let setup = Setup::new();
    let pair = Pair::make(&setup);
    let alone = setup
        .clone()
        .env("TLS_CERT", pair.certificate.display())
        .run(&[]);
    assert_eq!(alone.code, Some(2));
    assert!(
        alone.stderr.contains("TLS_CERT also needs TLS_KEY"),
        "{}",
        alone.stderr
    );
    let setup = pair.of(setup);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = std::fs::read_to_string(&pair.key).unwrap();
    for (path, text, named) in [
        (&pair.key, other.signing_key.serialize_pem(), "TLS_KEY"),
        (&pair.key, "no key".to_owned(), "TLS_KEY"),
        (&pair.certificate, String::new(), "TLS_CERT"),
    ] {
        put(path, &text);
        let refused = setup.run(&[]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(named) && refused.stderr.contains(".pem"),
            "{}",
            refused.stderr
        );
        assert!(
            !refused.stderr.contains("PRIVATE") && !setup.storage().exists(),
            "{}",
            refused.stderr
        );
        put(&pair.key, &key);
    }
}
