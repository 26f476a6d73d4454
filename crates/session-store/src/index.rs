//! The session index: one small row per session, so that lists and statistics do not read session
//! files.
//!
//! The index is derived data. `index.json` is written periodically, soon after a checkpoint and at
//! a stop, and records the offset up to which it is valid. At the start it is completed from the
//! existing folders and from the journal. Replayed sessions have their whole view in memory. For
//! the range between the file's offset and the checkpoint, the journal tells which sessions
//! changed, and their metadata is read ([`touched`]). Only if the file is missing, or older than
//! the oldest part of the journal, the metadata of every session is read once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use session_model::metadata::Metadata;
use session_model::{SessionId, Timestamp, UserId, View};

use super::disk::Disk;
use super::files;
use super::layout::Layout;
use super::segment::{self, Found};

/// The index row of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The session's user.
    pub user: UserId,
    /// When the session was created.
    pub created: Timestamp,
    /// When the service first received anything for the session.
    pub received: Timestamp,
    /// The offset of its creation; orders sessions created in the same millisecond.
    pub created_offset: u64,
    /// Whether the session is completed.
    pub completed: bool,
    /// The outcome of the session, if it has ended.
    pub outcome: Option<String>,
    /// The session's tags.
    pub tags: Vec<String>,
    /// The name under which the legacy service kept the session, if that is not a valid session
    /// id.
    pub original: Option<String>,
    /// The sessions in its list of children.
    pub children: Vec<String>,
}

impl Row {
    /// Returns the row of a view.
    pub fn of(view: &View) -> Self {
        Self::of_metadata(&view.metadata, view.created_offset)
    }

    /// Returns the row of a metadata document.
    pub fn of_metadata(metadata: &Metadata, created_offset: u64) -> Self {
        Self {
            user: metadata.user(),
            created: metadata.created(),
            received: metadata.received(),
            created_offset,
            completed: metadata.is_completed(),
            outcome: metadata.outcome().map(str::to_owned),
            tags: metadata.texts("tags").map(str::to_owned).collect(),
            original: metadata.original_id().map(str::to_owned),
            children: metadata.texts("subsessions").map(str::to_owned).collect(),
        }
    }

    fn order(&self, id: &SessionId) -> Order {
        (self.created, self.created_offset, id.clone())
    }
}

/// The sort key of a session: its place among all sessions by age.
pub type Order = (Timestamp, u64, SessionId);

/// Sort order of sessions by age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// Newest first.
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// A row as stored in `index.json`. Its names are on disk: only add fields, with a default.
#[derive(Serialize, Deserialize)]
struct StoredRow {
    #[serde(rename = "userId")]
    user: String,
    created: String,
    #[serde(
        rename = "receivedAt",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    received: Option<String>,
    #[serde(rename = "createdOffset", default)]
    created_offset: u64,
    #[serde(default)]
    status: Option<String>,
    /// Missing in the rows of active sessions, and of versions that had no outcome; null if the
    /// session has ended without one.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    outcome: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(
        rename = "originalId",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    original: Option<String>,
    #[serde(rename = "subsessions", default, skip_serializing_if = "Vec::is_empty")]
    children: Vec<String>,
}

/// Deserializes a field that is present, so that null differs from a missing field.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

#[derive(Default, Debug)]
struct Rows {
    by_id: HashMap<SessionId, Arc<Row>>,
    by_age: BTreeMap<Order, Arc<Row>>,
    completed: usize,
    by_user: HashMap<UserId, usize>,
    by_original: HashMap<String, SessionId>,
    /// Parents by the name of the child, as written in the parent's list.
    parents: HashMap<String, BTreeSet<SessionId>>,
}

/// The rows of all sessions.
#[derive(Default, Debug)]
pub struct Index {
    rows: RwLock<Rows>,
    changes: AtomicU64,
}

impl Index {
    /// Adds or replaces a row; returns whether anything changed.
    pub fn upsert(&self, id: &SessionId, row: Row) -> bool {
        if self
            .rows
            .read()
            .by_id
            .get(id)
            .is_some_and(|old| **old == row)
        {
            return false;
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        let row = Arc::new(row);
        let mut rows = self.rows.write();
        remove(&mut rows, id);
        rows.completed += usize::from(row.completed);
        *rows.by_user.entry(row.user.clone()).or_default() += 1;
        rows.by_age.insert(row.order(id), Arc::clone(&row));
        if let Some(original) = &row.original {
            rows.by_original.insert(original.clone(), id.clone());
        }
        for child in &row.children {
            rows.parents
                .entry(child.clone())
                .or_default()
                .insert(id.clone());
        }
        rows.by_id.insert(id.clone(), row);
        true
    }

    /// Applies a commit's change to a session's row; `None` removes it.
    pub fn follow(&self, id: &SessionId, row: Option<Row>) {
        match row {
            Some(row) => drop(self.upsert(id, row)),
            None => self.remove(id),
        }
    }

    /// Returns how many changes have been made.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Removes a row.
    pub fn remove(&self, id: &SessionId) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        remove(&mut self.rows.write(), id);
    }

