//! The index: one small row a session, so that lists and statistics read no session.
//!
//! Derived: `index.json` is written now and then, soon after a checkpoint and at a stop, and says up to which offset it
//! goes. At the start it is completed from the folders that are there and from the journal: what is replayed gives whole
//! views, and of what came between the file and the checkpoint the journal says which sessions it was about, whose
//! metadata is read ([`touched`]). Only if the file is missing, or older than what the journal still holds, the metadata
//! of every session is read once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use session_model::metadata::Metadata;
use session_model::{SessionId, Timestamp, UserId, View};

use super::disk::Disk;
use super::files;
use super::layout::Layout;
use super::segment::{self, Found};

/// What the index knows of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Whose it is.
    pub user: UserId,
    /// When it was created.
    pub created: Timestamp,
    /// When the service first received anything of it.
    pub received: Timestamp,
    /// The offset of its creation: decides among sessions of the same millisecond.
    pub created_offset: u64,
    /// Whether it is completed.
    pub completed: bool,
    /// How it ended, if it has.
    pub outcome: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The name that the older service kept it under, where that is no session id.
    pub original: Option<String>,
    /// The sessions in its list of children.
    pub children: Vec<String>,
}

impl Row {
    /// The row of a view.
    pub fn of(view: &View) -> Self {
        Self::of_metadata(&view.metadata, view.created_offset)
    }

    /// The row of a metadata document.
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

/// Where a session stands among all, by age.
pub type Order = (Timestamp, u64, SessionId);

/// Which sessions come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// The newest.
    NewestFirst,
    /// The oldest.
    OldestFirst,
}

/// A row as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRow {
    #[serde(rename = "userId")]
    user: String,
    created: String,
    #[serde(rename = "receivedAt", default, skip_serializing_if = "Option::is_none")]
    received: Option<String>,
    #[serde(rename = "createdOffset", default)]
    created_offset: u64,
    #[serde(default)]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(rename = "originalId", default, skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    #[serde(rename = "subsessions", default, skip_serializing_if = "Vec::is_empty")]
    children: Vec<String>,
}

#[derive(Default, Debug)]
struct Rows {
    by_id: HashMap<SessionId, Arc<Row>>,
    by_age: BTreeMap<Order, Arc<Row>>,
    completed: usize,
    by_user: HashMap<UserId, usize>,
    by_original: HashMap<String, SessionId>,
    /// By the name of a child as the list has it.
    parents: HashMap<String, BTreeSet<SessionId>>,
}

/// All rows.
#[derive(Default, Debug)]
pub struct Index {
    rows: RwLock<Rows>,
    changes: AtomicU64,
}

impl Index {
    /// Adds or changes a row; says whether anything changed.
    pub fn upsert(&self, id: &SessionId, row: Row) -> bool {
        if self.rows.read().by_id.get(id).is_some_and(|old| **old == row) {
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
            rows.parents.entry(child.clone()).or_default().insert(id.clone());
        }
        rows.by_id.insert(id.clone(), row);
        true
    }

    /// Says of a session what a commit has made of it; `None`: it is gone.
    pub fn follow(&self, id: &SessionId, row: Option<Row>) {
        match row {
            Some(row) => drop(self.upsert(id, row)),
            None => self.remove(id),
        }
    }

