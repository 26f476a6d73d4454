//! What a worker's routes need to let clients follow. One per worker, created in the application
//! factory.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::web;
use bytes::Bytes;
use session_model::{Code, Refusal, SessionId};

use super::catch_up::{self, Gap, Piece};
use super::history::{Filter, History, Place};
use super::hub::Hub;
use super::position::Position;
use super::pump::Pump;
use super::registry::Transport;
use super::subscriber::Subscriber;

/// Maximum bytes of a JSON page. A single larger event is returned whole.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Rejects a session that does not exist, with the reason. Loads nothing.
pub type Known = Arc<dyn Fn(&SessionId) -> Result<(), Refusal> + Send + Sync>;

/// A worker's entry point to the live feed.
pub struct Live {
    pump: Rc<Pump>,
    history: Arc<dyn History>,
    known: Known,
}

impl Live {
    /// Creates the entry point of one worker.
    pub fn new(hub: Hub, history: Arc<dyn History>, known: Known) -> Self {
        Self { pump: Pump::new(hub), history, known }
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
        if self.pump.hub.is_closed() {
            return Err(Refusal::new(Code::StorageUnavailable, "the service is stopping"));
        }
        let subscriber = Subscriber::live(&self.pump, &self.history, filter, transport);
        let Some(asked) = asked else { return Ok(subscriber) };
        let filter = filter.clone();
        let (cursor, gap) = self.read(move |history| catch_up::start(history, &filter, &asked)).await?;
        Ok(subscriber.standing_at(cursor, gap))
    }

    /// Returns a page of events as JSON: `{events, next}`, plus `gap` if events are missing.
    pub async fn page(
        &self,
        filter: Filter,
        asked: Option<Position>,
        limit: usize,
    ) -> Result<Bytes, Refusal> {
        self.read(move |history| {
            let (after, missed) = match &asked {
                Some(asked) => catch_up::start(history, &filter, asked)?,
                None => (catch_up::oldest(history, &filter)?, None),
            };
            let piece = catch_up::read(history, &filter, after, limit, PAGE_BYTES)?;
            Ok(page_json(history.epoch(), missed, &piece, None))
        })
        .await
    }

    /// Returns a page of one session's events from its event number `at` on, plus `at` and `total`.
    pub async fn page_at(&self, session: SessionId, at: i64, limit: usize) -> Result<Bytes, Refusal> {
        self.read(move |history| {
            let place = history.place(&session, at)?;
            let filter = Filter { session: Some(session), ..Filter::default() };
            let piece = catch_up::read(history, &filter, place.after, limit, PAGE_BYTES)?;
            Ok(page_json(history.epoch(), None, &piece, Some(place)))
        })
        .await
    }

    /// Runs a blocking read once a reader permit is free.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let interrupted = || Refusal::new(Code::StorageUnavailable, "reading the history was interrupted");
        let readers = Arc::clone(self.pump.hub.readers());
        let turn = readers.acquire_owned().await.map_err(|_| interrupted())?;
        let history = Arc::clone(&self.history);
        // The permit is held as long as the read runs, which continues even if the caller is gone.
        let read = move || {
            let _turn = turn;
            read(&*history)
        };
        web::block(read).await.map_err(|_| interrupted())?
    }
}

fn page_json(epoch: &str, missed: Option<Gap>, piece: &Piece, place: Option<Place>) -> Bytes {
    let gap = match (missed, piece.gap) {
        (Some(first), Some(then)) => Some(Gap { from: first.from, to: then.to }),
        (first, then) => first.or(then),
    };
    let size: usize = piece.events.iter().map(|(_, json)| json.len() + 1).sum();
    let mut out = Vec::with_capacity(size + 128);
    out.extend_from_slice(b"{\"events\":[");
    for (place, (_, json)) in piece.events.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(json);
    }
    out.extend_from_slice(format!(r#"],"next":"{epoch}-{}""#, piece.next).as_bytes());
    if let Some(gap) = gap {
        out.extend_from_slice(format!(r#","gap":{}"#, gap.json()).as_bytes());
    }
    if let Some(Place { at, total, .. }) = place {
        // Events that arrived while the page was read are counted if they are in the page.
        let total = total.max(at + piece.events.len() as u64);
        out.extend_from_slice(format!(r#","at":{at},"total":{total}"#).as_bytes());
    }
    out.push(b'}');
    out.into()
}
