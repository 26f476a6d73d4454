//! Situations that only internal access can force: a snapshot written long after it was taken, or a
//! request dropped at a certain await.

use std::collections::BTreeMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use serde_json::Map;
use session_model::event::Creation;
use session_model::producer::ProducerNumbers;
use session_model::{Command, RecordBody, UserId, View};

use super::*;
use std::sync::Arc;

use crate::live::Hub;
use crate::live::LiveConfig;
use session_model::{Code, SessionId};
use session_store::blobs::BlobLimits;
use session_store::disk::RealDisk;
use session_store::engine::{CachedSession, Engine as _, LoadedSession};
use session_store::keys::KeyLimits;
use session_store::retention::Policy;
use session_store::snapshots::{Snapshot, take};
use session_store::{OpenFiles, SyncPolicy};
use session_store::{Options, Store};

/// The service's sessions, and the local engine that they are on.
struct Opened {
    sessions: Arc<Sessions>,
    store: Arc<Store>,
}

impl std::ops::Deref for Opened {
    type Target = Arc<Sessions>;

    fn deref(&self) -> &Arc<Sessions> {
        &self.sessions
    }
}

fn open(path: &std::path::Path) -> Opened {
    let path = path.to_owned();
    let store = Options {
        path,
        sync: SyncPolicy::Always,
        recent_limit: 10,
        journal_max_bytes: 64 << 20,
        files: OpenFiles::default(),
        keys: KeyLimits::default(),
    };
    let settings = Settings {
        store,
        auto_create: true,
        retention: Policy::default(),
        redaction: None,
        prices: Arc::default(),
        redaction_key_required: false,
        blobs: BlobLimits::default(),
    };
    let hub = Arc::new(Hub::new(LiveConfig::default()));
    let observer = Arc::new(feed::Feed::new(Arc::clone(&hub)));
    let store = Store::open(settings.store.clone(), Arc::new(RealDisk), observer).unwrap();
    let engine = Arc::clone(&store);
    let sessions = Sessions::on_engine(settings, hub, engine).unwrap();
    Opened { sessions, store }
}

/// Creates a session in which every kind of file has content.
async fn fill(sessions: &Opened, id: &SessionId) {
    let creation = Creation::default();
    let producer = ProducerNumbers {
        id: "p".into(),
        epoch: 0,
        seq: 0,
    };
    sessions
        .submit(
            id,
            Command::Create {
                user: UserId::stored("u"),
                creation,
            },
            Some(producer),
        )
        .await
        .unwrap();
    for outcome in ["one", "two"] {
        let outcome = serde_json::Map::from_iter([("outcome".to_owned(), outcome.into())]);
        sessions
            .submit(id, Command::Finalize(outcome), None)
            .await
            .unwrap();
        sessions.submit(id, Command::Reopen, None).await.unwrap();
    }
    let link = Command::LinkChild {
        child: "child".into(),
        present: true,
    };
    sessions.submit(id, link, None).await.unwrap();
}

/// Takes a snapshot that contains every file, whatever was written before.
fn snapshot(sessions: &Opened, id: &SessionId) -> Snapshot {
    let cell = sessions.store.cache().get(id);
    let mut slot = cell.slot.lock();
    let CachedSession::Loaded(loaded) = &mut *slot else {
        unreachable!("it is there")
    };
    **loaded = LoadedSession::dirty(loaded.view.clone(), loaded.generation);
    drop(slot);
    take(&cell, true).unwrap()
}

fn contents(sessions: &Opened, id: &SessionId) -> Option<BTreeMap<std::ffi::OsString, Vec<u8>>> {
    let files = fs::read_dir(sessions.path_of(id))
        .ok()?
        .map(|entry| entry.unwrap());
    Some(
        files
            .map(|file| (file.file_name(), fs::read(file.path()).unwrap_or_default()))
            .collect(),
    )
}

#[test]
fn the_initial_document_of_a_claim_is_read_while_its_snapshot_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        act(&sessions, &id).await;
        sessions.store.flush_snapshots(false);
        let creation = Creation {
            initial: Map::from_iter([("k".into(), 1.into())]),
            ..Creation::default()
        };
        let user = UserId::stored("u");
        let claimed = sessions.create(&id, user, creation, None, false, None);
        claimed.await.unwrap();
        // The snapshot is taken, but not written yet.
        let late = take(&sessions.store.cache().get(&id), false);
        let whole = sessions.whole(&id, false).await.unwrap();
        let initial: serde_json::Value = serde_json::from_slice(&whole.initial).unwrap();
        assert_eq!(initial["k"], 1, "{initial}");
        if let Some(late) = late {
            sessions.store.write_documents(&late).unwrap();
        }
        sessions.shutdown().await;
        let stored = fs::read(sessions.path_of(&id).join("initial.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(stored["k"], 1, "{stored}");
    });
}