    /// Returns a session's row.
    pub fn get(&self, id: &str) -> Option<Arc<Row>> {
        self.rows.read().by_id.get(id).cloned()
    }

    /// Returns the session that the legacy service kept under a name that is not a valid session
    /// id.
    pub fn by_original(&self, name: &str) -> Option<SessionId> {
        self.rows.read().by_original.get(name).cloned()
    }

    /// Returns the sessions that list this one as a child.
    pub fn parents_of(&self, child: &str) -> Vec<SessionId> {
        self.rows
            .read()
            .parents
            .get(child)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Returns the number of sessions and the number of completed ones.
    pub fn counts(&self) -> (usize, usize) {
        let rows = self.rows.read();
        (rows.by_id.len(), rows.completed)
    }

    /// Returns how many sessions a user would have if all of `further` also belonged to that user.
    pub fn count_of(&self, user: &UserId, further: &mut dyn Iterator<Item = &SessionId>) -> usize {
        let rows = self.rows.read();
        let is_further = |id: &&SessionId| rows.by_id.get(*id).is_none_or(|row| row.user != *user);
        rows.by_user.get(user).copied().unwrap_or(0) + further.filter(is_further).count()
    }

    /// Returns up to `limit` sessions that match `wanted`, newest first, starting after `before`.
    pub fn newest(
        &self,
        before: Option<&Order>,
        limit: usize,
        wanted: impl FnMut(&SessionId, &Row) -> bool,
    ) -> Vec<(Order, Arc<Row>)> {
        self.walk(Age::NewestFirst, before, limit, wanted)
    }

    /// Returns up to `limit` sessions that match `wanted`, ordered by age, starting after `behind`.
    pub fn walk(
        &self,
        age: Age,
        behind: Option<&Order>,
        limit: usize,
        mut wanted: impl FnMut(&SessionId, &Row) -> bool,
    ) -> Vec<(Order, Arc<Row>)> {
        let rows = self.rows.read();
        let liked = |entry: &(&Order, &Arc<Row>)| wanted(&entry.0.2, entry.1);
        let cloned = |(order, row): (&Order, &Arc<Row>)| (order.clone(), Arc::clone(row));
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        match age {
            Age::NewestFirst => {
                let older = rows
                    .by_age
                    .range::<Order, _>((Bound::Unbounded, behind))
                    .rev();
                older.filter(liked).take(limit).map(cloned).collect()
            }
            Age::OldestFirst => {
                let newer = rows.by_age.range::<Order, _>((behind, Bound::Unbounded));
                newer.filter(liked).take(limit).map(cloned).collect()
            }
        }
    }

    /// Writes `index.json`, valid for everything before `offset` of this epoch.
    pub(crate) fn write(
        &self,
        layout: &Layout,
        disk: &dyn Disk,
        epoch: &str,
        offset: u64,
    ) -> io::Result<()> {
        let mut out = Vec::new();
        write!(
            out,
            "{{\n  \"$epoch\": \"{epoch}\",\n  \"$offset\": {offset}"
        )?;
        for ((_, _, id), row) in &self.rows.read().by_age {
            let status = if row.completed { "completed" } else { "active" };
            let stored = StoredRow {
                user: row.user.as_str().to_owned(),
                created: row.created.to_string(),
                received: (row.received != row.created).then(|| row.received.to_string()),
                created_offset: row.created_offset,
                status: Some(status.to_owned()),
                outcome: row.completed.then(|| row.outcome.clone().into()),
                tags: row.tags.clone(),
                original: row.original.clone(),
                children: row.children.clone(),
            };
            write!(out, ",\n  \"{id}\": ")?;
            serde_json::to_writer(&mut out, &stored)?;
        }
        out.extend_from_slice(b"\n}\n");
        disk.replace(&layout.index(), &out, false)
    }
}

fn remove(rows: &mut Rows, id: &SessionId) {
    if let Some(old) = rows.by_id.remove(id) {
        rows.completed -= usize::from(old.completed);
        rows.by_age.remove(&old.order(id));
        if let Some(original) = &old.original
            && rows.by_original.get(original) == Some(id)
        {
            rows.by_original.remove(original);
        }
        for child in &old.children {
            if let Some(parents) = rows.parents.get_mut(child) {
                parents.remove(id);
                if parents.is_empty() {
                    rows.parents.remove(child);
                }
            }
        }
        if let Some(count) = rows.by_user.get_mut(&old.user) {
            *count -= 1;
            if *count == 0 {
                rows.by_user.remove(&old.user);
            }
        }
    }
}

/// An index file as read from disk.
#[derive(Debug, Default)]
pub(crate) struct FoundIndex {
    /// The rows; rows of the legacy service have no status.
    pub rows: HashMap<String, Row>,
    /// The completed sessions whose rows do not say how they ended.
    pub without_outcome: HashSet<String>,
    /// How far the index is valid: the epoch, and the first offset that it may not include.
    pub position: Option<(String, u64)>,
}

/// Returns the sessions with journal entries in `from..until`; `None` if the journal does not hold
/// all of these entries.
pub(crate) fn touched(
    layout: &Layout,
    segments: &[u64],
    from: u64,
    until: u64,
) -> io::Result<Option<HashSet<SessionId>>> {
    let mut touched = HashSet::new();
    if from >= until {
        return Ok(Some(touched));
    }
    if segments.first().is_none_or(|first| *first > from) {
        return Ok(None);
    }
    // An entry without events consumes no offset, so an entry with this offset may be at the end of
    // the previous segment.
    let begin = segments
        .partition_point(|first| *first < from)
        .saturating_sub(1);
    let mut next = from;
    let mut whole = true;
    for (n, first) in segments
        .iter()
        .enumerate()
        .skip(begin)
        .take_while(|(_, first)| **first < until)
    {
        let bytes = Bytes::from(files::read(&layout.segment(*first))?);
        let is_last = n + 1 == segments.len();
        segment::walk(&bytes, *first, 0, is_last, |_, found| match found {
            Found::Entry(entry) => {
                whole &= entry.first_offset <= next;
                next = next.max(entry.first_offset + entry.events.len() as u64);
                if next > from {
                    touched.insert(entry.session);
                }
            }
            Found::Damaged { .. } => whole = false,
        });
    }
    Ok((whole && next >= until).then_some(touched))
}

/// Reads `index.json`; a missing file gives an empty index, a damaged one the rows that can still
/// be read.
pub(crate) fn read(layout: &Layout) -> FoundIndex {
    let Ok(bytes) = files::read(&layout.index()) else {
        return FoundIndex::default();
    };
    parse(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "index.json is damaged and is rebuilt");
        // An index of the legacy service may be the only record of some sessions' users.
        if let Err(error) = files::keep_file(&layout.index()) {
            tracing::warn!(%error, "the damaged index.json could not be kept");
        }
        leading(&bytes)
    })
}

