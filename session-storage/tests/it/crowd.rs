//! More connections than the limit permits.

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::keys::make_key;
use crate::server::{PATIENCE, Setup, TestServer, eventually};
use crate::socket::Tail;

const MOST: usize = 4;
const COMERS: usize = 32;

/// A connection that stays open, with the head and body of its first response; the status is 0 if
/// there was no response.
struct Comer {
    stream: TcpStream,
    answer: String,
}

impl Comer {
    async fn come(server: &TestServer, request: &str) -> Self {
        let mut comer =
            Self { stream: TcpStream::connect(server.address).await.unwrap(), answer: String::new() };
        comer.say(request).await;
        comer.hear().await;
        comer
    }

    async fn say(&mut self, text: &str) {
        // The service may refuse the connection before the request is written.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    async fn hear(&mut self) {
        let mut buffer = [0; 4096];
        while !self.answer.ends_with('}') {
            match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer") {
                Ok(0) | Err(_) => return,
                Ok(n) => self.answer.push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
            }
        }
    }

    fn status(&self) -> u16 {
        self.answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn append(body: &str, length: usize) -> String {
    format!(
        "POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Opens a connection whose request is in progress until [`finish`].
async fn begin(server: &TestServer) -> Comer {
    let mut comer =
        Comer { stream: TcpStream::connect(server.address).await.unwrap(), answer: String::new() };
    comer.say(&append("{\"type\":", 12)).await;
    comer
}

async fn finish(comer: &mut Comer) {
    comer.say("\"x\"}").await;
    comer.hear().await;
}

#[tokio::test]
async fn of_many_that_come_at_once_exactly_as_many_are_let_in_and_the_others_are_told() {
    let server = Setup::new().env("MAX_CONNECTIONS", MOST).env("WORKERS", 2).start();
    let mut comers = join_all((0..COMERS).map(|_| begin(&server))).await;
    eventually("the others are told", async || {
        let mut byte = [0; 1];
        let told = comers.iter().filter(|comer| {
            let mut peeked = tokio::io::ReadBuf::new(&mut byte);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            comer.stream.poll_peek(&mut context, &mut peeked).is_ready()
        });
        (told.count() >= COMERS - MOST).then_some(())
    })
    .await;
    join_all(comers.iter_mut().map(finish)).await;
    let with = |status| comers.iter().filter(move |comer| comer.status() == status);
    let answers: Vec<&str> = comers.iter().map(|comer| comer.answer.as_str()).collect();
    assert_eq!((with(200).count(), with(429).count()), (MOST, COMERS - MOST), "{answers:#?}");
    for told in with(429) {
        let head = told.answer.to_ascii_lowercase();
        assert!(head.contains("retry-after: 1\r\n") && head.contains("connection: close\r\n"), "{head}");
        assert!(
            head.contains("\"rate_limited\"") && head.contains(&format!("at most {MOST} at a time")),
            "{head}"
        );
    }
    drop(comers);
    eventually("there is room again", async || {
        (Comer::come(&server, LIVEZ).await.status() == 200).then_some(())
    })
    .await;
    let told = format!("session_storage_errors_total{{code=\"rate_limited\"}} {}", COMERS - MOST);
    eventually("they are counted", async || {
        let answer = server.http.get(server.url("/metrics")).send().await.ok()?.text().await.ok()?;
        let count = answer.lines().find_map(|line| line.strip_prefix(told.rsplit_once(' ')?.0));
        count.and_then(|count| count.trim().parse::<usize>().ok()).filter(|n| *n >= COMERS - MOST)
    })
    .await;
}

#[tokio::test]
async fn those_who_are_in_are_not_harmed_by_those_who_are_turned_away() {
    let setup = Setup::new();
    let socket = setup.outside().join("s.sock");
    let server = setup.env("MAX_CONNECTIONS", 3).env("SOCKET_PATH", socket.display()).start();
    let mut tail = Tail::connect(&server, "").await;
    let (mut busy, mut busier) = (begin(&server).await, begin(&server).await);
    // The three connections fill the service as soon as it has accepted the last one.
    eventually("it is full", async || (Comer::come(&server, LIVEZ).await.status() == 429).then_some(()))
        .await;
    let turned_away = join_all((0..COMERS).map(|_| Comer::come(&server, LIVEZ))).await;
    assert!(turned_away.iter().all(|comer| comer.status() == 429));
    let operator = reqwest::Client::builder().no_proxy().unix_socket(socket).build().unwrap();
    let health = operator.get("http://localhost/health").send().await.unwrap();
    assert_eq!(health.status().as_u16(), 200, "the socket of whoever runs the service has room");
    finish(&mut busy).await;
    assert_eq!(busy.status(), 200, "{}", busy.answer);
    assert_eq!(tail.take(2).await[1]["data"]["type"], json!("x"));
    finish(&mut busier).await;
    assert_eq!(busier.status(), 200, "{}", busier.answer);
    drop(tail);
    eventually("its place is another's", async || {
        (Comer::come(&server, LIVEZ).await.status() == 200).then_some(())
    })
    .await;
}

/// Reads the value of a metric without labels, as soon as there is room for the request.
async fn metric(server: &TestServer, key: &str, name: &str) -> u64 {
    let value = eventually("the metrics are answered", async || {
        let request = server.http.get(server.url("/metrics")).bearer_auth(key);
        let page = request.send().await.ok()?.text().await.ok()?;
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
    });
    value.await.parse().unwrap()
}

#[tokio::test]
async fn idle_connections_make_room_and_those_without_a_key_before_the_others() {
    let setup = Setup::new();
    let key = make_key(&setup, &["--role", "admin"]);
    let server = setup.env("MAX_CONNECTIONS", MOST).env("WORKERS", 2).start();
    let shown =
        format!("GET /api/query/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    let mut agent = Comer::come(&server, &shown).await;
    assert_eq!(agent.status(), 200, "{}", agent.answer);
    // Each connection stays open and is idle, so sooner or later one is closed to make room for
    // another.
    let mut strangers = Vec::new();
    eventually("many were let in, one after the other", async || {
        let comer = Comer::come(&server, LIVEZ).await;
        if comer.status() == 200 {
            strangers.push(comer);
        }
        (strangers.len() > MOST * 2).then_some(())
    })
    .await;
    agent.answer.clear();
    agent.say(&shown).await;
    agent.hear().await;
    assert_eq!(agent.status(), 200, "whoever has shown a key stays while strangers are idle");
    let mut oldest = strangers.swap_remove(0);
    assert_eq!(oldest.stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection was ended");
    drop(strangers);
    assert!(metric(&server, &key, "session_storage_http_connections_ended_total").await >= MOST as u64);
    assert_eq!(metric(&server, &key, "session_storage_http_connections_max").await, MOST as u64);
}