/// Deletes the journal, from which recovery could otherwise repair the damage.
fn lose_the_journal(sessions: &Opened) {
    for entry in fs::read_dir(sessions.directory().join("journal")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[test]
fn a_snapshot_of_a_deleted_session_brings_nothing_back_and_touches_no_other_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        fill(&sessions, &id).await;
        let late = snapshot(&sessions, &id);
        sessions.delete(&id, None).await.unwrap();
        sessions.store.write_documents(&late).unwrap();
        assert_eq!(contents(&sessions, &id), None, "it is not back");
        let body = RecordBody::parse(b"{}").unwrap();
        sessions
            .submit(&id, Command::Action(body), None)
            .await
            .unwrap();
        sessions.store.flush_snapshots(true);
        let before = contents(&sessions, &id);
        assert!(before.is_some());
        sessions.store.write_documents(&late).unwrap();
        assert_eq!(
            contents(&sessions, &id),
            before,
            "the one that was born in its place is as it was"
        );
        sessions.shutdown().await;
    });
}

#[test]
fn a_snapshot_of_a_quarantined_session_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        fill(&sessions, &id).await;
        sessions.store.flush_snapshots(true);
        let late = snapshot(&sessions, &id);
        fs::write(sessions.path_of(&id).join("changes.jsonl"), "").unwrap();
        lose_the_journal(&sessions);
        let cell = sessions.store.cache().get(&id);
        *cell.slot.lock() = CachedSession::Unloaded;
        sessions.store.load(&cell).unwrap_err();
        sessions.store.write_documents(&late).unwrap();
        assert_eq!(contents(&sessions, &id), None);
        sessions.shutdown().await;
    });
}

#[test]
fn a_session_created_instead_of_a_quarantined_one_has_new_logs() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        fill(&sessions, &id).await;
        let action = || Command::Action(RecordBody::parse(b"{}").unwrap());
        sessions.submit(&id, action(), None).await.unwrap();
        sessions.store.flush_snapshots(true);
        let changes = sessions.path_of(&id).join("changes.jsonl");
        // Truncate in place: this is the same file that the writer has open.
        fs::write(&changes, "").unwrap();
        lose_the_journal(&sessions);
        *sessions.store.cache().get(&id).slot.lock() = CachedSession::Unloaded;
        sessions
            .store
            .load(&sessions.store.cache().get(&id))
            .unwrap_err();
        sessions.submit(&id, action(), None).await.unwrap();
        let actions = sessions.path_of(&id).join("actions.jsonl");
        let found = fs::read_to_string(&actions).unwrap();
        assert_eq!(found.lines().count(), 1, "{found}");
        assert!(changes.is_file());
        sessions.shutdown().await;
    });
}

/// Drops a future that is still not ready after this many polls.
async fn broken_off<F: Future>(future: F, mut polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let poll = poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        future.as_mut().poll(context).map(Some)
    });
    poll.await
}

async fn children(sessions: &Sessions, parent: &SessionId) -> Vec<String> {
    sessions
        .read(parent, |view| {
            view.metadata
                .texts("subsessions")
                .map(str::to_owned)
                .collect()
        })
        .await
        .unwrap()
}

/// Returns whether the session exists according to its files, not the index.
async fn is_there(sessions: &Sessions, id: &SessionId) -> bool {
    sessions.read(id, |_| ()).await.is_ok()
}

