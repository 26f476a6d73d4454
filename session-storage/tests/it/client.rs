//! A typed client of the whole API that checks on every response what must hold for all responses.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::server::TestServer;

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) asked: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Parses the body as JSON, whatever the status.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| {
            panic!(
                "{} answered {} no JSON ({e}): {:?}",
                self.asked, self.status, self.text
            )
        })
    }

    /// Parses the body of a 200 response.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}: {}", self.asked, self.text);
        self.json()
    }

    /// Checks that the response is an error with this status and code; returns its message.
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let body = self.json();
        let found = (self.status, body["code"].as_str().unwrap_or_default());
        assert_eq!(found, (status, code), "{}: {}", self.asked, self.text);
        body["error"].as_str().unwrap().to_owned()
    }

    /// Returns the items of an array as the stored text, byte for byte.
    pub(crate) fn raw_items(&self) -> Vec<String> {
        self.ok();
        let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(&self.text).unwrap();
        items
            .into_iter()
            .map(|item| item.get().to_owned())
            .collect()
    }
}

/// Checks what must hold for every response.
pub(crate) fn check_reply(reply: &Reply, storage: &str) {
    let id = reply.header("x-request-id");
    assert!(
        !id.is_empty(),
        "{}: no x-request-id: {reply:?}",
        reply.asked
    );
    if reply.status < 400 {
        return;
    }
    let kind = reply.header("content-type");
    assert!(
        kind.starts_with("application/json"),
        "{}: an error of type `{kind}`: {}",
        reply.asked,
        reply.text
    );
    let body = reply.json();
    let sentence = body["error"].as_str().unwrap_or_default();
    assert!(
        sentence.len() > 3,
        "{}: `error` is no sentence: {}",
        reply.asked,
        reply.text
    );
    let code = body["code"].as_str().unwrap_or_default();
    let known = session_model::Code::ALL.iter().find(|c| c.as_str() == code);
    assert_eq!(
        known.map(|c| c.status()),
        Some(reply.status),
        "{}: code and status: {}",
        reply.asked,
        reply.text
    );
    assert_eq!(
        body["requestId"].as_str(),
        Some(id),
        "{}: {}",
        reply.asked,
        reply.text
    );
    for trace in [
        storage,
        "vault-of-the-service",
        ".jsonl",
        "os error",
        "src/",
    ] {
        assert!(
            !reply.text.contains(trace),
            "{}: the error body shows `{trace}`: {}",
            reply.asked,
            reply.text
        );
    }
}

/// The producer headers of a request.
pub(crate) fn producer(id: &str, epoch: u64, seq: u64) -> Vec<(&'static str, String)> {
    vec![
        ("Producer-Id", id.to_owned()),
        ("Producer-Epoch", epoch.to_string()),
        ("Producer-Seq", seq.to_string()),
    ]
}