    /// How often it has changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Takes a row out.
    pub fn remove(&self, id: &SessionId) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        remove(&mut self.rows.write(), id);
    }

    /// A session's row.
    pub fn get(&self, id: &str) -> Option<Arc<Row>> {
        self.rows.read().by_id.get(id).cloned()
    }

    /// The session that the older service kept under a name that is no session id.
    pub fn by_original(&self, name: &str) -> Option<SessionId> {
        self.rows.read().by_original.get(name).cloned()
    }

    /// The sessions that list one as a child.
    pub fn parents_of(&self, child: &str) -> Vec<SessionId> {
        self.rows.read().parents.get(child).into_iter().flatten().cloned().collect()
    }

    /// How many sessions there are, and how many of them are completed.
    pub fn counts(&self) -> (usize, usize) {
        let rows = self.rows.read();
        (rows.by_id.len(), rows.completed)
    }

    /// How many sessions a user has, and has beyond those if all of these are theirs as well.
    pub fn count_of(&self, user: &UserId, further: &mut dyn Iterator<Item = &SessionId>) -> usize {
        let rows = self.rows.read();
        let is_further = |id: &&SessionId| rows.by_id.get(*id).is_none_or(|row| row.user != *user);
        rows.by_user.get(user).copied().unwrap_or(0) + further.filter(is_further).count()
    }

    /// Up to `limit` sessions that `wanted` likes, newest first, from before a place on.
    pub fn newest(
        &self,
        before: Option<&Order>,
        limit: usize,
        wanted: impl FnMut(&SessionId, &Row) -> bool,
    ) -> Vec<(Order, Arc<Row>)> {
        self.walk(Age::NewestFirst, before, limit, wanted)
    }

    /// Up to `limit` sessions that `wanted` likes, in the order of their age, from behind a place on.
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
                let older = rows.by_age.range::<Order, _>((Bound::Unbounded, behind)).rev();
                older.filter(liked).take(limit).map(cloned).collect()
            }
            Age::OldestFirst => {
                let newer = rows.by_age.range::<Order, _>((behind, Bound::Unbounded));
                newer.filter(liked).take(limit).map(cloned).collect()
            }
        }
    }

    /// Writes `index.json`, which is good for everything before an offset of this epoch.
    pub fn write(&self, layout: &Layout, disk: &dyn Disk, epoch: &str, offset: u64) -> io::Result<()> {
        let mut out = Vec::new();
        write!(out, "{{\n  \"$epoch\": \"{epoch}\",\n  \"$offset\": {offset}")?;
        for ((_, _, id), row) in &self.rows.read().by_age {
            let status = if row.completed { "completed" } else { "active" };
            let stored = StoredRow {
                user: row.user.as_str().to_owned(),
                created: row.created.to_string(),
                received: (row.received != row.created).then(|| row.received.to_string()),
                created_offset: row.created_offset,
                status: Some(status.to_owned()),
                outcome: row.outcome.clone(),
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

/// An index file as it was found.
#[derive(Debug, Default)]
pub struct FoundIndex {
    /// Its rows; those of the older service know no status.
    pub rows: HashMap<String, Row>,
    /// Up to where it goes: epoch, and the first offset that it may not know of.
    pub position: Option<(String, u64)>,
}

/// The sessions that the journal's entries from one offset on and before another are about; `None` if it does not hold
/// all of them.
pub fn touched(
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
    // An entry without events uses no offset up: one of this offset may stand at the end of the segment before.
    let begin = segments.partition_point(|first| *first < from).saturating_sub(1);
    let (mut next, mut whole) = (from, true);
    for (n, first) in segments.iter().enumerate().skip(begin).take_while(|(_, first)| **first < until) {
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

/// Reads `index.json`; a missing or damaged one is empty.
pub fn read(layout: &Layout) -> FoundIndex {
    let Ok(bytes) = files::read(&layout.index()) else { return FoundIndex::default() };
    parse(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "index.json is damaged and is rebuilt");
        // That of the older service is the only one to know some sessions' users.
        if let Err(error) = files::keep_file(&layout.index()) {
            tracing::warn!(%error, "the damaged index.json could not be kept");
        }
        leading(&bytes)
    })
}

/// The same, and nothing is kept or written: for a directory that is only read.
pub fn look(layout: &Layout) -> FoundIndex {
    let bytes = files::read(&layout.index()).unwrap_or_default();
    parse(&bytes).unwrap_or_else(|_| leading(&bytes))
}

/// What a damaged index begins with.
fn leading(bytes: &[u8]) -> FoundIndex {
    let rows = session_model::json::leading_object(bytes).map(|rows| rows.to_string());
    let found = rows.and_then(|rows| parse(rows.as_bytes()).ok()).unwrap_or_default();
    FoundIndex { position: None, ..found }
}

fn parse(bytes: &[u8]) -> serde_json::Result<FoundIndex> {
    let mut map = serde_json::from_slice::<HashMap<Cow<'_, str>, &RawValue>>(bytes)?;
    let mut take = |name| map.remove(name);
    let epoch = take("$epoch").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let offset = take("$offset").and_then(|raw| serde_json::from_str::<u64>(raw.get()).ok());
    let rows = map.into_iter().filter_map(|(id, raw)| {
        let stored: StoredRow = serde_json::from_str(raw.get()).ok()?;
        let created = Timestamp::parse(&stored.created)?;
        let row = Row {
            user: UserId::stored(&stored.user),
            created,
            received: stored.received.as_deref().and_then(Timestamp::parse).unwrap_or(created),
            created_offset: stored.created_offset,
            completed: stored.status.as_deref() == Some("completed"),
            outcome: stored.outcome,
            tags: stored.tags,
            original: stored.original,
            children: stored.children,
        };
        // That of the older service has its names.
        Some((SessionId::adopt(&id).into(), row))
    });
    Ok(FoundIndex { rows: rows.collect(), position: epoch.zip(offset) })
}
