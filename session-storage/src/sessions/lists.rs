//! Lists and statistics, from the index and the metadata of only those sessions that are returned.
//! Metadata leaves as the JSON bytes of the document: see [`super::read`]. Usage that a session does
//! not keep is summed for a list too, within bounds: see [`super::listed_metadata`].
//!
//! A list is streamed in pieces that are created as the client reads them. It costs one piece of
//! memory, however long the list and however slow the reader. Each piece continues after the last
//! session of the previous one, so a session that is added or removed in the meantime does not
//! shift the others. A new session sorts before the start of a newest-first list that is already
//! being read.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use session_insight::usage::Prices;
use session_model::{Code, Refusal, SessionId, SessionScope, Timestamp, UserId};

use super::listed_metadata::ListedMetadata;
use super::metadata_answers::MetadataAnswer;
use super::pieces::{Piece, PieceStream};
use super::service::Sessions;
use session_store::engine::{Age, CachedSession, Engine, Order, Row, StoredDocument};

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

/// A page of a list.
pub struct ListPage<T> {
    /// The streamed items.
    pub items: PieceStream<Vec<T>>,
    /// Cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// An item of the list of a user's sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brief {
    /// The session's id.
    pub id: SessionId,
    /// Its user.
    pub user: UserId,
    /// When it was created.
    pub created: Timestamp,
}

/// The number of sessions, and which are active or were completed last.
pub struct Stats {
    /// The number of sessions.
    pub total: usize,
    /// How many of them are active.
    pub active: usize,
    /// How many of them are completed.
    pub completed: usize,
    /// The active sessions, newest first.
    pub active_sessions: PieceStream<Vec<SessionId>>,
    /// The newest completed sessions.
    pub completed_sessions: Vec<SessionId>,
}

/// The caller's scope: what the caller may see. `None` means everything.
pub type Within = Option<Arc<SessionScope>>;

fn sees(within: &Within, id: &SessionId, row: &Row) -> bool {
    within
        .as_ref()
        .is_none_or(|session_scope| session_scope.covers(id, &row.user))
}

/// Approximate size of one piece of a list, in bytes.
const PIECE: usize = 64 * 1024;
/// Bytes of a brief item besides the session's id and user.
const BRIEF: usize = 72;
/// Number of index rows read at a time.
const ROWS: usize = 64;

/// What the items of a list are read from.
struct Source {
    engine: Arc<dyn Engine>,
    /// The prices of what sessions used.
    prices: Arc<Prices>,
}

/// What a list contains for each session.
trait Item: Sized + Send + 'static {
    /// Reads the item of a session, with its approximate size in bytes; `None` leaves the session
    /// out. Blocks on the disk.
    fn read(from: &Source, id: &SessionId, row: &Row) -> Option<(Self, usize)>;
}

impl Item for Brief {
    fn read(_: &Source, id: &SessionId, row: &Row) -> Option<(Self, usize)> {
        let brief = Self {
            id: id.clone(),
            user: row.user.clone(),
            created: row.created,
        };
        let size = id.as_str().len() + row.user.as_str().len() + BRIEF;
        Some((brief, size))
    }
}

impl Item for SessionId {
    fn read(_: &Source, id: &SessionId, _: &Row) -> Option<(Self, usize)> {
        Some((id.clone(), id.as_str().len()))
    }
}

impl Item for ListedMetadata {
    fn read(from: &Source, id: &SessionId, _: &Row) -> Option<(Self, usize)> {
        let answer = metadata_of(&*from.engine, id, &from.prices)?;
        let size = answer.size();
        let id = id.clone();
        Some((Self { id, answer }, size))
    }
}

/// Decides which sessions are in a list.
type Wanted = Box<dyn Fn(&SessionId, &Row) -> bool + Send>;

/// A list that is being streamed.
struct Walk<T: Item> {
    source: Source,
    wanted: Wanted,
    item: PhantomData<T>,
    age: Age,
    /// The session after which the list continues.
    at: Option<Order>,
    left: usize,
}

