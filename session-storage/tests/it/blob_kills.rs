//! Kills while blobs are stored: no half blob ever has a name, and no acknowledged one is lost.
//!
//! `TORTURE_ROUNDS` sets the number of kills (default 6), and `TORTURE_SEED` repeats a run.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::blobs::{hash, path};
use crate::disk::files_below;
use crate::recovery::{Dice, number_from_env};
use crate::server::{Setup, TestServer, eventually};

/// How many uploads are in progress at a time.
const UPLOADERS: u64 = 4;
const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

/// A blob that the service has acknowledged: its path, and the hash of what it serves.
type Acknowledged = Arc<Mutex<Vec<(String, String)>>>;

/// Random bytes; a third of them are text with a secret in it.
fn content(dice: &mut Dice) -> (&'static str, Vec<u8>) {
    let length = dice.below(200_000) as usize;
    if dice.below(3) == 0 {
        let text = format!("{} {TOKEN}\n", dice.below(u64::MAX));
        return ("text/plain", text.repeat(1 + length / 400).into_bytes());
    }
    let word = dice.below(u64::MAX).to_le_bytes();
    let bytes = word.iter().copied().cycle().take(length).collect();
    ("image/png", bytes)
}

/// Sends blobs until a request fails because the service was killed.
async fn upload(http: reqwest::Client, base: String, mut dice: Dice, acknowledged: Acknowledged) {
    loop {
        let (media, bytes) = content(&mut dice);
        let path = path(&format!("s{}", dice.below(3)), &hash(&bytes));
        let request = http.put(format!("{base}{path}"));
        let sent = request.header("Content-Type", media).body(bytes).send();
        let Ok(answer) = sent.await else { return };
        let status = answer.status();
        let Ok(stored) = answer.json::<Value>().await else {
            return;
        };
        assert_eq!(status, 200, "{stored}");
        let name = stored["blob"]["$blob"].as_str().unwrap();
        let name = stored["storedAs"]
            .as_str()
            .unwrap_or(&name["sha256:".len()..]);
        acknowledged.lock().unwrap().push((path, name.to_owned()));
    }
}

/// Checks every file of a blob in the directory of a service that is not running.
fn check_files(setup: &Setup) {
    for file in files_below(&setup.storage().join("sessions")) {
        if !file.components().any(|part| part.as_os_str() == "blobs") {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        if file.extension().is_some() {
            let sidecar: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(sidecar["bytes"].is_u64(), "{}", file.display());
            continue;
        }
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(hash(&bytes), name, "a half blob has a name");
        assert!(file.with_extension("json").exists(), "{name} has a sidecar");
        assert!(memchr::memmem::find(&bytes, TOKEN.as_bytes()).is_none());
    }
}

async fn check_served(server: &TestServer, acknowledged: &Acknowledged) {
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (path, name) in acknowledged {
        let answer = server.http.get(server.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path} was acknowledged");
        assert_eq!(hash(&answer.bytes().await.unwrap()), name, "{path}");
    }
}

#[tokio::test]
async fn no_kill_leaves_half_a_blob_or_loses_one_that_was_acknowledged() {
    let kills = number_from_env("TORTURE_ROUNDS").unwrap_or(6);
    let mut dice = Dice::new();
    let acknowledged = Acknowledged::default();
    let mut total = 0;
    let mut setup = Setup::new();
    for _ in 0..kills {
        let server = setup.start();
        assert!(
            fs::read_dir(server.storage().join(".uploads")).is_err(),
            "what was cut off before is gone"
        );
        check_served(&server, &acknowledged).await;
        total += acknowledged.lock().unwrap().drain(..).count();
        let uploaders: Vec<_> = (0..UPLOADERS)
            .map(|_| {
                let own = Dice::from(dice.below(u64::MAX));
                let base = server.url("");
                let acknowledged = Arc::clone(&acknowledged);
                tokio::spawn(upload(server.http.clone(), base, own, acknowledged))
            })
            .collect();
        eventually("a blob is acknowledged", async || {
            (!acknowledged.lock().unwrap().is_empty()).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_micros(dice.below(200_000))).await;
        server.kill_now();
        for uploader in uploaders {
            uploader.await.unwrap();
        }
        setup = server.kill();
        check_files(&setup);
    }
    let server = setup.start();
    check_served(&server, &acknowledged).await;
    total += acknowledged.lock().unwrap().len();
    println!("{kills} kills: {total} blobs acknowledged, none lost, none half");
    assert!(total > 0, "no upload came through");
}
