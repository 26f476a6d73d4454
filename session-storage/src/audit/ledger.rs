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
pub struct Deed {
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
pub(super) struct Ledger {
    deeds: HashMap<Deed, Times>,
    dropped: u64,
}

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

impl Ledger {
    pub(super) fn is_empty(&self) -> bool {
        self.deeds.is_empty() && self.dropped == 0
    }

    /// Adds an event. The line shows the `request_id` of the first of equal events.
    pub(super) fn add(&mut self, deed: Deed, at: Timestamp, request_id: &str) {
        if let Some(times) = self.deeds.get_mut(&deed) {
            times.count += 1;
            times.last = at;
        } else if self.deeds.len() < MOST {
            let request_id = request_id.to_owned();
            self.deeds.insert(deed, Times { count: 1, first: at, last: at, request_id });
        } else {
            self.dropped += 1;
        }
    }

    /// Counts lines that could not be written.
    pub(super) fn drop_lines(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Creates an aggregator that holds one event.
    pub(super) fn of(deed: Deed, at: Timestamp, request_id: &str) -> Self {
        let mut ledger = Self::default();
        ledger.add(deed, at, request_id);
        ledger
    }

    /// Formats all lines in order of time; returns them with their number and the number of events
    /// dropped before.
    pub(super) fn lines(self, now: Timestamp) -> (Vec<u8>, u64, u64) {
        let mut deeds: Vec<(Deed, Times)> = self.deeds.into_iter().collect();
        deeds.sort_by_key(|(_, times)| times.first);
        let mut out = Vec::with_capacity(deeds.len() * 224);
        if self.dropped > 0 {
            let line = serde_json::json!({"at": now.to_string(), "dropped": self.dropped});
            out.extend_from_slice(line.to_string().as_bytes());
            out.push(b'\n');
        }
        for (deed, times) in &deeds {
            serde_json::to_writer(&mut out, &line(deed, times)).expect("writing to memory cannot fail");
            out.push(b'\n');
        }
        (out, deeds.len() as u64, self.dropped)
    }
}

fn line<'a>(deed: &'a Deed, times: &'a Times) -> Line<'a> {
    Line {
        at: times.first.to_string(),
        who: deed.who.as_deref(),
        method: deed.method,
        route: deed.route,
        session: deed.session.as_ref().map(SessionId::as_str),
        about: deed.about.as_deref(),
        status: deed.status,
        code: deed.code,
        request_id: &times.request_id,
        address: deed.address,
        count: (times.count > 1).then_some(times.count),
        until: (times.count > 1).then(|| times.last.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn deed(who: &str, status: u16) -> Deed {
        let session = SessionId::parse("s").ok();
        let (method, route) = ("POST", "/api/actions/{id}");
        Deed { who: Some(who.into()), method, route, session, status, ..Deed::default() }
    }

    #[test]
    fn what_is_repeated_is_counted_and_what_differs_is_not() {
        let (mut ledger, at) = (Ledger::default(), Timestamp::from_millis);
        ledger.add(deed("a", 200), at(5), "r-1");
        ledger.add(deed("a", 404), at(6), "r-2");
        ledger.add(deed("a", 200), at(9), "r-3");
        let (text, lines, dropped) = ledger.lines(at(10));
        let found: Vec<Value> =
            text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!((found.len(), lines, dropped), (2, 2, 0));
        assert_eq!((&found[0]["count"], &found[0]["requestId"]), (&2.into(), &"r-1".into()));
        assert_eq!(found[0]["until"], "1970-01-01T00:00:00.009Z");
        assert_eq!((&found[1]["status"], found[1].get("count")), (&404.into(), None));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (mut ledger, at) = (Ledger::default(), Timestamp::from_millis(0));
        for n in 0..=MOST {
            ledger.add(deed(&n.to_string(), 200), at, "r");
        }
        ledger.drop_lines(2);
        let (text, lines, dropped) = ledger.lines(at);
        assert_eq!((lines, dropped), (MOST as u64, 3));
        assert!(text.starts_with(br#"{"at":"1970-01-01T00:00:00.000Z","dropped":3}"#));
    }
}
