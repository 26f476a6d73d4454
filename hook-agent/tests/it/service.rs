//! A test service on the loopback address that stores in memory, implements the producer protocol,
//! and fails on demand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What happens to a request instead of a plain response.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Stored; never answered.
    Hang,
    /// Not stored; answered with this status, header lines and body.
    Answer(u16, &'static str, &'static str),
    /// Not stored; connection closed.
    Close,
    /// Stored; closed before the response.
    CloseStored,
    /// Stored; closed after half the response.
    HalfAnswer,
    /// Stored; answered only after [`Service::release`].
    Held,
    /// Stored; answered with bytes that are not HTTP.
    Garbage,
    /// Stored; answered with an endless response.
    Endless,
}

/// A request as received.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    /// The body, as far as it is text.
    pub body: String,
    pub bytes: Vec<u8>,
}

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub struct Session {
    pub lines: Vec<Value>,
    pub created: u64,
    /// By name.
    pub blobs: HashMap<String, Blob>,
    producers: HashMap<String, (u64, u64, String)>,
}

#[derive(Default)]
pub struct State {
    pub sessions: HashMap<String, Session>,
    pub requests: Vec<Request>,
    /// One per request, in order; then `always`, if set.
    pub faults: VecDeque<Fault>,
    pub always: Option<Fault>,
    /// Exact responses, used before anything else: status and body.
    pub scripted: VecDeque<(u16, String)>,
    /// Requests with this text in their body are not stored, and answered with 500.
    pub breaks_on: Option<&'static str>,
    /// Refuses larger bodies, in bytes, with 413.
    pub refuses_over: Option<usize>,
    /// Sessions for which no token is accepted.
    pub locked: HashSet<String>,
    /// Without this, the service has no blobs, as earlier versions.
    pub has_blobs: bool,
    /// How uploads are refused: status and body.
    pub refuses_blobs: Option<(u16, &'static str)>,
    /// Requests that got a plain response.
    pub answered: u64,
    /// How often [`Service::release`] was called.
    released: u64,
    connections: Vec<TcpStream>,
    down: bool,
}

/// The test service. Runs until dropped.
pub struct Service {
    pub address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Service {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
        };
        service.listen(listener);
        service
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Refuses connections and cuts existing ones; stored data stays.
    pub fn down(&self) {
        let mut state = self.lock();
        state.down = true;
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        drop(state);
        self.shared.1.notify_all();
        // Wakes the accepting thread, which then releases the port.
        let _ = TcpStream::connect(self.address);
        self.wait(|state| !state.down || state.connections.is_empty());
        while TcpStream::connect_timeout(&self.address, Duration::from_millis(100)).is_ok() {}
    }

    pub fn up(&self) {
        self.lock().down = false;
        self.listen(TcpListener::bind(self.address).unwrap());
    }

