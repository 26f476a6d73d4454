//! Tests TLS and proxies through the command: both are configured by a process's environment.
#![cfg(feature = "https")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::command::command;
use crate::setup::{SESSION, Setup, setup};

/// Starts a TLS proxy for `localhost` in front of a service. Returns its port and its certificate.
fn in_front_of(setup: &Setup) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let service = setup.service.address;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream.unwrap());
            let mut plain = TcpStream::connect(service).unwrap();
            // A client that does not trust the certificate closes its connection here.
            while let Ok(request @ 1..) = forward(&mut tls, &mut plain) {
                assert!(request > 0 && forward(&mut plain, &mut tls).is_ok());
            }
        }
    });
    (port, made.cert.pem())
}

/// Forwards one message, using its `content-length`.
fn forward(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<usize> {
    let mut message = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = from.read(&mut buffer)?;
        message.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&message).to_lowercase();
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let whole = text
            .find("\r\n\r\n")
            .map(|head| head + 4 + length.unwrap_or(0));
        if read == 0 || whole.is_some_and(|whole| message.len() >= whole) {
            to.write_all(&message)?;
            to.flush()?;
            return Ok(message.len());
        }
    }
}

#[test]
fn https_delivers_to_a_service_that_it_can_verify_and_to_no_other() {
    let setup = setup();
    let (port, certificate) = in_front_of(&setup);
    let trusted = setup.dir.path().join("trusted.pem");
    std::fs::write(&trusted, certificate).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let others = setup.dir.path().join("others.pem");
    std::fs::write(&others, stranger.cert.pem()).unwrap();
    let run = |authorities| {
        let mut command = command(
            &setup,
            &["action", "{\"n\":0}", "--strict", "--wait", "20000"],
        );
        command
            .env("SESSION_SERVICE_URL", format!("https://localhost:{port}"))
            .env("SSL_CERT_FILE", authorities);
        command.env("SESSION_TOKEN", "secret").output().unwrap()
    };
    let refused = run(&others);
    assert_eq!(refused.status.code(), Some(69), "{refused:?}");
    assert!(setup.service.lock().requests.is_empty());
    let taken = run(&trusted);
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    setup.service.wait(|state| {
        state
            .sessions
            .get(SESSION)
            .is_some_and(|found| !found.lines.is_empty())
    });
    assert_eq!(
        setup.service.lock().requests[0].headers["authorization"],
        "Bearer secret"
    );
}

#[test]
fn a_proxy_is_used_for_what_is_not_on_this_machine() {
    let setup = setup();
    let run = |url: &str| {
        let mut command = command(
            &setup,
            &["action", "{\"n\":0}", "--strict", "--wait", "20000"],
        );
        command
            .env("SESSION_SERVICE_URL", url)
            .env("http_proxy", setup.service.url())
            .output()
            .unwrap()
    };
    setup
        .service
        .lock()
        .scripted
        .push_back((200, r#"{"results":[{"success":true}]}"#.to_owned()));
    assert_eq!(run("http://recorder.invalid:9000").status.code(), Some(0));
    assert_eq!(run(&setup.service.url()).status.code(), Some(0));
    let paths: Vec<String> = setup
        .service
        .lock()
        .requests
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(
        paths,
        [
            "http://recorder.invalid:9000/api/sessions/s-1/events",
            "/api/sessions/s-1/events"
        ]
    );
}
