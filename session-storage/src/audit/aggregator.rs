//! The aggregator of audit events since the last write: each distinct event once, with a count.
//! Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use session_model::{SessionId, Timestamp};

/// The maximum number of distinct events between two writes.
pub const MOST: usize = 65_536;

/// An audit event.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct AuditEvent {
    /// The name of the principal; `None` if the client was not authenticated.
    pub who: Option<Arc<str>>,
    /// The HTTP method of the route.
    pub method: &'static str,
    /// The path of the route, with the names of its parameters.
    pub route: &'static str,
    /// The session.
    pub session: Option<SessionId>,
    /// The key or token that was changed.
    pub about: Option<Arc<str>>,
    /// The status of the response.
    pub status: u16,
    /// The error code, if the request was refused.
    pub code: Option<&'static str>,
    /// The address of the client.
    pub address: Option<IpAddr>,
}

struct Times {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    request_id: String,
}

/// The events that are not written yet.
#[derive(Default)]
pub(super) struct Aggregator {
    events: HashMap<AuditEvent, Times>,
    dropped: u64,
}

/// A line of the audit log. Programs read its names: only add fields; never rename or reorder them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    at: String,
    who: Option<&'a str>,
    method: &'a str,
    route: &'a str,
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    request_id: &'a str,
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl Aggregator {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped == 0
    }

    /// Adds an event. The line shows the `request_id` of the first of equal events.
    pub(super) fn add(&mut self, event: AuditEvent, at: Timestamp, request_id: &str) {
        if let Some(times) = self.events.get_mut(&event) {
            times.count += 1;
            times.last = at;
        } else if self.events.len() < MOST {
            let request_id = request_id.to_owned();
            self.events.insert(
                event,
                Times {
                    count: 1,
                    first: at,
                    last: at,
                    request_id,
                },
            );
        } else {
            self.dropped += 1;
        }
    }

    /// Counts lines that could not be written.
    pub(super) fn drop_lines(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Creates an aggregator that holds one event.
    pub(super) fn of(event: AuditEvent, at: Timestamp, request_id: &str) -> Self {
        let mut aggregator = Self::default();
        aggregator.add(event, at, request_id);
        aggregator
    }

    /// Formats all lines in order of time; returns them with their number and the number of events
    /// dropped before.
    pub(super) fn lines(self, now: Timestamp) -> (Vec<u8>, u64, u64) {
        let mut events: Vec<(AuditEvent, Times)> = self.events.into_iter().collect();
        events.sort_by_key(|(_, times)| times.first);
        let mut out = Vec::with_capacity(events.len() * 224);
        if self.dropped > 0 {
            let line = serde_json::json!({"at": now.to_string(), "dropped": self.dropped});
            out.extend_from_slice(line.to_string().as_bytes());
            out.push(b'\n');
        }
        for (event, times) in &events {
            serde_json::to_writer(&mut out, &line(event, times))
                .expect("writing to memory cannot fail");
            out.push(b'\n');
        }
        (out, events.len() as u64, self.dropped)
    }
}

fn line<'a>(event: &'a AuditEvent, times: &'a Times) -> Line<'a> {
    Line {
        at: times.first.to_string(),
        who: event.who.as_deref(),
        method: event.method,
        route: event.route,
        session: event.session.as_ref().map(SessionId::as_str),
        about: event.about.as_deref(),
        status: event.status,
        code: event.code,
        request_id: &times.request_id,
        address: event.address,
        count: (times.count > 1).then_some(times.count),
        until: (times.count > 1).then(|| times.last.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn event(who: &str, status: u16) -> AuditEvent {
        let session = SessionId::parse("s").ok();
        let method = "POST";
        let route = "/api/actions/{id}";
        AuditEvent {
            who: Some(who.into()),
            method,
            route,
            session,
            status,
            ..AuditEvent::default()
        }
    }

    /// Every field; the fields that every line has; the number of dropped lines comes first.
    /// Programs read these lines: only add fields.
    const LINES: &str = concat!(
        r#"{"at":"2026-09-21T14:13:22.000Z","dropped":3}"#,
        "\n",
        r#"{"at":"2026-09-21T14:13:20.000Z","who":"ci","method":"POST","#,
        r#""route":"/api/actions/{id}","session":"s","about":"k2","status":403,"#,
        r#""code":"not_permitted","requestId":"r-1","address":"127.0.0.1","#,
        r#""count":2,"until":"2026-09-21T14:13:21.000Z"}"#,
        "\n",
        r#"{"at":"2026-09-21T14:13:21.000Z","who":null,"method":"","route":"","#,
        r#""session":null,"status":0,"requestId":"r-3","address":null}"#,
        "\n",
    );

    #[test]
    fn events_are_written_as_these_lines() {
        let mut aggregator = Aggregator::default();
        let at = |seconds: i64| Timestamp::from_millis(1_790_000_000_000 + seconds * 1000);
        let full = AuditEvent {
            about: Some("k2".into()),
            code: Some("not_permitted"),
            address: Some(IpAddr::from([127, 0, 0, 1])),
            ..event("ci", 403)
        };
        aggregator.add(full.clone(), at(0), "r-1");
        aggregator.add(full, at(1), "r-2");
        aggregator.add(AuditEvent::default(), at(1), "r-3");
        aggregator.drop_lines(3);
        let (text, ..) = aggregator.lines(at(2));
        assert_eq!(str::from_utf8(&text).unwrap(), LINES);
    }

    #[test]
    fn equal_events_are_counted_and_different_ones_are_not() {
        let mut aggregator = Aggregator::default();
        let at = Timestamp::from_millis;
        aggregator.add(event("a", 200), at(5), "r-1");
        aggregator.add(event("a", 404), at(6), "r-2");
        aggregator.add(event("a", 200), at(9), "r-3");
        let (text, lines, dropped) = aggregator.lines(at(10));
        let found: Vec<Value> = text
            .split(|b| *b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        assert_eq!(found.len(), 2);
        assert_eq!(lines, 2);
        assert_eq!(dropped, 0);
        assert_eq!(found[0]["count"], 2);
        assert_eq!(found[0]["requestId"], "r-1");
        assert_eq!(found[0]["until"], "1970-01-01T00:00:00.009Z");
        assert_eq!(found[1]["status"], 404);
        assert_eq!(found[1].get("count"), None);
    }

    #[test]
    fn events_beyond_the_maximum_are_counted() {
        let mut aggregator = Aggregator::default();
        let at = Timestamp::from_millis(0);
        for n in 0..=MOST {
            aggregator.add(event(&n.to_string(), 200), at, "r");
        }
        aggregator.drop_lines(2);
        let (text, lines, dropped) = aggregator.lines(at);
        assert_eq!(lines, MOST as u64);
        assert_eq!(dropped, 3);
        assert!(text.starts_with(br#"{"at":"1970-01-01T00:00:00.000Z","dropped":3}"#));
    }
}
