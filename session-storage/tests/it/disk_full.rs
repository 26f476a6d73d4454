//! A disk of two megabytes that fills up and then gets free space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::client::{producer, seqs, texts};
use crate::server::{Setup, TestServer, eventually};

/// A temporary tmpfs mount, unmounted on drop.
pub(crate) struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn mount(size: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("small-disk-")
            .tempdir()
            .unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path());
        let done = mount.output().expect("the `mount` command is there");
        let why = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success(),
            "this test needs to mount a tmpfs (root, or CAP_SYS_ADMIN): {why}"
        );
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file that leaves only this many bytes free.
    pub(crate) fn fill_but(&self, left: usize) -> PathBuf {
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        let free = (stat.f_bavail * stat.f_frsize) as usize;
        self.fill(free.saturating_sub(left))
    }

    /// Writes a file of this size and returns its path.
    fn fill(&self, bytes: usize) -> PathBuf {
        let filler = self.path().join("filler");
        fs::write(&filler, vec![7; bytes]).unwrap();
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.dir.path())
            .output();
    }
}

/// Writes until the disk is full; returns the marks of the acknowledged records.
async fn write_until_full(server: &TestServer, name: &str) -> Vec<String> {
    let mut kept = Vec::new();
    for n in 0..20_000 {
        let mark = format!("{name}-{n}");
        let reply = server
            .post(
                "/api/actions/s",
                json!({"mark": mark, "pad": "x".repeat(2000)}),
            )
            .await;
        if reply.status != 200 {
            reply.refused(507, "storage_full");
            return kept;
        }
        kept.push(mark);
    }
    panic!("20,000 records of 2 kB went onto a disk of 2 MB");
}

async fn assert_kept(server: &TestServer, kept: &[String]) {
    let records = server.actions("s", "").await;
    assert_eq!(
        seqs(&records),
        (1..=records.len() as u64).collect::<Vec<_>>()
    );
    assert_eq!(
        texts(&records, "mark"),
        kept,
        "exactly what was acknowledged, in order"
    );
}

#[tokio::test]
async fn a_full_disk_is_reported_and_reads_continue_and_writes_resume_once_there_is_space() {
    let disk = SmallDisk::mount("2m");
    let filler = disk.fill(700 * 1024);
    let server = Setup::on(disk.path().join("vault-of-the-service"))
        .allow("full")
        .allow("space")
        .start();
    server.create("s", "u").await;
    let mut kept = write_until_full(&server, "first").await;
    assert!(!kept.is_empty());
    assert_kept(&server, &kept).await;
    for n in 0..20 {
        let mark = format!("second-{n}");
        let reply = server
            .post(
                "/api/actions/s",
                json!({"mark": mark, "pad": "x".repeat(4000)}),
            )
            .await;
        match reply.status {
            // The service may have freed space itself: the journal shrinks at a checkpoint.
            200 => kept.push(mark),
            _ => drop(reply.refused(507, "storage_full")),
        }
        server.get("/health").await.ok();
        assert_eq!(server.state("s").await["version"], 1);
    }
    assert_kept(&server, &kept).await;
    assert!(
        server
            .get("/metrics")
            .await
            .text
            .contains("commit_failures_total{reason=\"full\"} ")
    );
    fs::remove_file(filler).unwrap();
    let server_ref = &server;
    eventually("writes go on", async || {
        let reply = server_ref
            .post("/api/actions/s", json!({"mark": "room"}))
            .await;
        assert!([200, 507].contains(&reply.status), "{reply:?}");
        (reply.status == 200).then_some(())
    })
    .await;
    kept.push("room".into());
    assert_kept(&server, &kept).await;
    let server = server.crash();
    assert_kept(&server, &kept).await;
    server.action("s", json!({"mark": "after"})).await;
    kept.push("after".into());
    let server = server.restart();
    assert_kept(&server, &kept).await;
}

#[tokio::test]
async fn a_service_that_is_killed_on_a_full_disk_starts_on_it_and_has_everything() {
    let disk = SmallDisk::mount("2m");
    let filler = disk.fill(500 * 1024);
    let setup = Setup::on(disk.path().join("vault-of-the-service"))
        .allow("full")
        .allow("space")
        .allow("torn");
    let server = setup.start();
    server.create("s", "u").await;
    let mut kept = write_until_full(&server, "first").await;
    let server = server.crash();
    assert_kept(&server, &kept).await;
    fs::remove_file(filler).unwrap();
    let server = server.crash();
    assert_kept(&server, &kept).await;
    server.action("s", json!({"mark": "after"})).await;
    kept.push("after".into());
    assert_kept(&server, &kept).await;
}

#[tokio::test]
async fn a_producer_refused_by_a_full_disk_succeeds_once_there_is_space() {
    let disk = SmallDisk::mount("2m");
    let filler = disk.fill(600 * 1024);
    let server = Setup::on(disk.path().join("vault-of-the-service"))
        .allow("full")
        .allow("space")
        .start();
    let mut seq = 0;
    let mut refused = false;
    let mut filler = Some(filler);
    while seq < 40 || !refused {
        let lines = [
            json!({"type": "action", "data": {"mark": seq.to_string(), "pad": "x".repeat(20_000)}}),
        ];
        let reply = server.batch("s", &producer("p", 0, seq), &lines).await;
        if reply.status == 200 {
            seq += 1;
        } else {
            reply.refused(507, "storage_full");
            refused = true;
            match filler.take() {
                Some(file) => fs::remove_file(file).unwrap(),
                None => break,
            }
        }
        assert!(seq < 2000, "the disk does not fill");
    }
    let server = server.crash();
    let records = server.actions("s", "").await;
    let expected: Vec<String> = (0..seq).map(|n| n.to_string()).collect();
    assert_eq!(texts(&records, "mark"), expected);
}
