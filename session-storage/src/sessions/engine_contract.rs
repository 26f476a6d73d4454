//! What every storage engine promises, tried on each of them: the same requests lead to the same
//! answers, lists, pages and events, also when a commit fails.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use session_model::{Command, LogKind, RecordBody, UserId};
use session_store::blobs::BlobLimits;
use session_store::engine::PageLimit;
use session_store::error::CommitError;
use session_store::keys::KeyLimits;
use session_store::memory::MemoryEngine;
use session_store::{OpenFiles, SyncPolicy, event_number, session_events};

use super::*;
use std::sync::Arc;

use crate::live::Hub;
use crate::live::LiveConfig;
use session_model::SessionId;
use session_store::disk::{Disk, RealDisk};
use session_store::retention::Policy;
use session_store::{Options, Store};

/// A disk that fails the next write to the journal when it is asked to.
#[derive(Default)]
pub(super) struct FailingDisk {
    pub(super) fail: AtomicBool,
}

impl Disk for FailingDisk {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        if self.fail.swap(false, Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealDisk.write_at(file, bytes, at)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        RealDisk.sync_data(file)
    }

    fn sync_file_system(&self, dir: &File) -> io::Result<()> {
        RealDisk.sync_file_system(dir)
    }

    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        RealDisk.replace(path, bytes, durable)
    }

    fn free_space(&self, dir: &File) -> io::Result<(u64, u64)> {
        RealDisk.free_space(dir)
    }
}

fn settings(path: &Path) -> Settings {
    Settings {
        store: Options {
            path: path.to_owned(),
            sync: SyncPolicy::Always,
            recent_limit: 10,
            journal_max_bytes: 64 << 20,
            files: OpenFiles::default(),
            keys: KeyLimits::default(),
        },
        auto_create: true,
        retention: Policy::default(),
        redaction: None,
        prices: Arc::default(),
        redaction_key_required: false,
        blobs: BlobLimits::default(),
    }
}

/// Runs the same history on both engines and returns what each of them showed.
fn on_each_engine(
    run: &impl AsyncFn(&Arc<Sessions>, &dyn Fn()) -> Vec<String>,
) -> [Vec<String>; 2] {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let hub = || Arc::new(Hub::new(LiveConfig::default()));
        let observer = |hub: &Arc<Hub>| Arc::new(feed::Feed::new(Arc::clone(hub)));

        let disk = Arc::new(FailingDisk::default());
        let local_hub = hub();
        let options = settings(dir.path()).store;
        let on_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let store = Store::open(options, on_disk, observer(&local_hub)).unwrap();
        let local = Sessions::on_engine(settings(dir.path()), local_hub, store).unwrap();
        let on_local = run(&local, &|| disk.fail.store(true, Ordering::SeqCst)).await;
        local.shutdown().await;

        let memory_hub = hub();
        let engine = MemoryEngine::start(observer(&memory_hub)).unwrap();
        let failing = Arc::clone(&engine);
        let memory = Sessions::on_engine(settings(dir.path()), memory_hub, engine).unwrap();
        let on_memory = run(&memory, &|| failing.fail_next(CommitError::Full)).await;
        memory.shutdown().await;
        [on_local, on_memory]
    })
}

fn action(json: &'static str) -> Command<'static> {
    Command::Action(RecordBody::parse(json.as_bytes()).unwrap())
}

fn merge(json: &str) -> Command<'static> {
    Command::PatchState(session_model::StatePatch {
        format: session_model::PatchFormat::DeepMerge,
        patch: serde_json::from_str(json).unwrap(),
        if_version: None,
    })
}

async fn answer(sessions: &Sessions, id: &SessionId, command: Command<'_>) -> String {
    match sessions.submit(id, command, None).await {
        Ok(submitted) => {
            let answer = submitted.answer.into_stored();
            format!("{} {}", answer.status, answer.body)
        }
        Err(refused) => format!("refused: {}", refused.code.as_str()),
    }
}

/// Returns a log's page with the times taken out, which differ from run to run.
async fn page(sessions: &Sessions, id: &SessionId, log: LogKind, query: LogQuery) -> String {
    let mut stream = match sessions.log(id, log, query).await {
        Ok(stream) => stream,
        Err(refused) => return format!("refused: {}", refused.code.as_str()),
    };
    let mut bytes = vec![b'['];
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.unwrap().content);
    }
    bytes.push(b']');
    let mut records: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    for record in &mut records {
        let record = record.as_object_mut().unwrap();
        record.retain(|key, _| !matches!(key.as_str(), "timestamp" | "$crc" | "$at"));
    }
    serde_json::to_string(&records).unwrap()
}

/// Returns the kind of each event of a page of JSON events.
fn kinds(events: &[(u64, bytes::Bytes)]) -> String {
    let kind = |json: &[u8]| {
        let event: serde_json::Value = serde_json::from_slice(json).unwrap();
        event["type"].as_str().unwrap().to_owned()
    };
    let shown: Vec<String> = events
        .iter()
        .map(|(offset, json)| format!("{offset} {}", kind(json)))
        .collect();
    shown.join(", ")
}