/// Reads `index.json` like [`read`], but keeps and writes nothing: for a directory that is only
/// read.
pub(crate) fn look(layout: &Layout) -> FoundIndex {
    let bytes = files::read(&layout.index()).unwrap_or_default();
    parse(&bytes).unwrap_or_else(|_| leading(&bytes))
}

/// Returns the rows at the beginning of a damaged index.
fn leading(bytes: &[u8]) -> FoundIndex {
    let rows = session_model::json::leading_object(bytes).map(|rows| rows.to_string());
    let found = rows
        .and_then(|rows| parse(rows.as_bytes()).ok())
        .unwrap_or_default();
    FoundIndex {
        position: None,
        ..found
    }
}

fn parse(bytes: &[u8]) -> serde_json::Result<FoundIndex> {
    let mut map = serde_json::from_slice::<HashMap<Cow<'_, str>, &RawValue>>(bytes)?;
    let mut take = |name| map.remove(name);
    let epoch = take("$epoch").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let offset = take("$offset").and_then(|raw| serde_json::from_str::<u64>(raw.get()).ok());
    let mut without_outcome = HashSet::new();
    let rows = map.into_iter().filter_map(|(id, raw)| {
        let stored: StoredRow = serde_json::from_str(raw.get()).ok()?;
        let created = Timestamp::parse(&stored.created)?;
        let row = Row {
            user: UserId::stored(&stored.user),
            created,
            received: stored
                .received
                .as_deref()
                .and_then(Timestamp::parse)
                .unwrap_or(created),
            created_offset: stored.created_offset,
            completed: stored.status.as_deref() == Some("completed"),
            outcome: stored
                .outcome
                .as_ref()
                .and_then(Value::as_str)
                .map(str::to_owned),
            tags: stored.tags,
            original: stored.original,
            children: stored.children,
        };
        // In an index of the legacy service the keys are its session names.
        let id: String = SessionId::adopt(&id).into();
        if row.completed && stored.outcome.is_none() {
            without_outcome.insert(id.clone());
        }
        Some((id, row))
    });
    let rows = rows.collect();
    Ok(FoundIndex {
        rows,
        without_outcome,
        position: epoch.zip(offset),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_version_without_outcomes_differs_from_an_end_without_one() {
        let row =
            |more: &str| format!(r#"{{"userId":"u","created":"2026-01-01T00:00:00.000Z"{more}}}"#);
        let index = format!(
            r#"{{"old":{},"none":{},"known":{},"active":{}}}"#,
            row(r#","status":"completed""#),
            row(r#","status":"completed","outcome":null"#),
            row(r#","status":"completed","outcome":"error""#),
            row(r#","status":"active""#),
        );
        let found = parse(index.as_bytes()).unwrap();
        assert_eq!(found.without_outcome, HashSet::from(["old".to_owned()]));
        assert_eq!(found.rows["known"].outcome.as_deref(), Some("error"));
        assert_eq!(found.rows["none"].outcome, None);
    }
}
