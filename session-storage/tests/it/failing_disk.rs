//! A disk that fails on demand: what is not acknowledged, what goes on, what a restart finds.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_model::{Code, Command, RecordBody, SessionId};
use session_storage::live::{Hub, LiveConfig};
use session_storage::sessions::{Sessions, Settings};
use session_storage::store::disk::{Disk, RealDisk};
use session_storage::store::retention::Policy;
use session_storage::store::{Options, SyncPolicy};

use crate::disk::copy_dir;

/// The fault plan: which operations fail from now on.
#[derive(Default)]
struct FaultyDisk {
    real: RealDisk,
    sync: AtomicBool,
    write: AtomicBool,
    /// Only the sessions' logs cannot be written.
    logs: AtomicBool,
}

fn is_log(file: &File) -> bool {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.is_ok_and(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
}

impl Disk for FaultyDisk {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        if self.write.load(Ordering::SeqCst) || (self.logs.load(Ordering::SeqCst) && is_log(file)) {
            // Half of it arrives, as on a disk that fills up.
            self.real.write_at(file, &bytes[..bytes.len() / 2], at)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.real.write_at(file, bytes, at)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
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
        self.real.replace(path, bytes, durable)
    }

    fn free_space(&self, dir: &File) -> io::Result<(u64, u64)> {
        self.real.free_space(dir)
    }
}

/// The sessions of a directory, in this process and on a disk of the test's own.
pub(crate) fn open(path: &Path, disk: &Arc<impl Disk>) -> Arc<Sessions> {
    let store = Options {
        path: path.to_owned(),
        sync: SyncPolicy::Always,
        recent_limit: 10,
        journal_max_bytes: 64 << 20,
    };
    let settings = Settings { store, auto_create: true, retention: Policy::default(), redaction: None };
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
        .map(|answer| answer.body)
        .map_err(|refused| refused.refusal.code)
}

fn stored(path: &Path) -> Vec<u64> {
    let log = std::fs::read_to_string(path.join("sessions/s/actions.jsonl")).unwrap();
    let records: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (record, seq) in records.iter().zip(1..) {
        assert_eq!(record["seq"].as_u64(), Some(seq), "dense");
    }
    records.iter().map(|record| record["n"].as_u64().unwrap()).collect()
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let disk = Arc::new(FaultyDisk::default());
        let sessions = open(dir.path(), &disk);
        append(&sessions, 1).await.unwrap();
        assert!(sessions.checks().await.iter().all(|check| check.fault.is_none()));
        disk.sync.store(true, Ordering::SeqCst);
        assert_eq!(append(&sessions, 2).await, Err(Code::StorageUnavailable));
        disk.sync.store(false, Ordering::SeqCst);
        assert_eq!(append(&sessions, 3).await, Err(Code::StorageUnavailable), "never sync again and hope");
        assert_eq!(sessions.storage_health()["status"], "failed");
        let checks = sessions.checks().await;
        assert!(checks.iter().any(|check| check.name == "journal" && check.fault.is_some()), "{checks:?}");
        assert_eq!(sessions.figures().store.unsynced.get(), 1);
        assert!(sessions.is_alive(), "reads go on");
        let id = SessionId::parse("s").unwrap();
        assert_eq!(sessions.state(&id).await.unwrap().0, 1, "reads go on");
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
            assert!(matches!(answer, Err(Code::StorageFull | Code::StorageUnavailable)), "{answer:?}");
        }
        let id = SessionId::parse("s").unwrap();
        assert_eq!(sessions.state(&id).await.unwrap().0, 1, "reads go on");
        disk.write.store(false, Ordering::SeqCst);
        let answer = append(&sessions, 5).await;
        sessions.shutdown().await;
        drop(sessions);
        let sessions = open(dir.path(), &disk);
        if answer.is_err() {
            // The failed group could not even be erased, which only a restart mends.
            append(&sessions, 5).await.unwrap();
        }
        append(&sessions, 6).await.unwrap();
        sessions.shutdown().await;
    });
    let found = stored(dir.path());
    assert_eq!((found.first(), found.last()), (Some(&1), Some(&6)));
    assert!(found.contains(&5), "{found:?}");
}

#[test]
fn a_commit_whose_logs_cannot_be_written_is_taken_back_from_the_journal_too() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
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
        // As a crash at this moment would leave it.
        copy_dir(dir.path(), copy.path());
        disk.logs.store(false, Ordering::SeqCst);
        append(&sessions, 4).await.unwrap();
        sessions.shutdown().await;
        assert_eq!(stored(dir.path()), [1, 4]);

        let sessions = open(copy.path(), &Arc::new(RealDisk));
        append(&sessions, 5).await.unwrap();
        sessions.shutdown().await;
        assert_eq!(stored(copy.path()), [1, 5], "what was refused does not come back");
    });
}
