//! A disk that fails on demand: what is not acknowledged, what continues to work, and what a
//! restart finds.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use futures_util::{StreamExt as _, poll};
use memchr::memmem;
use session_model::event::Creation;
use session_model::producer::ProducerNumbers;
use session_model::{Code, Command, LogKind, RecordBody, SessionId, UserId};
use session_storage::live::{Hub, LiveConfig};
use session_storage::sessions::{ByteStream, ExportQuery, LogQuery, Sessions, Settings, Submitted};
use session_store::blobs::BlobLimits;
use session_store::disk::{Disk, RealDisk};
use session_store::keys::KeyLimits;
use session_store::retention::Policy;
use session_store::{OpenFiles, Options, SyncPolicy};

use crate::disk::{self, copy_dir};
use crate::server::eventually;

/// A disk with a fault plan: the operations that fail from now on.
pub(crate) struct FaultyDisk {
    real: RealDisk,
    sync: AtomicBool,
    write: AtomicBool,
    /// How many commits can still be written.
    pub(crate) commits: AtomicU32,
    /// Whether only the sessions' logs cannot be written.
    logs: AtomicBool,
    /// The error of failed writes.
    kind: Mutex<io::ErrorKind>,
    /// Whether the disk reports no free space.
    full: AtomicBool,
    /// Whether no `metadata.json` can be replaced.
    metadata: AtomicBool,
    /// The size of the file system, if it is not the real one.
    size: Option<u64>,
    /// Whether syncs block.
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self {
            real: RealDisk,
            sync: AtomicBool::default(),
            write: AtomicBool::default(),
            commits: AtomicU32::new(u32::MAX),
            logs: AtomicBool::default(),
            kind: Mutex::new(io::ErrorKind::StorageFull),
            full: AtomicBool::default(),
            metadata: AtomicBool::default(),
            size: None,
            closed: Mutex::default(),
            opened: Condvar::default(),
        }
    }
}

impl FaultyDisk {
    /// Makes syncs block, or unblocks them.
    fn close(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }
}

fn is_log(file: &File) -> bool {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.is_ok_and(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    })
}

impl Disk for FaultyDisk {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        let left = |commits: u32| commits.checked_sub(1);
        // A shorter write erases a commit.
        let is_commit = bytes.len() > 32 && !is_log(file);
        let is_over = is_commit
            && self.commits.load(Ordering::SeqCst) < u32::MAX
            && self
                .commits
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
                .is_err();
        if is_over
            || self.write.load(Ordering::SeqCst)
            || (self.logs.load(Ordering::SeqCst) && is_log(file))
        {
            // Writes half of the data, like a disk that fills up.
            self.real.write_at(file, &bytes[..bytes.len() / 2], at)?;
            return Err((*self.kind.lock().unwrap()).into());
        }
        self.real.write_at(file, bytes, at)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        drop(
            self.opened
                .wait_while(self.closed.lock().unwrap(), |closed| *closed)
                .unwrap(),
        );
        if self.sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the plan says no"));
        }
        self.real.sync_data(file)
    }

    fn sync_file_system(&self, dir: &File) -> io::Result<()> {
        if self.sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the plan says no"));
        }
        self.real.sync_file_system(dir)
    }

    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        if self.metadata.load(Ordering::SeqCst) && path.ends_with("metadata.json") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.real.replace(path, bytes, durable)
    }

    fn free_space(&self, dir: &File) -> io::Result<(u64, u64)> {
        let (free, size) = self.real.free_space(dir)?;
        let free = if self.full.load(Ordering::SeqCst) {
            0
        } else {
            free
        };
        Ok((free, self.size.unwrap_or(size)))
    }
}

/// Opens the sessions of a directory in this process, on the test's own disk.
pub(crate) fn open(path: &Path, disk: &Arc<impl Disk>) -> Arc<Sessions> {
    open_with(path, disk, SyncPolicy::Always)
}

