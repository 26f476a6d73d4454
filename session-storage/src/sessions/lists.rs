//! Lists and statistics, from the index and the metadata of only those sessions that are returned.
//!
//! A list is streamed in pieces that are created as the client reads them. It costs one piece of
//! memory, however long the list and however slow the reader. Each piece continues after the last
//! session of the previous one, so a session that is added or removed in the meantime does not
//! shift the others. A new session sorts before the start of a newest-first list that is already
//! being read.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use session_model::{Code, Reach, Refusal, SessionId, Timestamp, UserId, documents};

use super::logs::JsonStream;
use super::read::{metadata_json, to_json};
use super::redaction::Redaction;
use super::{Refused, Sessions};
use crate::store::Store;
use crate::store::cells::Slot;
use crate::store::index::{Age, Order, Row};
use crate::store::layout::METADATA;

/// Filter of a session list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only sessions of this user.
    pub user: Option<String>,
    /// Only sessions with this status.
    pub status: Option<String>,
    /// Only sessions with this outcome.
    pub outcome: Option<String>,
    /// Only sessions with this tag.
    pub tag: Option<String>,
    /// Only sessions whose id (or legacy id), user or a tag contains this text, ignoring case.
    pub q: Option<String>,
    /// Maximum number of sessions.
    pub limit: usize,
    /// Cursor at which the previous page ended.
    pub cursor: Option<String>,
}

/// Page of a list.
#[derive(Debug, Clone, Default)]
pub struct PageQuery {
    /// Maximum number of sessions; `None` means all.
    pub limit: Option<usize>,
    /// Cursor at which the previous page ended.
    pub cursor: Option<String>,
}

/// A list as a response.
pub struct Listed {
    /// The streamed list.
    pub json: JsonStream,
    /// Cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// The caller's scope: what the caller may see. `None` means everything.
pub type Within = Option<Arc<Reach>>;

fn sees(within: &Within, id: &SessionId, row: &Row) -> bool {
    within.as_ref().is_none_or(|reach| reach.covers(id, &row.user))
}

/// Approximate size of one piece of a list, in bytes.
const PIECE: usize = 64 * 1024;
/// Number of index rows read at a time.
const ROWS: usize = 64;

/// What a list contains for each session.
#[derive(Clone, Copy)]
enum Shape {
    /// The metadata.
    Metadata,
    /// The id, user and creation time.
    Brief,
    /// The id.
    Id,
}

/// Decides which sessions are in a list.
type Wanted = Box<dyn Fn(&SessionId, &Row) -> bool + Send>;

/// A list that is being streamed.
struct Walk {
    store: Arc<Store>,
    wanted: Wanted,
    shape: Shape,
    age: Age,
    /// The session after which the list continues.
    at: Option<Order>,
    left: usize,
    any: bool,
}

impl Walk {
    fn new(
        store: &Arc<Store>,
        shape: Shape,
        wanted: impl Fn(&SessionId, &Row) -> bool + Send + 'static,
    ) -> Self {
        let store = Arc::clone(store);
        let wanted = Box::new(wanted);
        Self { store, wanted, shape, age: Age::NewestFirst, at: None, left: usize::MAX, any: false }
    }

    fn at_most(self, left: usize) -> Self {
        Self { left, ..self }
    }

    /// Restricts the list to a page, and returns the cursor of the next page.
    fn page(mut self, page: &PageQuery) -> Result<(Self, Option<String>), Refusal> {
        self.at = page.cursor.as_deref().map(parse_cursor).transpose()?;
        let Some(limit) = page.limit else { return Ok((self, None)) };
        self.left = limit;
        let rows = self.rows(limit + 1);
        let next = rows.get(limit).and_then(|_| rows.get(limit.checked_sub(1)?));
        let next = next.map(|(order, _)| cursor_of(order));
        Ok((self, next))
    }

    fn rows(&self, limit: usize) -> Vec<(Order, Arc<Row>)> {
        self.store.index.walk(self.age, self.at.as_ref(), limit, &self.wanted)
    }

