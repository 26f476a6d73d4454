//! A worker's entry point to the live feed: its routes follow and read events through it. One per
//! worker, created in the application factory.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::web;
use bytes::Bytes;
use session_model::clamp::{Form, clamp};
use session_model::{Code, Refusal, SessionId, wire};

use super::backlog::{self, Backlog, BacklogRead, EventNumber, Gap};
use super::dispatcher::Dispatcher;
use super::filter::Filter;
use super::hub::Hub;
use super::position::Position;
use super::registry::Transport;
use super::subscriber::Subscriber;

/// Maximum bytes of a JSON page. A single larger event is returned whole.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The limits of a page.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    /// The number of events.
    pub events: usize,
    /// The length of an event's JSON; longer events are clamped.
    pub max_bytes: Option<usize>,
    /// Whether records of earlier versions are shown in the current vocabulary.
    pub upgrade: bool,
}

/// Rejects a session that does not exist, with the reason. Loads nothing.
pub type Known = Arc<dyn Fn(&SessionId) -> Result<(), Refusal> + Send + Sync>;

/// A worker's entry point to the live feed.
pub struct Live {
    dispatcher: Rc<Dispatcher>,
    backlog: Arc<dyn Backlog>,
    known: Known,
}

impl Live {
    /// Creates the entry point of one worker.
    pub fn new(hub: Hub, backlog: Arc<dyn Backlog>, known: Known) -> Self {
        Self {
            dispatcher: Dispatcher::new(hub),
            backlog,
            known,
        }
    }

    /// Rejects a session that does not exist.
    pub fn known(&self, id: &SessionId) -> Result<(), Refusal> {
        (self.known)(id)
    }

    /// Returns a subscriber that continues after `asked`, or starts now.
    pub async fn follow(
        &self,
        filter: &Filter,
        asked: Option<Position>,
        transport: Transport,
    ) -> Result<Subscriber, Refusal> {
        if self.dispatcher.hub.is_closed() {
            return Err(Refusal::new(
                Code::StorageUnavailable,
                "the service is stopping",
            ));
        }
        let subscriber = Subscriber::live(&self.dispatcher, &self.backlog, filter, transport);
        let Some(asked) = asked else {
            return Ok(subscriber);
        };
        let filter = filter.clone();
        let (cursor, gap) = self
            .read(move |backlog| backlog::start(backlog, &filter, &asked))
            .await?;
        Ok(subscriber.starting_at(cursor, gap))
    }

    /// Returns a page of events as JSON: `{events, next}`, plus `gap` if events are missing.
    pub async fn page(
        &self,
        filter: Filter,
        asked: Option<Position>,
        limit: PageLimit,
    ) -> Result<Bytes, Refusal> {
        self.read(move |backlog| {
            let (after, missed) = match &asked {
                Some(asked) => backlog::start(backlog, &filter, asked)?,
                None => (backlog::oldest(backlog, &filter)?, None),
            };
            let read = backlog::read(backlog, &filter, after, limit.events, PAGE_BYTES)?;
            Ok(page_json(backlog.epoch(), missed, &read, None, limit))
        })
        .await
    }

    /// Returns a page of one session's events from its event number `at` on, plus `at` and `total`.
    pub async fn page_at(
        &self,
        session: SessionId,
        at: i64,
        limit: PageLimit,
    ) -> Result<Bytes, Refusal> {
        self.read(move |backlog| {
            let number = backlog.place(&session, at)?;
            let filter = Filter {
                session: Some(session),
                ..Filter::default()
            };
            let read = backlog::read(backlog, &filter, number.after, limit.events, PAGE_BYTES)?;
            Ok(page_json(backlog.epoch(), None, &read, Some(number), limit))
        })
        .await
    }

    /// Runs a blocking read once a reader permit is free.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Backlog) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let interrupted = || {
            Refusal::new(
                Code::StorageUnavailable,
                "reading stored events was interrupted: try again",
            )
        };
        let readers = Arc::clone(self.dispatcher.hub.readers());
        let turn = readers.acquire_owned().await.map_err(|_| interrupted())?;
        let backlog = Arc::clone(&self.backlog);
        // The permit is held as long as the read runs, which continues even if the caller is gone.
        let read = move || {
            let _turn = turn;
            read(&*backlog)
        };
        web::block(read).await.map_err(|_| interrupted())?
    }
}

fn page_json(
    epoch: &str,
    missed: Option<Gap>,
    read: &BacklogRead,
    number: Option<EventNumber>,
    limit: PageLimit,
) -> Bytes {
    let gap = match (missed, read.gap) {
        (Some(first), Some(then)) => Some(Gap {
            from: first.from,
            to: then.to,
        }),
        (first, then) => first.or(then),
    };
    let most = limit.max_bytes.unwrap_or(usize::MAX);
    let lengths = read.events.iter().map(|(_, json)| json.len().min(most) + 1);
    let size: usize = lengths.sum();
    let mut out = Vec::with_capacity(size + 128);
    out.extend_from_slice(b"{\"events\":[");
    for (index, (_, json)) in read.events.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let upgraded = if limit.upgrade {
            wire::upgraded(json)
        } else {
            None
        };
        let json = upgraded.as_deref().unwrap_or(json);
        let clamped = clamp(json, Form::Event, most);
        out.extend_from_slice(clamped.as_deref().unwrap_or(json));
    }
    out.extend_from_slice(format!(r#"],"next":"{epoch}-{}""#, read.next).as_bytes());
    if let Some(gap) = gap {
        out.extend_from_slice(format!(r#","gap":{}"#, gap.json()).as_bytes());
    }
    if let Some(EventNumber { at, total, .. }) = number {
        // Events that arrived while the page was read are counted if they are in the page.
        let total = total.max(at + read.events.len() as u64);
        out.extend_from_slice(format!(r#","at":{at},"total":{total}"#).as_bytes());
    }
    out.push(b'}');
    out.into()
}