fn open_with(path: &Path, disk: &Arc<impl Disk>, sync: SyncPolicy) -> Arc<Sessions> {
    let store = Options {
        path: path.to_owned(),
        sync,
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
    Sessions::open_on(settings, hub, Arc::clone(disk) as Arc<dyn Disk>).unwrap()
}

async fn append(sessions: &Sessions, n: u64) -> Result<String, Code> {
    let body = format!("{{\"n\":{n}}}");
    let command = Command::Action(RecordBody::parse(body.as_bytes()).unwrap());
    let id = SessionId::parse("s").unwrap();
    sessions
        .submit(&id, command, None)
        .await
        .map(|submitted| body_of(&submitted))
        .map_err(|refused| refused.code)
}

pub(crate) fn stored(path: &Path) -> Vec<u64> {
    let log = std::fs::read_to_string(path.join("sessions/s/actions.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (record, seq) in records.iter().zip(1..) {
        assert_eq!(record["seq"].as_u64(), Some(seq), "dense");
    }
    records
        .iter()
        .map(|record| record["n"].as_u64().unwrap())
        .collect()
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        append(&sessions, 1).await.unwrap();
        assert!(
            sessions
                .checks()
                .await
                .iter()
                .all(|check| check.fault.is_none())
        );
        disk.sync.store(true, Ordering::SeqCst);
        assert_eq!(append(&sessions, 2).await, Err(Code::StorageUnavailable));
        disk.sync.store(false, Ordering::SeqCst);
        assert_eq!(
            append(&sessions, 3).await,
            Err(Code::StorageUnavailable),
            "never sync again and hope"
        );
        assert!(sessions.storage_health().has_failed);
        let checks = sessions.checks().await;
        assert!(
            checks
                .iter()
                .any(|check| check.name == "journal" && check.fault.is_some()),
            "{checks:?}"
        );
        assert_eq!(sessions.metrics().store.unsynced.get(), 1);
        assert!(sessions.is_alive(), "reads go on");
        let id = SessionId::parse("s").unwrap();
        assert_eq!(sessions.state(&id).await.unwrap().0, 1, "reads go on");
        let unknown = SessionId::parse("unknown").unwrap();
        let deleted = sessions.delete(&unknown, None).await;
        assert_eq!(
            deleted.map_err(|refusal| refusal.code).err(),
            Some(Code::StorageUnavailable),
            "a write that is in doubt may have made it"
        );
        sessions.shutdown().await;
        drop(sessions);
        let sessions = open(dir.path(), &disk);
        append(&sessions, 4).await.unwrap();
        sessions.shutdown().await;
    });
    let found = stored(dir.path());
    assert!(
        found == [1, 4] || found == [1, 2, 4],
        "what was acknowledged, and at most what was in doubt: {found:?}"
    );
}

#[test]
fn a_write_that_fails_leaves_nothing_behind_and_the_next_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        append(&sessions, 1).await.unwrap();
        disk.write.store(true, Ordering::SeqCst);
        for n in 2..5 {
            let answer = append(&sessions, n).await;
            assert!(
                matches!(answer, Err(Code::StorageFull | Code::StorageUnavailable)),
                "{answer:?}"
            );
        }
        let id = SessionId::parse("s").unwrap();
        assert_eq!(sessions.state(&id).await.unwrap().0, 1, "reads go on");
        disk.write.store(false, Ordering::SeqCst);
        let answer = append(&sessions, 5).await;
        sessions.shutdown().await;
        drop(sessions);
        let sessions = open(dir.path(), &disk);
        if answer.is_err() {
            // The failed group could not even be erased; only a restart repairs that.
            append(&sessions, 5).await.unwrap();
        }
        append(&sessions, 6).await.unwrap();
        sessions.shutdown().await;
    });
    let found = stored(dir.path());
    assert_eq!(found.first(), Some(&1));
    assert_eq!(found.last(), Some(&6));
    assert!(found.contains(&5), "{found:?}");
}

