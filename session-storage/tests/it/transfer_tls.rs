//! Back-ups and exports of a service on another machine: over TLS, with a key, and the errors when
//! one of them is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::json;

use crate::disk::names;
use crate::keys::make_key;
use crate::server::{Finished, Setup, TestServer};
use crate::transfer::text;

/// A certificate authority with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn make(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// Starts a service with a certificate for `localhost` that is valid between two years.
    fn serve(&self, setup: &Setup, (from, to): (i32, i32)) -> TestServer {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = setup.outside().join("chain.pem");
        let secret = setup.outside().join("key.pem");
        fs::write(&chain, certificate.pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        setup
            .clone()
            .env("TLS_CERT", chain.display())
            .env("TLS_KEY", secret.display())
            .start()
    }
}

fn url(server: &TestServer) -> String {
    format!("https://localhost:{}", server.address.port())
}

/// Runs a command as on another machine: without the service's configuration and directory.
async fn elsewhere(setup: &Setup, args: &[&str]) -> Finished {
    let setup = if args.contains(&"--url") {
        setup.clone().env("STORAGE_PATH", "")
    } else {
        setup.clone()
    };
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || setup.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn refused(run: &Finished, named: &[&str]) {
    assert_eq!(run.code, Some(1), "{}", run.said());
    for named in named {
        assert!(run.stderr.contains(named), "`{named}` in {}", run.said());
    }
}

#[tokio::test]
async fn a_service_elsewhere_is_asked_over_tls_with_a_key_and_every_refusal_is_plain() {
    let home = Setup::new();
    let authority = Authority::make(home.outside(), "ours");
    let other = Authority::make(home.outside(), "theirs");
    let admin = make_key(&home, &["--role", "admin"]);
    let viewer = make_key(&home, &["--role", "viewer"]);
    let server = authority.serve(&home, (2020, 2100));
    let url = url(&server);
    let away = Setup::new();
    let folder = away.outside().join("got");
    let ours = text(&authority.file);
    let theirs = text(&other.file);
    fs::create_dir(&folder).unwrap();
    let with = |key: &str| away.clone().env("SESSION_STORAGE_KEY", key);
    let backup = ["backup", text(&folder), "--url", &url];

    let run = elsewhere(&with(&admin), &[&backup[..], &["--ca", ours]].concat()).await;
    assert!(
        run.code == Some(0) && run.stdout.contains("from the running service"),
        "{}",
        run.said()
    );
    let file = away.outside().join("export.tar.zst");
    let export = ["export", text(&file), "--url", &url];
    let trusting = with(&admin).env("SSL_CERT_FILE", ours);
    let run = elsewhere(&trusting, &export).await;
    assert_eq!(
        run.code,
        Some(0),
        "the platform's authorities: {}",
        run.said()
    );
    let key_file = away.outside().join("key");
    fs::write(&key_file, &admin).unwrap();
    let by_file = [
        &backup[..3],
        &[&url, "--ca", ours, "--key-file", text(&key_file)],
    ]
    .concat();
    fs::remove_file(folder.join(&names(&folder)[0])).unwrap();
    let run = elsewhere(&away, &by_file).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
    let taken = names(&folder);

    let asked = async |setup: &Setup, url: &str, ca: Option<&str>| {
        let mut args: Vec<&str> = vec!["backup", text(&folder), "--url", url];
        args.extend(ca.iter().flat_map(|file| ["--ca", *file]));
        elsewhere(setup, &args).await
    };
    refused(
        &asked(&with(&admin), &url, Some(theirs)).await,
        &["--ca", "issued its certificate"],
    );
    refused(
        &asked(&with(&admin).env("SSL_CERT_FILE", theirs), &url, None).await,
        &["--ca"],
    );
    let by_number = format!("https://127.0.0.1:{}", server.address.port());
    refused(
        &asked(&with(&admin), &by_number, Some(ours)).await,
        &["for another name"],
    );
    let plain = format!("http://localhost:{}", server.address.port());
    refused(&asked(&with(&admin), &plain, None).await, &["https://"]);
    refused(
        &asked(&away, &url, Some(ours)).await,
        &["401", "SESSION_STORAGE_KEY"],
    );
    let wrong = asked(&with("sk_nobody_knows_this_one"), &url, Some(ours)).await;
    refused(&wrong, &["401"]);
    assert!(
        !wrong.said().contains("nobody_knows"),
        "a key is never said again: {}",
        wrong.said()
    );
    refused(
        &asked(&with(&viewer), &url, Some(ours)).await,
        &["403", "admin"],
    );
    refused(
        &asked(&with(&admin), &url, Some("/nowhere.pem")).await,
        &["/nowhere.pem"],
    );
    let no_authority = asked(&with(&admin), "https://localhost:1", Some(ours)).await;
    refused(&no_authority, &["https://localhost:1"]);
    let malformed = asked(&away, "localhost:9000", None).await;
    assert!(
        malformed.code == Some(2) && malformed.stderr.contains("--url"),
        "{}",
        malformed.said()
    );
    assert_eq!(
        names(&folder),
        taken,
        "nothing half-written is left, nor a copy of the wrong directory"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_reported_as_such_and_a_self_signed_one_is_accepted_by_its_file()
{
    let home = Setup::new();
    let authority = Authority::make(home.outside(), "ours");
    let server = authority.serve(&home, (2020, 2021));
    let url = url(&server);
    let target = home.outside().join("b.tar.zst");
    let expired = [
        "backup",
        text(&target),
        "--url",
        &url,
        "--ca",
        text(&authority.file),
    ];
    refused(&elsewhere(&Setup::new(), &expired).await, &["has expired"]);
    // On the machine of the service, the configuration says which certificate is the right one.
    let here = server.setup.clone().env("PORT", server.address.port());
    let run = elsewhere(&here, &["backup", text(&target)]).await;
    assert!(
        run.code == Some(0) && run.stdout.contains("from the running service"),
        "{}",
        run.said()
    );
    let key = home.outside().join("key.pem");
    let stranger = Authority::make(home.outside(), "stranger");
    let misled = here
        .env("TLS_CERT", stranger.file.display())
        .env("TLS_KEY", key.display());
    let another = home.outside().join("c.tar.zst");
    refused(
        &elsewhere(&misled, &["backup", text(&another)]).await,
        &["TLS_CERT"],
    );
}

#[tokio::test]
async fn https_to_a_service_that_speaks_http_says_so() {
    let server = TestServer::start();
    server.action("s", json!({})).await;
    let authority = Authority::make(server.setup.outside(), "ours");
    let target = server.setup.outside().join("b.tar.zst");
    let args = [
        "backup",
        text(&target),
        "--url",
        &url(&server),
        "--ca",
        text(&authority.file),
    ];
    refused(&elsewhere(&Setup::new(), &args).await, &["http://"]);
    let plain = format!("http://127.0.0.1:{}", server.address.port());
    let run = elsewhere(&Setup::new(), &["backup", text(&target), "--url", &plain]).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
}