#[test]
fn a_child_and_its_place_in_the_list_come_and_go_together_wherever_the_request_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let parent = SessionId::parse("parent").unwrap();
        let user = UserId::stored("u");
        sessions
            .create(&parent, user.clone(), Creation::default(), None, true, None)
            .await
            .unwrap();
        let mut unfinished = [0, 0];
        for polls in 0..8 {
            let child = SessionId::parse(&format!("child-{polls}")).unwrap();
            let name = child.to_string();
            let created = sessions.create(
                &child,
                user.clone(),
                Creation::default(),
                Some(parent.clone()),
                true,
                None,
            );
            unfinished[0] += usize::from(broken_off(created, polls).await.is_none());
            let listed = children(&sessions, &parent).await.contains(&name);
            assert_eq!(
                listed,
                is_there(&sessions, &child).await,
                "created with {polls} polls"
            );
        }
        for polls in 0..8 {
            let child = SessionId::parse(&format!("child-{polls}")).unwrap();
            let name = child.to_string();
            sessions
                .create(
                    &child,
                    user.clone(),
                    Creation::default(),
                    Some(parent.clone()),
                    true,
                    None,
                )
                .await
                .unwrap();
            unfinished[1] += usize::from(
                broken_off(sessions.delete(&child, None), polls)
                    .await
                    .is_none(),
            );
            let listed = children(&sessions, &parent).await.contains(&name);
            assert_eq!(
                listed,
                is_there(&sessions, &child).await,
                "deleted with {polls} polls"
            );
        }
        assert!(
            unfinished.iter().all(|n| (1..8).contains(n)),
            "{unfinished:?} were dropped"
        );
        let listed = children(&sessions, &parent).await;
        sessions.shutdown().await;
        drop(sessions);
        let again = open(dir.path());
        assert_eq!(children(&again, &parent).await, listed);
        for name in listed {
            assert!(again.exists(&SessionId::parse(&name).unwrap()), "{name}");
        }
        again.shutdown().await;
    });
}

#[test]
fn two_parents_of_each_other_are_made_at_once_and_one_of_its_own_is_no_child() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let [a, b] = ["a", "b"].map(|id| SessionId::parse(id).unwrap());
        let create = |id: &SessionId, parent: &SessionId| {
            let sessions = Arc::clone(&sessions);
            let id = id.clone();
            let parent = parent.clone();
            actix_web::rt::spawn(async move {
                let made = sessions.create(
                    &id,
                    UserId::stored("u"),
                    Creation::default(),
                    Some(parent),
                    true,
                    None,
                );
                made.await.unwrap();
            })
        };
        for _ in 0..20 {
            let both = [create(&a, &b), create(&b, &a)];
            for one in both {
                one.await.unwrap();
            }
        }
        create(&a, &a).await.unwrap();
        assert_eq!(children(&sessions, &a).await, ["b"]);
        assert_eq!(children(&sessions, &b).await, ["a"]);
        sessions.shutdown().await;
    });
}

/// The writer may be gone before the commit. The lists are updated all the same, and immediately.
#[actix_web::test]
async fn the_index_follows_a_commit_and_not_the_one_who_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = open(dir.path());
    let id = SessionId::parse("left").unwrap();
    for (command, is_there, is_completed) in [
        (
            Command::Create {
                user: UserId::stored("u"),
                creation: Creation::default(),
            },
            true,
            false,
        ),
        (Command::Finalize(Map::new()), true, true),
        (Command::Delete, false, false),
    ] {
        {
            let mut request = pin!(sessions.submit(&id, command, None));
            // The session is loaded first, if needed; then the change is appended.
            let before = sessions.store.journal().newest();
            while sessions.store.journal().newest() == before {
                poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_ready())).await;
                tokio::task::yield_now().await;
            }
        }
        let newest = sessions.store.journal().newest();
        let generation = sessions.store.journal().generation();
        assert!(sessions.store.journal().wait_durable(newest, generation));
        let row = sessions.store.index().get(id.as_str());
        assert_eq!(row.is_some(), is_there, "{row:?}");
        assert_eq!(row.is_some_and(|row| row.completed), is_completed);
    }
    sessions.shutdown().await;
}

/// Returns this many lines, each of which adds a goal.
fn goals(lines: usize) -> bytes::Bytes {
    "{\"type\":\"goal_add\",\"data\":{}}\n".repeat(lines).into()
}

async fn act(sessions: &Sessions, id: &SessionId) {
    let action = Command::Action(RecordBody::parse(b"{}").unwrap());
    sessions.submit(id, action, None).await.unwrap();
}

