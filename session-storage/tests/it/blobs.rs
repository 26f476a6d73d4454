//! Blobs: bytes that belong to a session, stored under their hash and served as a download.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::Reply;
use crate::raw;
use crate::server::{Setup, TestServer, eventually};

/// A token as a provider makes them; it is no one's.
const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

pub(crate) fn hash(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    session_model::BlobName::of_digest(digest).to_string()
}

pub(crate) fn path(session: &str, name: &str) -> String {
    format!("/api/sessions/{session}/blobs/{name}")
}

/// The file of a blob.
pub(crate) fn file(server: &TestServer, session: &str, name: &str) -> PathBuf {
    let folder = server
        .storage()
        .join("sessions")
        .join(session)
        .join("blobs");
    folder.join(&name[..2]).join(name)
}

/// Sends a blob under the hash of its bytes.
pub(crate) async fn put(
    server: &TestServer,
    session: &str,
    media: Option<&str>,
    bytes: &[u8],
) -> Reply {
    let headers: Vec<_> = media
        .map(|media| ("Content-Type", media.to_owned()))
        .into_iter()
        .collect();
    let path = path(session, &hash(bytes));
    server
        .send(Method::PUT, &path, &headers, Some(bytes.to_vec()))
        .await
}

/// A response whose body may be any bytes.
struct Bytes {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Bytes {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

async fn ask(server: &TestServer, method: Method, path: &str, headers: &[(&str, &str)]) -> Bytes {
    let mut request = server.http.request(method, server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    Bytes {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

async fn get(server: &TestServer, session: &str, name: &str) -> Bytes {
    ask(server, Method::GET, &path(session, name), &[]).await
}

/// An upload whose bytes are sent piece by piece.
struct Sending {
    stream: TcpStream,
    asked: String,
}

impl Sending {
    /// Sends the head; `length`: the announced length, if any.
    async fn begin(server: &TestServer, session: &str, name: &str, length: Option<usize>) -> Self {
        let asked = format!("PUT {}", path(session, name));
        let framing = length.map_or("Transfer-Encoding: chunked".to_owned(), |length| {
            format!("Content-Length: {length}")
        });
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("{asked} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, asked }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        self.send(format!("{:x}\r\n", bytes.len()).as_bytes()).await;
        self.send(bytes).await;
        self.send(b"\r\n").await;
    }

    async fn answer(&mut self) -> Reply {
        raw::answer(&self.asked, &mut self.stream).await
    }
}

/// Waits until bytes of an upload that is not complete are on the disk.
async fn is_arriving(server: &TestServer) {
    let uploads = server.storage().join(".uploads");
    eventually("bytes of the upload are on the disk", async || {
        let entries = std::fs::read_dir(&uploads).ok()?.flatten();
        let lengths = entries.filter_map(|entry| entry.metadata().ok());
        (lengths.map(|found| found.len()).sum::<u64>() > 0).then_some(())
    })
    .await;
}

/// Bytes that are no text, and that no two positions share for long.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut step)
        .flatten()
        .take(length)
        .collect()
}

/// Every file below the folder of blobs of a session, and every upload that is not complete.
fn leftovers(server: &TestServer, session: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![
        server
            .storage()
            .join("sessions")
            .join(session)
            .join("blobs"),
        server.storage().join(".uploads"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_blob_is_served_as_it_was_sent_as_a_download() {
    let server = TestServer::start();
    let bytes = noise(3_000_000);
    let name = hash(&bytes);
    let stored = put(&server, "a", Some("image/png"), &bytes).await.ok();
    let reference =
        json!({"$blob": format!("sha256:{name}"), "bytes": bytes.len(), "mediaType": "image/png"});
    assert_eq!(stored, json!({"success": true, "blob": reference}));

    let served = get(&server, "a", &name).await;
    assert_eq!(served.status, 200);
    assert!(served.body == bytes);
    assert_eq!(served.header("content-type"), "image/png");
    assert_eq!(served.header("content-length"), bytes.len().to_string());
    assert_eq!(served.header("etag"), format!("\"{name}\""));
    assert_eq!(served.header("x-content-type-options"), "nosniff");
    assert_eq!(
        served.header("content-security-policy"),
        "sandbox; default-src 'none'"
    );
    assert_eq!(served.header("cache-control"), "private, immutable");
    assert_eq!(
        served.header("content-disposition"),
        format!("attachment; filename=\"{name}.png\"")
    );
    assert_eq!(std::fs::read(file(&server, "a", &name)).unwrap(), bytes);

    let head = ask(&server, Method::HEAD, &path("a", &name), &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), bytes.len().to_string());
}

#[tokio::test]
async fn the_first_blob_creates_its_session_and_a_record_refers_to_it() {
    let server = TestServer::start();
    let stored = put(&server, "new", None, b"\x89PNG\0").await.ok();
    assert_eq!(stored["blob"]["mediaType"], "application/octet-stream");
    let session = server.get("/api/sessions/new").await.ok();
    assert_eq!(session["metadata"]["userId"], "unknown");
    let record = json!({"type": "tool_result", "output": stored["blob"]});
    server.post("/api/actions/new", record).await.ok();
}

#[tokio::test]
async fn an_empty_blob_is_one() {
    let server = TestServer::start();
    put(&server, "a", None, b"").await.ok();
    let served = get(&server, "a", &hash(b"")).await;
    assert_eq!((served.status, served.body.len()), (200, 0));
    let range = [("Range", "bytes=0-")];
    let refused = ask(&server, Method::GET, &path("a", &hash(b"")), &range).await;
    assert_eq!(refused.status, 416);
}

#[tokio::test]
async fn a_range_and_what_the_client_has_are_respected() {
    let server = TestServer::start();
    let bytes = noise(200_000);
    let name = hash(&bytes);
    put(&server, "a", None, &bytes).await.ok();
    let tag = format!("\"{name}\"");
    let path = path("a", &name);
    let ask = async |headers: &[(&str, &str)]| ask(&server, Method::GET, &path, headers).await;

    let part = ask(&[("Range", "bytes=100000-199998")]).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), "bytes 100000-199998/200000");
    assert!(part.body == bytes[100_000..199_999]);
    let last = ask(&[("Range", "bytes=-5"), ("If-Range", &tag)]).await;
    assert_eq!(
        (last.status, last.body.as_slice()),
        (206, &bytes[199_995..])
    );
    let other = ask(&[("Range", "bytes=-5"), ("If-Range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, 200_000));
    let several = ask(&[("Range", "bytes=0-1,4-5")]).await;
    assert_eq!((several.status, several.body.len()), (200, 200_000));
    let known = ask(&[("If-None-Match", &tag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), tag);
    let beyond = ask(&[("Range", "bytes=200000-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), "bytes */200000");
    let body: Value = serde_json::from_slice(&beyond.body).unwrap();
    assert_eq!(body["code"], "range_not_satisfiable");
}

#[tokio::test]
async fn bytes_that_do_not_match_their_name_leave_nothing() {
    let server = TestServer::start();
    let name = hash(b"other bytes");
    for session in ["new", "there"] {
        if session == "there" {
            server.post("/api/actions/there", json!({})).await.ok();
        }
        let path = path(session, &name);
        let sent = server
            .send(Method::PUT, &path, &[], Some(b"these bytes".to_vec()))
            .await;
        let message = sent.refused(409, "blob_mismatch");
        assert!(message.contains(&hash(b"these bytes")), "{message}");
        assert!(leftovers(&server, session).is_empty());
    }
    server
        .get("/api/sessions/new")
        .await
        .refused(404, "session_not_found");
    assert_eq!(get(&server, "there", &name).await.status, 404);
}

#[tokio::test]
async fn a_blob_sent_again_is_compared_and_stays() {
    let server = TestServer::start();
    put(&server, "a", Some("text/plain"), b"once").await.ok();
    let again = put(&server, "a", Some("image/png"), b"once").await.ok();
    assert_eq!(again["existing"], true);
    assert_eq!(again["blob"]["mediaType"], "text/plain", "the first one");
    let wrong = server
        .send(
            Method::PUT,
            &path("a", &hash(b"once")),
            &[],
            Some(b"more".to_vec()),
        )
        .await;
    wrong.refused(409, "blob_mismatch");
    assert_eq!(get(&server, "a", &hash(b"once")).await.body, b"once");
}

#[tokio::test]
async fn what_is_malformed_or_absent_is_refused_by_name() {
    let server = TestServer::start();
    server.post("/api/actions/a", json!({})).await.ok();
    let name = hash(b"x");
    for bad in [
        "x",
        &name[1..],
        &name.to_uppercase(),
        "..%2F..%2Fstate.json",
    ] {
        let refused = server.get(&path("a", bad)).await;
        refused.refused(400, "invalid_parameter");
    }
    server
        .get(&path("a", &name))
        .await
        .refused(404, "blob_not_found");
    server
        .get(&path("b", &name))
        .await
        .refused(404, "session_not_found");
    let sent = async |name: &str, value: &str| {
        let headers = [(name, value.to_owned())];
        let path = path("a", &hash(b"x"));
        server
            .send(Method::PUT, &path, &headers, Some(b"x".to_vec()))
            .await
    };
    let kind = sent("Content-Type", "picture").await;
    kind.refused(400, "invalid_parameter");
    let packed = sent("Content-Encoding", "gzip").await;
    packed.refused(415, "unsupported_media_type");
    server
        .post(&path("a", &name), json!({}))
        .await
        .refused(405, "method_not_allowed");
}

#[tokio::test]
async fn too_much_is_refused_and_leaves_nothing() {
    let setup = Setup::new()
        .env("MAX_BLOB_BYTES", "4KiB")
        .env("MAX_SESSION_BLOB_BYTES", "6KiB");
    let server = setup.start();
    let large = put(&server, "a", None, &noise(4097)).await;
    let message = large.refused(413, "payload_too_large");
    assert!(message.contains("4096"), "{message}");
    server
        .get("/api/sessions/a")
        .await
        .refused(404, "session_not_found");

    let mut unannounced = Sending::begin(&server, "a", &hash(&noise(5120)), None).await;
    for piece in noise(5120).chunks(1024) {
        unannounced.chunk(piece).await;
    }
    unannounced.send(b"0\r\n\r\n").await;
    let refused = unannounced.answer().await;
    refused.refused(413, "payload_too_large");

    put(&server, "a", None, &noise(4096)).await.ok();
    let more = put(&server, "a", None, &noise(3000)).await;
    let message = more.refused(507, "quota_exceeded");
    assert!(message.contains("MAX_SESSION_BLOB_BYTES"), "{message}");
    put(&server, "a", None, &noise(4096)).await.ok();
    put(&server, "a", None, &noise(2048)).await.ok();
    put(&server, "b", None, &noise(3000)).await.ok();
    assert_eq!(leftovers(&server, "a").len(), 4, "two blobs, two sidecars");

    let server = server.restart();
    let more = put(&server, "a", None, &noise(100)).await;
    more.refused(507, "quota_exceeded");
}

#[tokio::test]
async fn secrets_in_text_are_replaced_and_both_names_serve_the_result() {
    let server = TestServer::start();
    let text = format!(
        "{}\ntoken: {TOKEN}\n{}",
        "a line\n".repeat(50_000),
        "more\n".repeat(10)
    );
    let name = hash(text.as_bytes());
    let stored = put(&server, "a", Some("text/plain"), text.as_bytes())
        .await
        .ok();
    assert_eq!(stored["redacted"], 1);
    let stored_as = stored["storedAs"].as_str().unwrap();
    assert_eq!(stored["blob"]["$blob"], format!("sha256:{name}"));
    let served = get(&server, "a", &name).await;
    assert_eq!(served.header("etag"), format!("\"{stored_as}\""));
    assert_eq!(hash(&served.body), stored_as);
    assert_eq!(stored["blob"]["bytes"], served.body.len());
    let clean = String::from_utf8(served.body).unwrap();
    assert!(clean.contains("token: [redacted:") && !clean.contains(TOKEN));
    assert_eq!(get(&server, "a", stored_as).await.body, clean.as_bytes());

    let again = put(&server, "a", Some("text/plain"), text.as_bytes())
        .await
        .ok();
    assert_eq!(again["existing"], true);
    assert_eq!(again["storedAs"], stored_as);
    for file in leftovers(&server, "a") {
        let bytes = std::fs::read(&file).unwrap();
        let found = memchr::memmem::find(&bytes, TOKEN.as_bytes());
        assert!(found.is_none(), "{}", file.display());
    }
    let unsaid = put(&server, "b", None, text.as_bytes()).await.ok();
    assert_eq!(unsaid["storedAs"], stored_as, "text without a type");
    let image = put(&server, "c", Some("image/x"), text.as_bytes())
        .await
        .ok();
    assert_eq!(image["redacted"], Value::Null);
}

#[tokio::test]
async fn without_redaction_text_stays_as_it_is() {
    let server = Setup::new().env("REDACTION", "off").start();
    let stored = put(&server, "a", Some("text/plain"), TOKEN.as_bytes())
        .await
        .ok();
    assert_eq!(stored["storedAs"], Value::Null);
    assert_eq!(
        get(&server, "a", &hash(TOKEN.as_bytes())).await.body,
        TOKEN.as_bytes()
    );
}

#[tokio::test]
async fn blobs_outlive_a_kill_and_an_upload_that_was_cut_off_does_not() {
    let server = TestServer::start();
    let bytes = noise(1_000_000);
    put(&server, "a", None, &bytes).await.ok();
    let name = hash(b"never whole");
    let mut upload = Sending::begin(&server, "a", &name, Some(2_000_000)).await;
    upload.send(&noise(600_000)).await;
    is_arriving(&server).await;
    let server = server.crash();
    assert_eq!(get(&server, "a", &name).await.status, 404);
    assert!(get(&server, "a", &hash(&bytes)).await.body == bytes);
    assert_eq!(leftovers(&server, "a").len(), 2);
}

#[tokio::test]
async fn an_upload_that_the_client_breaks_off_leaves_nothing() {
    let server = TestServer::start();
    server.post("/api/actions/a", json!({})).await.ok();
    let name = hash(b"never whole");
    let mut upload = Sending::begin(&server, "a", &name, Some(2_000_000)).await;
    upload.send(&noise(600_000)).await;
    is_arriving(&server).await;
    drop(upload);
    eventually("the upload is removed", async || {
        leftovers(&server, "a").is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_does_not_bring_a_deleted_session_back() {
    let server = TestServer::start();
    let bytes = noise(600_000);
    for again in [false, true] {
        server.post("/api/actions/a", json!({})).await.ok();
        let mut upload = Sending::begin(&server, "a", &hash(&bytes), Some(bytes.len())).await;
        upload.send(&bytes[..500_000]).await;
        is_arriving(&server).await;
        server.delete("/api/sessions/a").await.ok();
        if again {
            server.post("/api/actions/a", json!({})).await.ok();
        }
        upload.send(&bytes[500_000..]).await;
        let answer = upload.answer().await;
        answer.refused(404, "session_not_found");
        assert!(leftovers(&server, "a").is_empty());
        assert_eq!(
            server.get("/api/sessions/a").await.status,
            if again { 200 } else { 404 }
        );
    }
}

#[tokio::test]
async fn a_damaged_blob_is_not_served_and_is_replaced_when_it_is_sent_again() {
    let setup = Setup::new().allow("a blob is damaged");
    let server = setup.start();
    let bytes = noise(10_000);
    let name = hash(&bytes);
    put(&server, "a", None, &bytes).await.ok();
    let path = file(&server, "a", &name);
    std::fs::write(&path, &bytes[..9_000]).unwrap();
    server
        .get(&crate::blobs::path("a", &name))
        .await
        .refused(410, "blob_damaged");
    let again = put(&server, "a", None, &bytes).await.ok();
    assert_eq!(again["existing"], Value::Null);
    assert!(get(&server, "a", &name).await.body == bytes);
    std::fs::write(path.with_extension("json"), "{").unwrap();
    server
        .get(&crate::blobs::path("a", &name))
        .await
        .refused(410, "blob_damaged");
    put(&server, "a", None, &bytes).await.ok();
    assert!(get(&server, "a", &name).await.body == bytes);
}

#[tokio::test]
async fn blobs_go_with_their_session() {
    let server = TestServer::start();
    put(&server, "a", None, b"\0bytes").await.ok();
    server.delete("/api/sessions/a").await.ok();
    server
        .get(&path("a", &hash(b"\0bytes")))
        .await
        .refused(404, "session_not_found");
    server.post("/api/actions/a", json!({})).await.ok();
    server
        .get(&path("a", &hash(b"\0bytes")))
        .await
        .refused(404, "blob_not_found");
}

#[tokio::test]
async fn many_uploads_of_the_same_blob_store_it_once() {
    let server = TestServer::start();
    let bytes = noise(300_000);
    let puts = (0..12).map(|_| put(&server, "a", None, &bytes));
    for reply in futures_util::future::join_all(puts).await {
        reply.ok();
    }
    assert_eq!(leftovers(&server, "a").len(), 2);
    assert!(get(&server, "a", &hash(&bytes)).await.body == bytes);
}

#[tokio::test]
async fn without_auto_create_a_blob_creates_no_session() {
    let server = Setup::new().env("AUTO_CREATE_SESSIONS", "false").start();
    put(&server, "a", None, b"\0")
        .await
        .refused(404, "session_not_found");
}