#[test]
fn a_commit_whose_logs_cannot_be_written_is_taken_back_from_the_journal_too() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        append(&sessions, 1).await.unwrap();
        disk.logs.store(true, Ordering::SeqCst);
        for n in 2..4 {
            assert_eq!(append(&sessions, n).await, Err(Code::StorageFull));
            let id = SessionId::parse("s").unwrap();
            assert_eq!(sessions.state(&id).await.unwrap().0, 1, "reads go on");
            assert_eq!(stored(dir.path()), [1], "not half a line is left");
        }
        // Copies the directory as a crash at this moment would leave it.
        copy_dir(dir.path(), copy.path());
        disk.logs.store(false, Ordering::SeqCst);
        append(&sessions, 4).await.unwrap();
        sessions.shutdown().await;
        assert_eq!(stored(dir.path()), [1, 4]);

        let sessions = open(copy.path(), &Arc::new(RealDisk));
        append(&sessions, 5).await.unwrap();
        sessions.shutdown().await;
        assert_eq!(
            stored(copy.path()),
            [1, 5],
            "what was refused does not come back"
        );
    });
}

pub(crate) fn id(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

fn action() -> Command<'static> {
    Command::Action(RecordBody::parse(b"{}").unwrap())
}

pub(crate) fn numbers(seq: u64) -> ProducerNumbers {
    ProducerNumbers {
        id: "p".into(),
        epoch: 0,
        seq,
    }
}

#[test]
fn a_session_whose_creation_was_refused_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        for fault in [&disk.full, &disk.logs] {
            fault.store(true, Ordering::SeqCst);
            assert_eq!(append(&sessions, 1).await, Err(Code::StorageFull));
            fault.store(false, Ordering::SeqCst);
            assert!(!dir.path().join("sessions/s").exists());
            assert!(!sessions.storage_health().has_failed);
            // By the time all snapshots are written, any delayed effect has happened too.
            let sessions = &sessions;
            eventually("all snapshots are written", async || {
                (sessions.metrics().awaiting_snapshots == 0).then_some(())
            })
            .await;
            assert!(!sessions.exists(&id("s")));
            let refused = sessions.state(&id("s")).await.unwrap_err();
            assert_eq!(refused.code, Code::SessionNotFound);
        }
        sessions.shutdown().await;
    });
}

#[test]
fn a_repeat_is_answered_no_sooner_than_what_it_repeats() {
    for fails in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        actix_web::rt::System::new().block_on(async {
            let disk = Arc::new(FaultyDisk::default());
            let sessions = open(dir.path(), &disk);
            append(&sessions, 1).await.unwrap();
            let s = id("s");
            disk.close(true);
            let mut first = pin!(sessions.submit(&s, action(), Some(numbers(0))));
            let mut again = pin!(sessions.submit(&s, action(), Some(numbers(0))));
            let mut done =
                pin!(sessions.submit(&s, Command::Finalize(serde_json::Map::new()), None));
            let mut reopen = pin!(sessions.submit(&s, Command::Reopen, None));
            let mut open_already = pin!(sessions.submit(&s, Command::Reopen, None));
            assert!(poll!(&mut first).is_pending());
            assert!(poll!(&mut again).is_pending(), "nothing is durable yet");
            assert!(poll!(&mut done).is_pending());
            assert!(poll!(&mut reopen).is_pending());
            assert!(
                poll!(&mut open_already).is_pending(),
                "nor is what it finds to be so already"
            );
            disk.sync.store(fails, Ordering::SeqCst);
            disk.close(false);
            let first = first.await;
            let again = again.await;
            let open_already = open_already.await;
            assert_eq!(first.is_err(), fails);
            assert_eq!(open_already.is_err(), fails);
            match (first, again) {
                (Ok(first), Ok(again)) => {
                    assert_eq!(body_of(&first), body_of(&again));
                    assert!(!first.repeated);
                    assert!(again.repeated);
                }
                (first, again) => assert!(first.is_err() && again.is_err()),
            }
            disk.sync.store(false, Ordering::SeqCst);
            sessions.shutdown().await;
        });
    }
}