    /// Returns the next piece, and whether more may follow. Skips sessions deleted in the meantime.
    /// Blocks on the disk.
    fn piece(&mut self) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        while out.len() < PIECE {
            let rows = self.rows(self.left.min(ROWS));
            if rows.is_empty() {
                return (out, false);
            }
            for (order, row) in rows {
                if out.len() >= PIECE {
                    return (out, true);
                }
                let document = self.document(&order.2, &row);
                self.at = Some(order);
                self.left -= 1;
                let Some(document) = document else { continue };
                if std::mem::replace(&mut self.any, true) {
                    out.push(b',');
                }
                out.extend_from_slice(&document);
            }
        }
        (out, self.left > 0)
    }

    fn document(&self, id: &SessionId, row: &Row) -> Option<Bytes> {
        match self.shape {
            Shape::Metadata => metadata_of(&self.store, id),
            Shape::Brief => Some(to_json(&json!({
                "sessionId": id.as_str(), "userId": row.user.as_str(), "created": row.created.to_string(),
            }))),
            Shape::Id => Some(to_json(&id.as_str())),
        }
    }

    /// Streams the whole response: the array, with the text before and after it.
    fn stream(self, before: &[u8], after: Vec<u8>) -> JsonStream {
        let mut head = before.to_vec();
        head.push(b'[');
        let state = Some((self, head, after));
        Box::pin(futures_util::stream::unfold(state, |state| async move {
            let (mut walk, mut out, after) = state?;
            let read = actix_web::web::block(move || (walk.piece(), walk)).await;
            let Ok(((piece, more), walk)) = read else {
                return Some((Err(Refusal::new(Code::Internal, "the list could not be read")), None));
            };
            out.extend_from_slice(&piece);
            if more {
                return Some((Ok(Bytes::from(out)), Some((walk, Vec::new(), after))));
            }
            out.push(b']');
            out.extend_from_slice(&after);
            Some((Ok(Bytes::from(out)), None))
        }))
    }
}

impl ListQuery {
    /// Redacts the filter's texts, because stored texts are redacted and can only be found that
    /// way.
    #[must_use]
    pub fn screened(mut self, redaction: &Redaction) -> Self {
        for text in [&mut self.user, &mut self.outcome, &mut self.tag, &mut self.q].into_iter().flatten() {
            *text = redaction.text(text).into_owned();
        }
        self
    }

    fn wants(&self, id: &SessionId, row: &Row) -> bool {
        let status = if row.completed { "completed" } else { "active" };
        self.user.as_ref().is_none_or(|user| row.user.as_str() == user)
            && self.status.as_ref().is_none_or(|wanted| status == wanted)
            && self.outcome.as_ref().is_none_or(|wanted| row.outcome.as_ref() == Some(wanted))
            && self.tag.as_ref().is_none_or(|tag| row.tags.iter().any(|t| t == tag))
            && self.q.as_ref().is_none_or(|q| contains(id, row, &q.to_lowercase()))
    }
}

fn contains(id: &SessionId, row: &Row, text: &str) -> bool {
    let found = |candidate: &str| candidate.to_lowercase().contains(text);
    let mut names = [id.as_str(), row.user.as_str()].into_iter().chain(row.original.as_deref());
    names.any(found) || row.tags.iter().any(|tag| found(tag))
}

/// Formats a cursor as `<created>~<offset>~<id>`.
fn cursor_of((created, offset, id): &Order) -> String {
    format!("{}~{offset}~{id}", created.as_millis())
}

fn parse_cursor(text: &str) -> Result<Order, Refusal> {
    let malformed = || {
        Refusal::new(
            Code::InvalidParameter,
            "`cursor` is none that this list has given: pass one of its answers, unchanged",
        )
    };
    let mut parts = text.splitn(3, '~');
    let mut next = || parts.next().ok_or_else(malformed);
    let created = next()?.parse().map_err(|_| malformed())?;
    let offset = next()?.parse().map_err(|_| malformed())?;
    let id = SessionId::parse(next()?).map_err(|_| malformed())?;
    Ok((Timestamp::from_millis(created), offset, id))
}

impl Sessions {
    /// Returns the sessions of a user as `[{sessionId, userId, created}]`, oldest first.
    pub fn of_user(&self, user: &str, page: &PageQuery, within: Within) -> Result<Listed, Refused> {
        let user = user.to_owned();
        let wanted = move |id: &SessionId, row: &Row| row.user.as_str() == user && sees(&within, id, row);
        let mut walk = Walk::new(&self.store, Shape::Brief, wanted);
        walk.age = Age::OldestFirst;
        let (walk, next) = walk.page(page)?;
        Ok(Listed { json: walk.stream(b"", Vec::new()), next })
    }