/// Formats the lines of a batch.
pub(crate) fn ndjson(lines: &[Value]) -> String {
    lines
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

impl TestServer {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends any request and checks what must hold for every response.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Option<Vec<u8>>,
    ) -> Reply {
        let asked = format!("{method} {path}");
        let mut request = self.http.request(method, self.url(path));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request
            .send()
            .await
            .unwrap_or_else(|e| panic!("{asked}: {e:?}\n{}", self.log_text()));
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response
            .text()
            .await
            .unwrap_or_else(|e| panic!("{asked}: body: {e:?}\n{}", self.log_text()));
        let reply = Reply {
            status,
            headers,
            text,
            asked,
        };
        check_reply(&reply, &self.storage().to_string_lossy());
        reply
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        extra: &[(&str, String)],
        body: &Value,
    ) -> Reply {
        let mut headers = extra.to_vec();
        if !extra
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("Content-Type", "application/json".into()));
        }
        self.send(method, path, &headers, Some(body.to_string().into_bytes()))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.json(Method::POST, path, &[], &body).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: Value,
    ) -> Reply {
        self.json(Method::POST, path, headers, &body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.json(Method::PATCH, path, &[], &body).await
    }

    pub(crate) async fn patch_with(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: Value,
    ) -> Reply {
        self.json(Method::PATCH, path, headers, &body).await
    }

    pub(crate) async fn create(&self, id: &str, user: &str) -> Value {
        self.post(
            "/api/sessions",
            json!({"sessionId": id, "userId": user, "initial": {}}),
        )
        .await
        .ok()
    }

    pub(crate) async fn session(&self, id: &str) -> Value {
        self.get(&format!("/api/sessions/{id}")).await.ok()
    }

    pub(crate) async fn metadata(&self, id: &str) -> Value {
        self.get(&format!("/api/sessions/{id}?logs=false"))
            .await
            .ok()["metadata"]
            .take()
    }

    pub(crate) async fn patch_metadata(&self, id: &str, body: Value) -> Reply {
        self.patch(&format!("/api/sessions/{id}/metadata"), body)
            .await
    }

    pub(crate) async fn finalize(&self, id: &str, body: Value) -> Reply {
        self.post(&format!("/api/sessions/{id}/finalize"), body)
            .await
    }

    pub(crate) async fn reopen(&self, id: &str) -> Reply {
        self.post(&format!("/api/sessions/{id}/reopen"), json!({}))
            .await
    }

    /// Appends an action and returns its seq.
    pub(crate) async fn action(&self, id: &str, body: Value) -> u64 {
        seq_of(&self.post(&format!("/api/actions/{id}"), body).await.ok())
    }

    pub(crate) async fn actions(&self, id: &str, query: &str) -> Vec<Value> {
        array(self.get(&format!("/api/actions/{id}{query}")).await.ok())
    }

    /// Appends a response and returns its seq.
    pub(crate) async fn response(&self, id: &str, body: Value) -> u64 {
        seq_of(
            &self
                .post(&format!("/api/actions/{id}/responses"), body)
                .await
                .ok(),
        )
    }

    pub(crate) async fn responses(&self, id: &str, query: &str) -> Vec<Value> {
        array(
            self.get(&format!("/api/actions/{id}/responses{query}"))
                .await
                .ok(),
        )
    }

    pub(crate) async fn state(&self, id: &str) -> Value {
        self.get(&format!("/api/state/{id}")).await.ok()
    }

    /// Merges into the state and returns its new version.
    pub(crate) async fn patch_state(&self, id: &str, body: Value) -> u64 {
        self.patch(&format!("/api/state/{id}"), body).await.ok()["version"]
            .as_u64()
            .unwrap()
    }

    pub(crate) async fn add_goal(&self, id: &str, body: Value) -> Value {
        self.post(&format!("/api/state/{id}/goals"), body)
            .await
            .ok()["goal"]
            .take()
    }

    pub(crate) async fn update_goal(&self, id: &str, goal: &str, body: Value) -> Reply {
        self.patch(&format!("/api/state/{id}/goals/{goal}"), body)
            .await
    }

    pub(crate) async fn spawn_agent(&self, id: &str, body: Value) -> Reply {
        self.post(&format!("/api/state/{id}/agents"), body).await
    }

    pub(crate) async fn complete_agent(&self, id: &str, agent: &str) -> Reply {
        self.post(
            &format!("/api/state/{id}/agents/{agent}/complete"),
            json!({}),
        )
        .await
    }

    pub(crate) async fn batch(
        &self,
        id: &str,
        headers: &[(&str, String)],
        lines: &[Value],
    ) -> Reply {
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", "application/x-ndjson".into()));
        let path = format!("/api/sessions/{id}/events");
        self.send(
            Method::POST,
            &path,
            &headers,
            Some(ndjson(lines).into_bytes()),
        )
        .await
    }

    /// Reads all events, page by page.
    pub(crate) async fn events(&self, path: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit=500{after}")).await.ok();
            let items = array(page["events"].take());
            if items.is_empty() {
                return events;
            }
            events.extend(items);
            after = format!("&after={}", position(&page["next"]));
        }
    }
}

/// Formats a position for use in a query, whether it was a number or a text.
pub(crate) fn position(next: &Value) -> String {
    match next {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("`next` is no position: {other}"),
    }
}

pub(crate) fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("not an array: {other}"),
    }
}

fn seq_of(answer: &Value) -> u64 {
    assert_eq!(answer["success"], true);
    answer["seq"].as_u64().unwrap()
}

/// The `seq` of each record.
pub(crate) fn seqs(records: &[Value]) -> Vec<u64> {
    records.iter().map(|r| r["seq"].as_u64().unwrap()).collect()
}

/// One text field of each record.
pub(crate) fn texts<'v>(records: &'v [Value], field: &str) -> Vec<&'v str> {
    records
        .iter()
        .map(|r| r[field].as_str().unwrap_or("-"))
        .collect()
}
