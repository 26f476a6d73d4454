//! Lists and statistics: from the index, and the metadata of just those sessions that are answered.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use session_model::{Code, Reach, Refusal, SessionId, Timestamp, UserId, documents};

use super::read::to_json;
use super::redaction::Redaction;
use super::{Refused, Sessions};
use crate::store::Store;
use crate::store::cells::Slot;
use crate::store::index::{Order, Row};
use crate::store::layout::METADATA;

/// A list's filter.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only this user's.
    pub user: Option<String>,
    /// Only those with this status.
    pub status: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those whose id, user or a tag contains this text, case aside.
    pub q: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// From where the page before ended.
    pub cursor: Option<String>,
}

/// What the asker may see; `None`: everything.
pub type Within<'a> = Option<&'a Reach>;

fn sees(within: Within<'_>, id: &SessionId, row: &Row) -> bool {
    within.is_none_or(|reach| reach.covers(id, &row.user))
}

impl ListQuery {
    /// With what was stored in the place of secrets, which is what can be found.
    #[must_use]
    pub fn screened(mut self, redaction: &Redaction) -> Self {
        for text in [&mut self.user, &mut self.tag, &mut self.q].into_iter().flatten() {
            *text = redaction.text(text).into_owned();
        }
        self
    }

    fn wants(&self, id: &SessionId, row: &Row) -> bool {
        let status = if row.completed { "completed" } else { "active" };
        self.user.as_ref().is_none_or(|user| row.user.as_str() == user)
            && self.status.as_ref().is_none_or(|wanted| status == wanted)
            && self.tag.as_ref().is_none_or(|tag| row.tags.iter().any(|t| t == tag))
            && self.q.as_ref().is_none_or(|q| contains(id, row, &q.to_lowercase()))
    }
}

fn contains(id: &SessionId, row: &Row, text: &str) -> bool {
    let found = |candidate: &str| candidate.to_lowercase().contains(text);
    found(id.as_str()) || found(row.user.as_str()) || row.tags.iter().any(|tag| found(tag))
}

/// `<created>~<offset>~<id>`
fn cursor_of((created, offset, id): &Order) -> String {
    format!("{}~{offset}~{id}", created.as_millis())
}

fn parse_cursor(text: &str) -> Result<Order, Refusal> {
    let malformed = || Refusal::new(Code::InvalidParameter, "`cursor` is none that a list has given");
    let mut parts = text.splitn(3, '~');
    let mut next = || parts.next().ok_or_else(malformed);
    let created = next()?.parse().map_err(|_| malformed())?;
    let offset = next()?.parse().map_err(|_| malformed())?;
    let id = SessionId::parse(next()?).map_err(|_| malformed())?;
    Ok((Timestamp::from_millis(created), offset, id))
}

impl Sessions {
    /// `[{sessionId, userId, created}]` of a user, oldest first.
    pub fn of_user(&self, user: &str, within: Within<'_>) -> Bytes {
        let wanted = |id: &SessionId, row: &Row| row.user.as_str() == user && sees(within, id, row);
        let rows = self.store.index.newest(None, usize::MAX, wanted);
        let list: Vec<Value> = rows
            .iter()
            .rev()
            .map(|((_, _, id), row)| {
                json!({"sessionId": id.as_str(), "userId": row.user.as_str(), "created": row.created.to_string()})
            })
            .collect();
        to_json(&list)
    }

    /// The newest sessions' metadata.
    pub async fn recent(&self, within: Within<'_>) -> Result<Bytes, Refused> {
        let limit = self.settings.store.recent_limit;
        let ids = self.store.index.newest(None, limit, |id, row| sees(within, id, row));
        self.metadata_list(ids.into_iter().map(|((_, _, id), _)| id).collect()).await
    }

    /// The metadata of every active session, newest first.
    pub async fn active(&self, within: Within<'_>) -> Result<Bytes, Refused> {
        let wanted = |id: &SessionId, row: &Row| !row.completed && sees(within, id, row);
        let ids = self.store.index.newest(None, usize::MAX, wanted);
        self.metadata_list(ids.into_iter().map(|((_, _, id), _)| id).collect()).await
    }

    /// Counts, the active sessions, and the last ten completed.
    pub fn stats(&self, within: Within<'_>) -> Bytes {
        let (total, completed) = self.counts(within);
        let ids = |limit, wanted: bool| -> Vec<String> {
            let wanted = |id: &SessionId, row: &Row| row.completed == wanted && sees(within, id, row);
            let rows = self.store.index.newest(None, limit, wanted);
            rows.into_iter().map(|((_, _, id), _)| id.to_string()).collect()
        };
        to_json(&json!({
            "total": total, "active": total - completed, "completed": completed,
            "activeSessions": ids(usize::MAX, false), "completedSessions": ids(10, true),
        }))
    }

    /// How many sessions there are, and how many of them are completed.
    fn counts(&self, within: Within<'_>) -> (usize, usize) {
        if within.is_none() {
            return self.store.index.counts();
        }
        let rows = self.store.index.newest(None, usize::MAX, |id, row| sees(within, id, row));
        (rows.len(), rows.iter().filter(|(_, row)| row.completed).count())
    }

    /// Whose a session is, if there is one; loads nothing.
    pub fn user_of(&self, id: &SessionId) -> Option<UserId> {
        self.store.index.get(id.as_str()).map(|row| row.user.clone())
    }

    /// A page of `{sessions: [metadata], next}`, newest first.
    pub async fn list(&self, query: ListQuery, within: Within<'_>) -> Result<Bytes, Refused> {
        let before = query.cursor.as_deref().map(parse_cursor).transpose()?;
        let limit = query.limit.max(1);
        let mut rows = self
            .store
            .index
            .newest(before.as_ref(), limit + 1, |id, row| query.wants(id, row) && sees(within, id, row));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(order, _)| cursor_of(order));
        let sessions = self.metadata_list(rows.into_iter().map(|((_, _, id), _)| id).collect()).await?;
        Ok([b"{\"sessions\":", &sessions[..], b",\"next\":", &to_json(&next), b"}"].concat().into())
    }

    /// An array of metadata, in this order; a session that went meanwhile is left out.
    async fn metadata_list(&self, ids: Vec<SessionId>) -> Result<Bytes, Refused> {
        let store = Arc::clone(&self.store);
        let read = actix_web::web::block(move || {
            let documents: Vec<Bytes> = ids.iter().filter_map(|id| metadata_of(&store, id)).collect();
            let mut out = vec![b'['];
            for (n, document) in documents.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(document);
            }
            out.push(b']');
            Bytes::from(out)
        });
        Ok(read.await.map_err(|_| Refusal::new(Code::Internal, "the list could not be read"))?)
    }
}

/// A session's metadata: from memory, or from its file as it stands there. Blocks on the disk.
fn metadata_of(store: &Arc<Store>, id: &SessionId) -> Option<Bytes> {
    if let Some(document) = resident(store, id) {
        return Some(document);
    }
    let bytes = std::fs::read(store.layout().file(id, METADATA)).ok();
    let whole = bytes.filter(|bytes| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok());
    if let Some(bytes) = whole {
        return Some(Bytes::copy_from_slice(bytes.trim_ascii()));
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
        Slot::Loaded(loaded) => Some(to_json(&documents::metadata_document(&loaded.view))),
        Slot::Absent(_) | Slot::Unloaded => None,
    }
}