#[test]
fn each_engine_gives_the_same_answers_pages_states_and_events() {
    let [local, memory] = on_each_engine(&async |sessions: &Arc<Sessions>, fail: &dyn Fn()| {
        let id = SessionId::parse("s").unwrap();
        let other = SessionId::parse("other").unwrap();
        let mut shown = Vec::new();
        let create = Command::Create {
            user: UserId::stored("u"),
            creation: session_model::event::Creation::default(),
        };
        shown.push(answer(sessions, &id, create).await);
        for _ in 0..3 {
            shown.push(answer(sessions, &id, action(r#"{"type":"step","n":1}"#)).await);
        }
        shown.push(answer(sessions, &other, action(r#"{"type":"first"}"#)).await);
        shown.push(answer(sessions, &id, merge(r#"{"context":{"a":1}}"#)).await);
        shown.push(answer(sessions, &id, merge(r#"{"context":{"a":2}}"#)).await);

        // A commit that fails stores nothing, and its numbers are used again.
        fail();
        shown.push(answer(sessions, &id, action(r#"{"type":"lost"}"#)).await);
        shown.push(answer(sessions, &id, action(r#"{"type":"stored"}"#)).await);

        for query in [
            LogQuery::default(),
            LogQuery {
                after: Some(1),
                limit: Some(2),
                ..LogQuery::default()
            },
            LogQuery {
                descending: true,
                types: vec!["stored".to_owned()],
                ..LogQuery::default()
            },
        ] {
            shown.push(page(sessions, &id, LogKind::Actions, query).await);
        }
        for version in 1..=4 {
            let state = sessions.state_at(&id, version).await.map(|state| {
                let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
                state["context"].to_string()
            });
            shown.push(format!("{version}: {:?}", state.map_err(|e| e.code)));
        }

        let engine = &*sessions.engine;
        let durable = engine.journal().durable();
        let limit = PageLimit {
            events: 100,
            bytes: 1 << 20,
        };
        let all = engine.events(0, durable, limit, &|_| true).unwrap();
        shown.push(kinds(&all.events));
        let part = engine
            .events(2, 5, limit, &|entry| entry.session == id)
            .unwrap();
        shown.push(format!("{} up to {}", kinds(&part.events), part.next));
        let of_session = session_events::page(engine, &id, 0, durable, limit).unwrap();
        shown.push(kinds(&of_session.events));
        for number in [0, 2, -1] {
            let found = event_number::find(engine, &id, number, durable).unwrap();
            shown.push(format!("{found:?}"));
        }
        shown.push(format!("{:?}", engine.index().counts()));

        // A key is stored once, also after a commit that fails and when the view is read again.
        for body in [
            r#"{"key":"a"}"#,
            r#"{"key":"a","n":2}"#,
            r#"{"type":"amend","of":"a","x":1}"#,
        ] {
            shown.push(answer(sessions, &id, action(body)).await);
        }
        fail();
        shown.push(answer(sessions, &id, action(r#"{"key":"b"}"#)).await);
        shown.push(answer(sessions, &id, action(r#"{"key":"b"}"#)).await);
        *engine.cache().get(&id).slot.lock() = session_store::engine::CachedSession::Unloaded;
        for body in [r#"{"key":"a"}"#, r#"{"key":"b"}"#, r#"{"key":"c"}"#] {
            shown.push(answer(sessions, &id, action(body)).await);
        }
        for (key, fold) in [(Some("b"), false), (Some("none"), false), (None, true)] {
            let query = LogQuery {
                key: key.map(str::to_owned),
                fold,
                ..LogQuery::default()
            };
            shown.push(page(sessions, &id, LogKind::Actions, query).await);
        }

        // A view that is read again is the one that was written.
        *engine.cache().get(&id).slot.lock() = session_store::engine::CachedSession::Unloaded;
        shown.push(answer(sessions, &id, action(r#"{"type":"later"}"#)).await);
        let (version, _) = sessions.state(&id).await.unwrap();
        shown.push(version.to_string());

        // A deletion that fails leaves the session as it was; one that succeeds frees its id.
        fail();
        shown.push(answer(sessions, &id, Command::Delete).await);
        shown.push(answer(sessions, &id, action(r#"{"type":"still there"}"#)).await);
        shown.push(answer(sessions, &id, Command::Delete).await);
        shown.push(page(sessions, &id, LogKind::Actions, LogQuery::default()).await);
        shown.push(answer(sessions, &id, action(r#"{"type":"anew"}"#)).await);
        shown.push(page(sessions, &id, LogKind::Actions, LogQuery::default()).await);
        shown
    });
    for (on_local, in_memory) in local.iter().zip(&memory) {
        assert_eq!(on_local, in_memory);
    }
    assert_eq!(local.len(), memory.len());
    let refused: Vec<_> = local
        .iter()
        .filter(|shown| shown.starts_with("refused"))
        .collect();
    assert_eq!(
        refused,
        [
            "refused: storage_full",
            "refused: storage_full",
            "refused: storage_full",
            "refused: session_not_found"
        ]
    );
    let repeats = local.iter().filter(|shown| shown.contains("duplicate"));
    assert_eq!(repeats.count(), 3);
}