impl<T: Item> Walk<T> {
    fn new(source: Source, wanted: impl Fn(&SessionId, &Row) -> bool + Send + 'static) -> Self {
        let wanted = Box::new(wanted);
        Self {
            source,
            wanted,
            item: PhantomData,
            age: Age::NewestFirst,
            at: None,
            left: usize::MAX,
        }
    }

    fn at_most(self, left: usize) -> Self {
        Self { left, ..self }
    }

    /// Restricts the list to a page, and returns the cursor of the next page.
    fn page(mut self, page: &PageQuery) -> Result<(Self, Option<String>), Refusal> {
        self.at = page.cursor.as_deref().map(parse_cursor).transpose()?;
        let Some(limit) = page.limit else {
            return Ok((self, None));
        };
        self.left = limit;
        let rows = self.rows(limit + 1);
        let next = rows
            .get(limit)
            .and_then(|_| rows.get(limit.checked_sub(1)?));
        let next = next.map(|(order, _)| cursor_of(order));
        Ok((self, next))
    }

    fn rows(&self, limit: usize) -> Vec<(Order, Arc<Row>)> {
        self.source
            .engine
            .index()
            .walk(self.age, self.at.as_ref(), limit, &self.wanted)
    }

    /// Returns the next piece. Skips sessions deleted in the meantime. Blocks on the disk.
    fn piece(&mut self) -> Piece<Vec<T>> {
        let mut content = Vec::new();
        let mut size = 0;
        while size < PIECE {
            let rows = self.rows(self.left.min(ROWS));
            if rows.is_empty() {
                let is_last = true;
                return Piece { content, is_last };
            }
            for (order, row) in rows {
                if size >= PIECE {
                    let is_last = false;
                    return Piece { content, is_last };
                }
                let item = T::read(&self.source, &order.2, &row);
                self.at = Some(order);
                self.left -= 1;
                if let Some((item, bytes)) = item {
                    content.push(item);
                    size += bytes;
                }
            }
        }
        let is_last = self.left == 0;
        Piece { content, is_last }
    }

    fn stream(self) -> PieceStream<Vec<T>> {
        Box::pin(stream::unfold(Some(self), |walk| async move {
            let mut walk = walk?;
            let read = actix_web::web::block(move || (walk.piece(), walk)).await;
            let Ok((piece, walk)) = read else {
                let refusal = Refusal::new(Code::Internal, "the list could not be read");
                return Some((Err(refusal), None));
            };
            let walk = (!piece.is_last).then_some(walk);
            Some((Ok(piece), walk))
        }))
    }
}

impl ListQuery {
    /// Redacts the filter's texts, because stored texts are redacted and can only be found that
    /// way.
    #[must_use]
    pub fn redacted(mut self, redact: impl for<'t> Fn(&'t str) -> Cow<'t, str>) -> Self {
        for text in [
            &mut self.user,
            &mut self.outcome,
            &mut self.tag,
            &mut self.q,
        ]
        .into_iter()
        .flatten()
        {
            *text = redact(text).into_owned();
        }
        self
    }

    fn wants(&self, id: &SessionId, row: &Row) -> bool {
        let status = if row.completed { "completed" } else { "active" };
        self.user
            .as_ref()
            .is_none_or(|user| row.user.as_str() == user)
            && self.status.as_ref().is_none_or(|wanted| status == wanted)
            && self
                .outcome
                .as_ref()
                .is_none_or(|wanted| row.outcome.as_ref() == Some(wanted))
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| row.tags.iter().any(|t| t == tag))
            && self
                .q
                .as_ref()
                .is_none_or(|q| contains(id, row, &q.to_lowercase()))
    }
}