#[test]
fn a_deletion_that_failed_leaves_the_producers_their_numbers() {
    for reborn in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        actix_web::rt::System::new().block_on(async {
            let disk = Arc::new(FaultyDisk::default());
            let sessions = open(dir.path(), &disk);
            let s = id("s");
            let first = sessions
                .submit(&s, action(), Some(numbers(0)))
                .await
                .unwrap();
            disk.full.store(true, Ordering::SeqCst);
            let mut deletion = pin!(sessions.submit(&s, Command::Delete, None));
            if reborn {
                disk.close(true);
                assert!(poll!(&mut deletion).is_pending());
                let create = Command::Create {
                    user: UserId::stored("u"),
                    creation: Creation::default(),
                };
                let mut creation = pin!(sessions.submit(&s, create, None));
                // Refused together with the deletion or, if that was refused already, because the
                // session belongs to another user.
                let _ = poll!(&mut creation);
                disk.close(false);
                drop(creation.await);
            }
            assert_eq!(deletion.await.unwrap_err().code, Code::StorageFull);
            disk.full.store(false, Ordering::SeqCst);
            let again = sessions
                .submit(&s, action(), Some(numbers(0)))
                .await
                .unwrap();
            assert!(again.repeated);
            assert_eq!(body_of(&again), body_of(&first));
            sessions
                .submit(&s, action(), Some(numbers(1)))
                .await
                .unwrap();
            sessions.shutdown().await;
        });
        let log = disk::lines(&dir.path().join("sessions/s/actions.jsonl"));
        assert_eq!(log.len(), 2, "{reborn} {log:?}");
    }
}

#[test]
fn a_final_document_that_is_newer_than_the_metadata_is_not_taken_for_an_earlier_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sessions/s");
    let outcome = |text: &str| {
        Command::Finalize(serde_json::Map::from_iter([(
            "outcome".to_owned(),
            text.into(),
        )]))
    };
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        sessions
            .submit(&id("s"), outcome("one"), None)
            .await
            .unwrap();
        eventually("the first is written", async || {
            folder.join("final.json").exists().then_some(())
        })
        .await;
        eventually("all of it", async || {
            (sessions.metrics().awaiting_snapshots == 0).then_some(())
        })
        .await;
        disk.metadata.store(true, Ordering::SeqCst);
        sessions
            .submit(&id("s"), outcome("two"), None)
            .await
            .unwrap();
        eventually("the second is written", async || {
            (disk::json(&folder.join("final.json"))["outcome"] == "two").then_some(())
        })
        .await;
        disk.full.store(true, Ordering::SeqCst);
        assert_eq!(
            append(&sessions, 1).await,
            Err(Code::StorageFull),
            "so that the session is read again"
        );
        assert_eq!(sessions.state(&id("s")).await.unwrap().0, 1);
        disk.full.store(false, Ordering::SeqCst);
        disk.metadata.store(false, Ordering::SeqCst);
        append(&sessions, 2).await.unwrap();
        sessions.shutdown().await;
    });
    assert_eq!(disk::json(&folder.join("final.json"))["outcome"], "two");
    assert_eq!(disk::json(&folder.join("final-1.json"))["outcome"], "one");
    assert!(!folder.join("final-2.json").exists());
}

#[test]
fn a_sync_that_fails_where_a_segment_ends_is_a_failed_sync() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk {
            size: Some(1 << 20),
            ..FaultyDisk::default()
        });
        let sessions = open_with(dir.path(), &disk, SyncPolicy::Never);
        append(&sessions, 1).await.unwrap();
        disk.sync.store(true, Ordering::SeqCst);
        let pad = format!("{{\"pad\":\"{}\"}}", "x".repeat(8000));
        let mut refused = None;
        for _ in 0..100 {
            let command = Command::Action(RecordBody::parse(pad.as_bytes()).unwrap());
            if let Err(error) = sessions.submit(&id("s"), command, None).await {
                refused = Some(error.code);
                break;
            }
        }
        assert_eq!(refused, Some(Code::StorageUnavailable));
        assert!(sessions.storage_health().has_failed);
        sessions.shutdown().await;
    });
}

