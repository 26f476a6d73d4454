//! What only the inside can force: a snapshot that is written long after it was taken, a request that is dropped at a
//! certain wait.

use std::collections::BTreeMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use serde_json::Map;
use session_model::event::Birth;
use session_model::producer::ProducerNumbers;
use session_model::{Command, RecordBody, UserId};

use super::*;
use crate::live::LiveConfig;
use crate::store::SyncPolicy;
use crate::store::cells::Slot;
use crate::store::snapshots::{Snapshot, take};

fn open(path: &std::path::Path) -> Arc<Sessions> {
    let path = path.to_owned();
    let store = Options { path, sync: SyncPolicy::Always, recent_limit: 10, journal_max_bytes: 64 << 20 };
    let settings = Settings {
        store,
        auto_create: true,
        retention: Policy::default(),
        redaction: None,
        redaction_key_required: false,
    };
    Sessions::open(settings, Arc::new(Hub::new(LiveConfig::default()))).unwrap()
}

/// Makes a session of which every kind of file has something to say.
async fn fill(sessions: &Sessions, id: &SessionId) {
    let birth = Birth { initial: serde_json::Map::new(), parent: None };
    let producer = ProducerNumbers { id: "p".into(), epoch: 0, seq: 0 };
    sessions.submit(id, Command::Create { user: UserId::stored("u"), birth }, Some(producer)).await.unwrap();
    for outcome in ["one", "two"] {
        let outcome = serde_json::Map::from_iter([("outcome".to_owned(), outcome.into())]);
        sessions.submit(id, Command::Finalize(outcome), None).await.unwrap();
        sessions.submit(id, Command::Reopen, None).await.unwrap();
    }
    let link = Command::LinkChild { child: "child".into(), present: true };
    sessions.submit(id, link, None).await.unwrap();
}

/// A snapshot with every file in it, whatever was written before.
fn snapshot(sessions: &Sessions, id: &SessionId) -> Snapshot {
    let cell = sessions.store.cells.get(id);
    let mut slot = cell.slot.lock();
    let Slot::Loaded(loaded) = &mut *slot else { unreachable!("it is there") };
    **loaded = Loaded::dirty(loaded.view.clone(), loaded.generation);
    drop(slot);
    take(&cell, true).unwrap()
}

fn contents(sessions: &Sessions, id: &SessionId) -> Option<BTreeMap<std::ffi::OsString, Vec<u8>>> {
    let files = fs::read_dir(sessions.path_of(id)).ok()?.map(|entry| entry.unwrap());
    Some(files.map(|file| (file.file_name(), fs::read(file.path()).unwrap_or_default())).collect())
}

/// It could heal what is damaged.
fn lose_the_journal(sessions: &Sessions) {
    for entry in fs::read_dir(sessions.store.layout().journal()).unwrap() {
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
        sessions.submit(&id, Command::Action(body), None).await.unwrap();
        sessions.store.flush_snapshots(true);
        let before = contents(&sessions, &id);
        assert!(before.is_some());
        sessions.store.write_documents(&late).unwrap();
        assert_eq!(contents(&sessions, &id), before, "the one that was born in its place is as it was");
        sessions.shutdown().await;
    });
}

#[test]
fn a_snapshot_of_a_session_that_was_set_aside_brings_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        fill(&sessions, &id).await;
        sessions.store.flush_snapshots(true);
        let late = snapshot(&sessions, &id);
        fs::write(sessions.store.layout().log(&id, session_model::LogKind::Changes), "").unwrap();
        lose_the_journal(&sessions);
        let cell = sessions.store.cells.get(&id);
        *cell.slot.lock() = Slot::Unloaded;
        sessions.store.load(&cell).unwrap_err();
        sessions.store.write_documents(&late).unwrap();
        assert_eq!(contents(&sessions, &id), None);
        sessions.shutdown().await;
    });
}

#[test]
fn one_that_is_born_in_the_place_of_a_session_that_was_set_aside_has_logs_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let sessions = open(dir.path());
        let id = SessionId::parse("s").unwrap();
        fill(&sessions, &id).await;
        let action = || Command::Action(RecordBody::parse(b"{}").unwrap());
        sessions.submit(&id, action(), None).await.unwrap();
        sessions.store.flush_snapshots(true);
        let changes = sessions.store.layout().log(&id, session_model::LogKind::Changes);
        // Cut off in its place: the file that the writer has open is this one.
        fs::write(&changes, "").unwrap();
        lose_the_journal(&sessions);
        *sessions.store.cells.get(&id).slot.lock() = Slot::Unloaded;
        sessions.store.load(&sessions.store.cells.get(&id)).unwrap_err();
        sessions.submit(&id, action(), None).await.unwrap();
        let actions = sessions.store.layout().log(&id, session_model::LogKind::Actions);
        let found = fs::read_to_string(&actions).unwrap();
        assert_eq!(found.lines().count(), 1, "{found}");
        assert!(changes.is_file());
        sessions.shutdown().await;
    });
}

/// Drops a future that is still not ready after so many polls.
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
        .read(parent, |view| view.metadata.texts("subsessions").map(str::to_owned).collect())
        .await
        .unwrap()
}

/// Whether there is a session, by its files and not by the index.
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
        sessions.create(&parent, user.clone(), Map::new(), None, true, None).await.unwrap();
        let mut unfinished = [0, 0];
        for polls in 0..8 {
            let child = SessionId::parse(&format!("child-{polls}")).unwrap();
            let name = child.to_string();
            let created = sessions.create(&child, user.clone(), Map::new(), Some(parent.clone()), true, None);
            unfinished[0] += usize::from(broken_off(created, polls).await.is_none());
            let listed = children(&sessions, &parent).await.contains(&name);
            assert_eq!(listed, is_there(&sessions, &child).await, "created with {polls} polls");
        }
        for polls in 0..8 {
            let child = SessionId::parse(&format!("child-{polls}")).unwrap();
            let name = child.to_string();
            sessions
                .create(&child, user.clone(), Map::new(), Some(parent.clone()), true, None)
                .await
                .unwrap();
            unfinished[1] += usize::from(broken_off(sessions.delete(&child, None), polls).await.is_none());
            let listed = children(&sessions, &parent).await.contains(&name);
            assert_eq!(listed, is_there(&sessions, &child).await, "deleted with {polls} polls");
        }
        assert!(unfinished.iter().all(|n| (1..8).contains(n)), "{unfinished:?} were dropped");
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
            let (sessions, id, parent) = (Arc::clone(&sessions), id.clone(), parent.clone());
            actix_web::rt::spawn(async move {
                let made = sessions.create(&id, UserId::stored("u"), Map::new(), Some(parent), true, None);
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
        assert_eq!(
            (children(&sessions, &a).await, children(&sessions, &b).await),
            (vec!["b".into()], vec!["a".into()])
        );
        sessions.shutdown().await;
    });
}