fn contains(id: &SessionId, row: &Row, text: &str) -> bool {
    let found = |candidate: &str| candidate.to_lowercase().contains(text);
    let mut names = [id.as_str(), row.user.as_str()]
        .into_iter()
        .chain(row.original.as_deref());
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
            "invalid `cursor`: pass one returned by this list, unchanged",
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
    /// Returns the sessions of a user, oldest first.
    pub fn of_user(
        &self,
        user: &str,
        page: &PageQuery,
        within: Within,
    ) -> Result<ListPage<Brief>, Refusal> {
        let user = user.to_owned();
        let wanted =
            move |id: &SessionId, row: &Row| row.user.as_str() == user && sees(&within, id, row);
        let mut walk = Walk::new(self.source(), wanted);
        walk.age = Age::OldestFirst;
        let (walk, next) = walk.page(page)?;
        let items = walk.stream();
        Ok(ListPage { items, next })
    }

    fn source(&self) -> Source {
        Source {
            engine: Arc::clone(&self.engine),
            prices: Arc::clone(&self.settings.prices),
        }
    }

    /// Returns the metadata of the newest sessions.
    pub fn recent(&self, within: Within) -> PieceStream<Vec<Bytes>> {
        let walk = Walk::new(self.source(), move |id, row| sees(&within, id, row));
        self.completed(walk.at_most(self.settings.store.recent_limit).stream())
    }

    /// Returns the metadata of all active sessions, newest first.
    pub fn active(&self, page: &PageQuery, within: Within) -> Result<ListPage<Bytes>, Refusal> {
        let wanted = move |id: &SessionId, row: &Row| !row.completed && sees(&within, id, row);
        let (walk, next) = Walk::new(self.source(), wanted).page(page)?;
        let items = self.completed(walk.stream());
        Ok(ListPage { items, next })
    }

    /// Returns the counts, the active sessions, and the ten newest completed sessions.
    pub fn stats(&self, within: Within) -> Stats {
        let (total, completed) = self.counts(&within);
        let last = |id: &SessionId, row: &Row| row.completed && sees(&within, id, row);
        let last = self.engine.index().walk(Age::NewestFirst, None, 10, last);
        let wanted = move |id: &SessionId, row: &Row| !row.completed && sees(&within, id, row);
        Stats {
            total,
            active: total - completed,
            completed,
            active_sessions: Walk::new(self.source(), wanted).stream(),
            completed_sessions: last.into_iter().map(|((_, _, id), _)| id).collect(),
        }
    }

    /// Returns the number of sessions, and how many of them are completed.
    fn counts(&self, within: &Within) -> (usize, usize) {
        if within.is_none() {
            return self.engine.index().counts();
        }
        let mut total = 0;
        let mut completed = 0;
        self.engine
            .index()
            .walk(Age::NewestFirst, None, usize::MAX, |id, row| {
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
        self.engine
            .index()
            .get(id.as_str())
            .map(|row| row.user.clone())
    }

    /// Returns the metadata of a page of sessions, newest first.
    pub fn list(&self, query: ListQuery, within: Within) -> Result<ListPage<Bytes>, Refusal> {
        let page = PageQuery {
            limit: Some(query.limit),
            cursor: query.cursor.clone(),
        };
        let wanted =
            move |id: &SessionId, row: &Row| query.wants(id, row) && sees(&within, id, row);
        let (walk, next) = Walk::new(self.source(), wanted).page(&page)?;
        let items = self.completed(walk.stream());
        Ok(ListPage { items, next })
    }
}

/// Returns a session's metadata, from memory or else from its file. Blocks on the disk.
fn metadata_of(engine: &dyn Engine, id: &SessionId, prices: &Prices) -> Option<MetadataAnswer> {
    if let Some(answer) = resident(engine, id, prices) {
        return Some(answer);
    }
    if let Some(Value::Object(document)) = engine.document(id, StoredDocument::Metadata) {
        return Some(MetadataAnswer::of_document(document, prices));
    }
    let cell = engine.cache().get(id);
    if let Err(damage) = engine.load(&cell) {
        tracing::error!(session = %id, %damage, "session is damaged and left out of a list");
        return None;
    }
    resident(engine, id, prices)
}

fn resident(engine: &dyn Engine, id: &SessionId, prices: &Prices) -> Option<MetadataAnswer> {
    let cell = engine.cache().peek(id)?;
    let slot = cell.slot.lock();
    match &*slot {
        CachedSession::Loaded(loaded) => Some(MetadataAnswer::of_view(&loaded.view, prices)),
        CachedSession::Absent(_) | CachedSession::Unloaded => None,
    }
}