#[test]
fn an_old_log_without_a_newline_keeps_its_last_record_when_a_write_fails_first() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sessions/s");
    std::fs::create_dir_all(&folder).unwrap();
    let metadata =
        serde_json::json!({"sessionId": "s", "userId": "u", "created": "2024-01-01T00:00:00.000Z"});
    std::fs::write(folder.join("metadata.json"), metadata.to_string()).unwrap();
    std::fs::write(folder.join("state.json"), r#"{"version":1}"#).unwrap();
    std::fs::write(folder.join("actions.jsonl"), r#"{"seq":1,"n":0}"#).unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        disk.full.store(true, Ordering::SeqCst);
        assert_eq!(append(&sessions, 1).await, Err(Code::StorageFull));
        disk.full.store(false, Ordering::SeqCst);
        append(&sessions, 2).await.unwrap();
        sessions.shutdown().await;
    });
    assert_eq!(stored(dir.path()), [0, 2]);
}

#[test]
fn what_only_the_journal_has_is_read_while_the_log_cannot_be_written() {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    for (kind, code) in [
        (StorageFull, Code::StorageFull),
        (QuotaExceeded, Code::StorageFull),
        (ReadOnlyFilesystem, Code::StorageUnavailable),
        (PermissionDenied, Code::StorageUnavailable),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sessions/s/actions.jsonl");
        actix_web::rt::System::new().block_on(async {
            let disk = Arc::new(FaultyDisk {
                kind: Mutex::new(kind),
                ..FaultyDisk::default()
            });
            let mut sessions = open(dir.path(), &disk);
            for n in 0..4 {
                append(&sessions, n).await.unwrap();
            }
            for restarts in [false, true] {
                let whole = read_log(&sessions).await;
                let bytes = std::fs::read(&log).unwrap();
                // Truncates in the middle of the third line.
                let cut = || std::fs::write(&log, &bytes[..bytes.len() / 8 * 5]).unwrap();
                if restarts {
                    sessions.shutdown().await;
                    drop(sessions);
                    cut();
                    disk.logs.store(true, Ordering::SeqCst);
                    sessions = open(dir.path(), &disk);
                } else {
                    cut();
                    disk.logs.store(true, Ordering::SeqCst);
                }
                for _ in 0..2 {
                    assert_eq!(read_log(&sessions).await, whole, "{kind}, {restarts}");
                }
                let query = ExportQuery {
                    ids: std::iter::once(id("s")).collect(),
                    user: None,
                };
                let export = whole_copy(sessions.export(&query).unwrap()).await;
                assert!(
                    memmem::find(&export, &bytes).is_some(),
                    "export: {kind}, {restarts}"
                );
                // Before the first snapshot, a backup has all lines in its part of the journal.
                let backup = whole_copy(sessions.backup().unwrap()).await;
                let found = memmem::find(&backup, &bytes);
                assert!(found.is_some() || !restarts, "backup: {kind}, {restarts}");
                assert_eq!(append(&sessions, 9).await, Err(code), "{kind}, {restarts}");
                disk.logs.store(false, Ordering::SeqCst);
                assert_eq!(read_log(&sessions).await, whole, "{kind}, {restarts}");
                assert_eq!(std::fs::read(&log).unwrap(), bytes, "it is whole again");
            }
            append(&sessions, 4).await.unwrap();
            sessions.shutdown().await;
        });
        assert_eq!(stored(dir.path()), [0, 1, 2, 3, 4]);
    }
}

fn body_of(submitted: &Submitted) -> String {
    submitted.answer.to_stored().body
}

async fn whole_copy(copy: ByteStream) -> Vec<u8> {
    let pieces: Vec<_> = copy.map(|piece| piece.unwrap()).collect().await;
    pieces.concat()
}

async fn read_log(sessions: &Sessions) -> String {
    let stream = sessions
        .log(&id("s"), LogKind::Actions, LogQuery::default())
        .await
        .unwrap();
    let pieces: Vec<_> = stream.map(|piece| piece.unwrap().content).collect().await;
    String::from_utf8(pieces.concat()).unwrap()
}