#[test]
fn a_large_batch_holds_up_no_other_session() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let big = SessionId::parse("big").unwrap();
        let other = SessionId::parse("other").unwrap();
        let lines = 20_000;
        // The first round creates the session; in the second it already exists.
        for round in 1..=2 {
            let mut batch = pin!(sessions.submit_batch(&big, (goals(lines), false), None));
            assert!(
                poll_fn(|context| Poll::Ready(batch.as_mut().poll(context).is_pending())).await
            );
            for n in 0..50 {
                act(&sessions, &other).await;
                assert!(
                    sessions.store.journal().newest() < (round * lines) as u64 || n > 0,
                    "the batch was first"
                );
            }
            let answer = batch.await.unwrap();
            assert!(answer.refused.is_empty());
            let read = sessions.read(&big, |view| view.offset).await.unwrap();
            assert!(
                answer
                    .answer
                    .into_stored()
                    .body
                    .ends_with(&format!("],\"offset\":{read}}}")),
                "{read}"
            );
        }
        let held = sessions.read(&big, View::clone).await.unwrap();
        assert_eq!(held.state.goals().len(), 2 * lines);
        sessions.shutdown().await;
        for id in [&big, &other] {
            let faults = session_store::check::session_faults(&sessions.directory(), id).unwrap();
            assert!(
                faults.is_empty(),
                "{:?}",
                faults.first().map(|fault| &fault.what)
            );
        }
        drop(sessions);
        // Rebuilt from the journal alone, the view must match the stored lines.
        for name in ["state.json", "metadata.json"] {
            fs::remove_file(dir.path().join("sessions/big").join(name)).unwrap();
        }
        let sessions = open(dir.path());
        let read = sessions.read(&big, View::clone).await.unwrap();
        assert_eq!(read.state, held.state);
        assert_eq!(read.metadata, held.metadata);
        assert_eq!(read.logs, held.logs);
        assert_eq!(read.offset, held.offset);
        assert_eq!(read.created_offset, held.created_offset);
        assert_eq!(read.keyframe, held.keyframe);
        sessions.shutdown().await;
    });
}

#[test]
#[expect(
    clippy::await_holding_lock,
    reason = "the future is polled once and does not wait for the lock"
)]
fn a_large_batch_that_cannot_be_appended_leaves_the_session_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        act(&sessions, &id).await;
        // Otherwise the maintenance thread may write the documents in between, which empties the
        // view's outbox.
        sessions.store.flush_snapshots(false);
        let before = sessions.read(&id, View::clone).await.unwrap();
        let cell = sessions.store.cache().get(&id);
        let mut batch = pin!(sessions.submit_batch(&id, (goals(2_000), false), None));
        // The batch waits for the session until the journal accepts nothing more.
        let held = cell.slot.lock();
        let begun = poll_fn(|context| Poll::Ready(batch.as_mut().poll(context).is_pending())).await;
        assert!(begun);
        sessions.store.journal().drain();
        drop(held);
        let refused = batch.await.unwrap_err();
        assert_eq!(refused.code, Code::StorageUnavailable);
        assert_eq!(sessions.read(&id, View::clone).await.unwrap(), before);
        sessions.shutdown().await;
    });
}

#[test]
#[expect(
    clippy::await_holding_lock,
    reason = "that somebody else holds it is what is tested"
)]
fn a_request_for_the_session_of_a_large_batch_waits_and_delays_no_other() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        let other = SessionId::parse("other").unwrap();
        act(&sessions, &id).await;
        let cell = sessions.store.cache().get(&id);
        let turn = cell.turn.lock().await;
        let slot = cell.slot.lock();
        let mut reading = pin!(sessions.state(&id));
        let mut writing = pin!(sessions.submit(&id, Command::Reopen, None));
        let creation = Creation {
            initial: Map::from_iter([("input".into(), "x".into())]),
            ..Creation::default()
        };
        let child = SessionId::parse("child").unwrap();
        let user = UserId::stored("u");
        let mut child = pin!(sessions.create(&child, user, creation, Some(id.clone()), true, None));
        poll_fn(|context| {
            assert!(reading.as_mut().poll(context).is_pending());
            assert!(writing.as_mut().poll(context).is_pending());
            assert!(child.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        act(&sessions, &other).await;
        sessions.store.flush_snapshots(false);
        assert!(
            sessions.path_of(&other).join("metadata.json").is_file(),
            "nor are snapshots of others"
        );
        drop(slot);
        drop(turn);
        assert!(reading.await.is_ok() && writing.await.is_ok() && child.await.is_ok());
        sessions.shutdown().await;
    });
}