    /// Waits until requests have brought the state to this condition.
    pub fn wait(&self, what: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + crate::setup::DEADLINE;
        let mut state = self.lock();
        while !what(&state) {
            let left = deadline
                .checked_duration_since(Instant::now())
                .expect("the service never saw it");
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Answers the held requests.
    pub fn release(&self) {
        self.lock().released += 1;
        self.shared.1.notify_all();
    }

    /// Returns the data of a session's lines.
    pub fn data(&self, session: &str) -> Vec<Value> {
        let state = self.lock();
        let lines = state
            .sessions
            .get(session)
            .map(|session| session.lines.clone())
            .unwrap_or_default();
        lines.into_iter().map(|line| line["data"].clone()).collect()
    }

    /// Returns the `n` of a session's lines, without `gap` records.
    pub fn numbers(&self, session: &str) -> Vec<u64> {
        let data = self.data(session);
        data.iter()
            .filter(|data| data["type"] != "gap")
            .map(|data| data["n"].as_u64().unwrap())
            .collect()
    }

    /// Returns the reason and count of each `gap` of a session.
    pub fn gaps(&self, session: &str) -> Vec<(String, u64)> {
        let data = self.data(session);
        let gaps = data.iter().filter(|data| data["type"] == "gap");
        gaps.map(|gap| {
            (
                gap["reason"].as_str().unwrap().to_owned(),
                gap["count"].as_u64().unwrap(),
            )
        })
        .collect()
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let mut state = shared
                    .0
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if state.down {
                    return;
                }
                state.connections.push(stream.try_clone().unwrap());
                drop(state);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.lock().down = true;
        self.shared.1.notify_all();
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader) {
        let mut state = shared
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.down {
            return;
        }
        state.requests.push(request.clone());
        if state
            .refuses_over
            .is_some_and(|most| request.body.len() > most)
        {
            state
                .faults
                .push_front(Fault::Answer(413, "", "<html>too large</html>"));
        }
        // An empty batch is never refused for its size.
        let is_refusal = matches!(state.faults.front(), Some(Fault::Answer(413, ..)));
        let passes = is_refusal && request.path.ends_with("/events") && request.body.is_empty();
        let fault = if passes {
            None
        } else {
            state.faults.pop_front().or_else(|| state.always.clone())
        };
        let goes_on = act(&mut writer, state, &request, fault.as_ref(), shared);
        shared.1.notify_all();
        if !goes_on {
            // Dropping the stream is not enough: `connections` has a copy.
            let _ = writer.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// Applies the fault or answers. Returns false if the connection ends here.
fn act(
    writer: &mut TcpStream,
    mut state: MutexGuard<'_, State>,
    request: &Request,
    fault: Option<&Fault>,
    shared: &(Mutex<State>, Condvar),
) -> bool {
    if state
        .breaks_on
        .is_some_and(|what| request.body.contains(what))
    {
        drop(state);
        return answer(writer, 500, "", r#"{"error":"oops","code":"internal"}"#);
    }
    match fault {
        Some(Fault::Close) => return false,
        Some(Fault::Answer(status, headers, body)) => {
            drop(state);
            return answer(writer, *status, headers, body);
        }
        _ => {}
    }
    let scripted = state.scripted.pop_front();
    let (status, headers, body) = match scripted {
        Some((status, body)) => (status, String::new(), body),
        None => state.store(request),
    };
    state.answered += u64::from(fault.is_none());
    let released = state.released;
    drop(state);
    match fault {
        None => answer(writer, status, &headers, &body),
        Some(Fault::Held) => {
            shared.1.notify_all(); // those that wait for this request see it now
            let mut state = shared
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            while state.released == released && !state.down {
                state = shared
                    .1
                    .wait(state)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            let down = state.down;
            drop(state);
            !down && answer(writer, status, &headers, &body)
        }
        Some(Fault::Hang) => {
            let _ = writer.read(&mut [0]);
            false
        }
        Some(Fault::HalfAnswer) => {
            let _ =
                writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"results\":[{");
            false
        }
        Some(Fault::Garbage) => {
            let _ = writer.write_all(&[7; 300]);
            false
        }
        Some(Fault::Endless) => {
            let _ = writer.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while writer.write_all(&[b' '; 8192]).is_ok() {}
            false
        }
        Some(Fault::CloseStored | Fault::Close | Fault::Answer(..)) => false,
    }
}

fn answer(writer: &mut TcpStream, status: u16, headers: &str, body: &str) -> bool {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}");
    writer.write_all(text.as_bytes()).is_ok()
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let method = words.next()?;
    let path = words.next()?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length: &String| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        bytes: body,
    })
}

impl State {
    /// Returns the status, header lines and body of a plain response.
    fn store(&mut self, request: &Request) -> (u16, String, String) {
        let session = request
            .path
            .split(['/', '?'])
            .nth(3)
            .unwrap_or_default()
            .to_owned();
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/api/sessions") => self.create(&request.body),
            ("POST" | "PUT", _) if self.locked.contains(&session) => {
                let error = json!({"error": "no such session", "code": "session_not_found"});
                (404, String::new(), error.to_string())
            }
            ("POST", _) => self.sessions.entry(session).or_default().batch(request),
            ("PUT", path) if self.has_blobs => {
                let name = path.rsplit('/').next().unwrap().to_owned();
                if let Some((status, body)) = self.refuses_blobs {
                    return (status, String::new(), body.to_owned());
                }
                let answer = self
                    .sessions
                    .entry(session)
                    .or_default()
                    .store(&name, request);
                (200, String::new(), answer.to_string())
            }
            ("GET", "/health") => (200, String::new(), json!({"status": "ok"}).to_string()),
            _ => (
                404,
                String::new(),
                json!({"error": "no such route", "code": "not_found"}).to_string(),
            ),
        }
    }

    fn create(&mut self, body: &str) -> (u16, String, String) {
        let body: Value = serde_json::from_str(body).unwrap();
        let session = self
            .sessions
            .entry(body["sessionId"].as_str().unwrap().to_owned())
            .or_default();
        session.created += 1;
        (
            200,
            String::new(),
            json!({"success": true, "sessionId": body["sessionId"]}).to_string(),
        )
    }
}

impl Session {
    fn store(&mut self, name: &str, request: &Request) -> Value {
        let blob = Blob {
            media_type: request.headers["content-type"].clone(),
            bytes: request.bytes.clone(),
        };
        let reference = json!({"$blob": format!("sha256:{name}"), "bytes": blob.bytes.len(), "mediaType": blob.media_type});
        self.blobs.insert(name.to_owned(), blob);
        json!({"success": true, "blob": reference})
    }

    fn batch(&mut self, request: &Request) -> (u16, String, String) {
        let number = |name: &str| request.headers[name].parse::<u64>().unwrap();
        let id = request.headers["producer-id"].clone();
        let epoch = number("producer-epoch");
        let seq = number("producer-seq");
        let gap = |expected: u64| {
            (
                409,
                format!("producer-expected-seq: {expected}\r\n"),
                "{}".to_owned(),
            )
        };
        match self.producers.get(&id) {
            Some((known, _, _)) if epoch < *known => {
                return (403, format!("producer-epoch: {known}\r\n"), "{}".into());
            }
            Some((known, last, answer)) if epoch == *known && seq <= *last => {
                let forgotten = json!({"success": true, "duplicate": true}).to_string();
                let body = if seq == *last {
                    answer.clone()
                } else {
                    forgotten
                };
                return (200, "producer-duplicate: true\r\n".to_owned(), body);
            }
            Some((known, last, _)) if epoch == *known && seq > last + 1 => return gap(last + 1),
            Some((known, _, _)) if epoch > *known && seq > 0 => return gap(0),
            None if seq > 0 => return gap(0),
            _ => {}
        }
        let results: Vec<Value> = request.body.lines().map(|line| self.apply(line)).collect();
        let answer = json!({"results": results, "offset": self.lines.len()}).to_string();
        self.producers.insert(id, (epoch, seq, answer.clone()));
        (200, String::new(), answer)
    }

    fn apply(&mut self, line: &str) -> Value {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["type"] == "goal_update" && line["data"]["goalId"] == "unknown" {
            return json!({"error": "goal `unknown` not found", "code": "goal_not_found"});
        }
        self.lines.push(line);
        json!({"success": true, "seq": self.lines.len()})
    }

    /// Forgets the producers, as a service does that restarts from an old copy.
    pub fn forget_producers(&mut self) {
        self.producers.clear();
    }
}