    /// Returns the metadata of the newest sessions.
    pub fn recent(&self, within: Within) -> JsonStream {
        let walk = Walk::new(&self.store, Shape::Metadata, move |id, row| sees(&within, id, row));
        walk.at_most(self.settings.store.recent_limit).stream(b"", Vec::new())
    }

    /// Returns the metadata of all active sessions, newest first.
    pub fn active(&self, page: &PageQuery, within: Within) -> Result<Listed, Refused> {
        let wanted = move |id: &SessionId, row: &Row| !row.completed && sees(&within, id, row);
        let (walk, next) = Walk::new(&self.store, Shape::Metadata, wanted).page(page)?;
        Ok(Listed { json: walk.stream(b"", Vec::new()), next })
    }

    /// Returns the counts, the active sessions, and the ten newest completed sessions.
    pub fn stats(&self, within: Within) -> JsonStream {
        let (total, completed) = self.counts(&within);
        let last = |id: &SessionId, row: &Row| row.completed && sees(&within, id, row);
        let last = self.store.index.walk(Age::NewestFirst, None, 10, last);
        let last: Vec<&str> = last.iter().map(|((_, _, id), _)| id.as_str()).collect();
        let active = total - completed;
        let before =
            format!(r#"{{"total":{total},"active":{active},"completed":{completed},"activeSessions":"#);
        let after = [b",\"completedSessions\":", &to_json(&last)[..], b"}"].concat();
        let wanted = move |id: &SessionId, row: &Row| !row.completed && sees(&within, id, row);
        Walk::new(&self.store, Shape::Id, wanted).stream(before.as_bytes(), after)
    }

    /// Returns the number of sessions, and how many of them are completed.
    fn counts(&self, within: &Within) -> (usize, usize) {
        if within.is_none() {
            return self.store.index.counts();
        }
        let (mut total, mut completed) = (0, 0);
        self.store.index.walk(Age::NewestFirst, None, usize::MAX, |id, row| {
            if sees(within, id, row) {
                total += 1;
                completed += usize::from(row.completed);
            }
            false
        });
        (total, completed)
    }

    /// Returns the owner of a session, if the session exists. Loads nothing.
    pub fn user_of(&self, id: &SessionId) -> Option<UserId> {
        self.store.index.get(id.as_str()).map(|row| row.user.clone())
    }

    /// Returns a page of `{sessions: [metadata], next}`, newest first.
    pub fn list(&self, query: ListQuery, within: Within) -> Result<JsonStream, Refused> {
        let page = PageQuery { limit: Some(query.limit), cursor: query.cursor.clone() };
        let wanted = move |id: &SessionId, row: &Row| query.wants(id, row) && sees(&within, id, row);
        let (walk, next) = Walk::new(&self.store, Shape::Metadata, wanted).page(&page)?;
        let after = [b",\"next\":", &to_json(&next)[..], b"}"].concat();
        Ok(walk.stream(b"{\"sessions\":", after))
    }
}

/// Returns a session's metadata, from memory or else from its file. Blocks on the disk.
fn metadata_of(store: &Arc<Store>, id: &SessionId) -> Option<Bytes> {
    if let Some(document) = resident(store, id) {
        return Some(document);
    }
    let stored = std::fs::read(store.layout().file(id, METADATA)).ok();
    if let Some(Ok(Value::Object(document))) = stored.map(|bytes| session_model::json::stored(&bytes)) {
        return Some(to_json(&documents::metadata_answer(document)));
    }
    let cell = store.cells.get(id);
    if let Err(damage) = store.load(&cell) {
        tracing::error!(session = %id, %damage, "session is damaged and left out of a list");
        return None;
    }
    resident(store, id)
}

fn resident(store: &Store, id: &SessionId) -> Option<Bytes> {
    let cell = store.cells.peek(id)?;
    let slot = cell.slot.lock();
    match &*slot {
        Slot::Loaded(loaded) => Some(metadata_json(&loaded.view)),
        Slot::Absent(_) | Slot::Unloaded => None,
    }
}
