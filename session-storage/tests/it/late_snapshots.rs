//! A deletion while the session's snapshots are being written.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::Map;
use session_model::event::Creation;
use session_model::{Command, RecordBody, SessionId, UserId};
use session_store::disk::{Disk, RealDisk};

use crate::failing_disk::open;
use crate::server::PATIENCE;

/// How long a deletion may run in which it must not do something wrong.
const CHANCE: Duration = Duration::from_millis(300);

/// Whether a thread is stopped before or after it replaces a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Before,
    After,
}

#[derive(Default)]
struct Plan {
    /// Where the next thread is stopped.
    stop: Option<(&'static str, At)>,
    stopped: bool,
    syncs: usize,
    failures: Vec<String>,
}

/// A disk that stops the thread which replaces a certain file, until it is released.
#[derive(Default)]
struct StoppingDisk {
    real: RealDisk,
    plan: Mutex<Plan>,
    changed: Condvar,
}

impl StoppingDisk {
    fn pass(&self, path: &Path, at: At) {
        let mut plan = self.plan.lock();
        if plan
            .stop
            .is_some_and(|(name, when)| when == at && path.ends_with(name))
        {
            plan.stop = None;
            plan.stopped = true;
            self.changed.notify_all();
            self.changed
                .wait_while_for(&mut plan, |plan| plan.stopped, PATIENCE);
        }
    }

    /// Waits for a condition until `limit`.
    fn wait(&self, limit: Duration, until: impl Fn(&Plan) -> bool) -> bool {
        !self
            .changed
            .wait_while_for(&mut self.plan.lock(), |plan| !until(plan), limit)
            .timed_out()
    }
}

impl Disk for StoppingDisk {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.real.write_at(file, bytes, at)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.real.sync_data(file)?;
        self.plan.lock().syncs += 1;
        self.changed.notify_all();
        Ok(())
    }

    fn sync_file_system(&self, dir: &File) -> io::Result<()> {
        self.real.sync_file_system(dir)
    }

    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        self.pass(path, At::Before);
        let replaced = self.real.replace(path, bytes, durable);
        if let Err(error) = &replaced {
            self.plan
                .lock()
                .failures
                .push(format!("{}: {error}", path.display()));
        }
        self.pass(path, At::After);
        replaced
    }

    fn free_space(&self, dir: &File) -> io::Result<(u64, u64)> {
        self.real.free_space(dir)
    }
}

async fn off_this_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    actix_web::web::block(run).await.unwrap()
}

async fn deleted_while_it_is_written(stop: (&'static str, At), reborn: bool) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(StoppingDisk::default());
    let sessions = open(dir.path(), &disk);
    let id = SessionId::parse("mother").unwrap();
    let creation = Creation::default();
    sessions
        .submit(
            &id,
            Command::Create {
                user: UserId::stored("u"),
                creation,
            },
            None,
        )
        .await
        .unwrap();
    let finalize = Command::Finalize(Map::from_iter([("of".to_owned(), "the first".into())]));
    sessions.submit(&id, finalize, None).await.unwrap();
    disk.plan.lock().stop = Some(stop);
    let link = Command::LinkChild {
        child: "child".into(),
        present: true,
    };
    sessions.submit(&id, link, None).await.unwrap();
    let waiting = Arc::clone(&disk);
    assert!(
        off_this_thread(move || waiting.wait(PATIENCE, |plan| plan.stopped)).await,
        "it is being written"
    );
    let syncs = disk.plan.lock().syncs;
    let deleting = actix_web::rt::spawn({
        let sessions = Arc::clone(&sessions);
        let id = id.clone();
        async move {
            sessions.delete(&id, None).await.unwrap();
            if reborn {
                let body = RecordBody::parse(b"{}").unwrap();
                sessions
                    .submit(&id, Command::Action(body), None)
                    .await
                    .unwrap();
            }
        }
    });
    let waiting = Arc::clone(&disk);
    let folder = dir.path().join("sessions/mother");
    let there = folder.clone();
    let stayed = off_this_thread(move || {
        assert!(
            waiting.wait(PATIENCE, |plan| plan.syncs > syncs),
            "the deletion is in the journal"
        );
        let end = Instant::now() + CHANCE;
        while there.is_dir() && Instant::now() < end {
            waiting.wait(Duration::from_millis(5), |_| false);
        }
        there.is_dir()
    });
    assert!(stayed.await, "the folder stays until nobody writes in it");
    disk.plan.lock().stopped = false;
    disk.changed.notify_all();
    deleting.await.unwrap();
    sessions.shutdown().await;
    assert_eq!(disk.plan.lock().failures, Vec::<String>::new());
    assert_eq!(
        folder.is_dir(),
        reborn,
        "what was deleted does not come back"
    );
    if reborn {
        assert!(!folder.join("final.json").exists() && !folder.join("subsessions").exists());
    }
}

#[test]
fn a_session_that_is_deleted_while_its_snapshots_are_written_goes_whole_and_for_good() {
    actix_web::rt::System::new().block_on(async {
        for reborn in [false, true] {
            deleted_while_it_is_written(("mother/metadata.json", At::Before), reborn).await;
            deleted_while_it_is_written(("mother/metadata.json", At::After), reborn).await;
        }
    });
}
