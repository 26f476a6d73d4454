//! Sequences of faults, kills, full disks and damage, compared with a model of the allowed states.
//!
//! Each campaign is short here and long in `scripts/torture.sh`, which sets `TORTURE_ROUNDS`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::disk::{copy_dir, files_below, flip};
use crate::disk_full::SmallDisk;
use crate::model::Model;
use crate::recovery::{Dice, number_from_env};
use crate::server::{ANYTHING, Setup, TestServer};

fn rounds(few: u64) -> u64 {
    number_from_env("TORTURE_ROUNDS").unwrap_or(few)
}

/// Builds the library that makes a file operation fail, once per process.
fn fault_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fault.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let part = folder.join(format!("fault-{}.so", std::process::id()));
        let library = folder.join("libfault.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-w", "-o"])
            .arg(&part)
            .arg(source)
            .arg("-ldl");
        let built = cc
            .output()
            .expect("a C compiler is there, as for the dependencies");
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        fs::rename(part, &library).unwrap();
        library
    })
}

pub(crate) const EIO: i32 = 5;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

/// The operations that fail, each with its error.
const FAULTS: [(&str, i32); 16] = [
    ("open", EMFILE),
    ("open", EIO),
    ("open", ENOSPC),
    ("read", EIO),
    ("write", EIO),
    ("write", ENOSPC),
    ("sync", EIO),
    ("rename", EIO),
    ("rename", ENOSPC),
    ("unlink", EIO),
    ("mkdir", ENOSPC),
    ("mkdir", EIO),
    ("truncate", EIO),
    ("stat", EIO),
    ("stat", EACCES),
    ("readdir", EIO),
];

fn with_fault(setup: &Setup, (op, errno): (&str, i32), nth: u64) -> Setup {
    let mark = setup.outside().join("fault-happened");
    let _ = fs::remove_file(&mark);
    setup
        .clone()
        .env("LD_PRELOAD", fault_library().display())
        .env("FAULT_DIR", setup.storage().display())
        .env("FAULT_MARK", mark.display())
        .env("FAULT_OP", op)
        .env("FAULT_ERRNO", errno)
        .env("FAULT_NTH", nth)
}

/// Makes every operation of a kind fail on files whose path begins with this one.
pub(crate) fn with_faults_on(setup: &Setup, path: &Path, op: &str, errno: i32) -> Setup {
    with_fault(setup, (op, errno), 1)
        .env("FAULT_DIR", path.display())
        .env("FAULT_ALL", 1)
}

/// Returns the file that the fault hit, if it hit one.
pub(crate) fn happened(setup: &Setup) -> Option<String> {
    fs::read_to_string(setup.outside().join("fault-happened")).ok()
}

async fn a_moment(dice: &mut Dice, most: Duration) {
    tokio::time::sleep(Duration::from_micros(dice.below(most.as_micros() as u64))).await;
}

/// Sends requests for a while, then kills the service during a request.
async fn ask_and_kill(model: &mut Model, server: TestServer, dice: &mut Dice) -> Setup {
    for _ in 0..dice.below(6) {
        model.ask(&server, dice, async {}).await;
    }
    let moment = Duration::from_micros(dice.below(4000));
    let kill = async {
        tokio::time::sleep(moment).await;
        server.kill_now();
    };
    let mut own = Dice::from(dice.below(u64::MAX));
    model.ask(&server, &mut own, kill).await;
    server.kill()
}

#[tokio::test]
async fn histories_with_a_fault_and_a_kill_lose_and_hide_nothing() {
    let mut dice = Dice::new();
    let base = Setup::new().allow(ANYTHING);
    let mut model = Model::new(4);
    let rounds = rounds(12);
    let mut met = 0;
    for round in 1..=rounds {
        let fault = FAULTS[dice.below(FAULTS.len() as u64) as usize];
        let nth = 1 + dice.below(if fault.0 == "stat" || fault.0 == "read" {
            120
        } else {
            30
        });
        let setup = with_fault(&base, fault, nth);
        // The service may refuse to start once; it must leave the directory as it was.
        if let Ok(server) = setup.try_start() {
            ask_and_kill(&mut model, server, &mut dice).await;
        }
        let what = format!(
            "round {round}, {fault:?} at call {nth} of {:?}",
            happened(&setup)
        );
        met += u64::from(happened(&setup).is_some());
        model.remark(&what);
        let server = base.start();
        model.check(&what, &server).await;
        if dice.below(3) == 0 {
            server.stop();
        } else {
            ask_and_kill(&mut model, server, &mut dice).await;
        }
    }
    let server = base.start();
    model.check("at the end", &server).await;
    let check = server.stop().run(&["check"]);
    assert_eq!(check.code, Some(0), "{}", check.said());
    println!(
        "{rounds} rounds, {met} faults met: {} acknowledged, nothing lost, nothing hidden",
        model.acknowledged
    );
}

#[tokio::test]
async fn kills_during_checkpoints_lose_nothing() {
    let mut dice = Dice::new();
    let base = Setup::new().allow(ANYTHING);
    let mut model = Model::new(6);
    let rounds = rounds(6);
    for round in 1..=rounds {
        let server = base.start();
        model.check(&format!("kill {round}"), &server).await;
        for _ in 0..4 {
            model.ask(&server, &mut dice, async {}).await;
        }
        // A shutdown writes a checkpoint.
        server.ask_to_stop();
        a_moment(&mut dice, Duration::from_millis(40)).await;
        server.kill();
    }
    let server = base.start();
    model.check("at the end", &server).await;
    println!(
        "{rounds} kills during checkpoints: {} acknowledged, nothing lost",
        model.acknowledged
    );
}

#[tokio::test]
async fn a_full_disk_with_kills_and_starts_while_it_is_full_loses_nothing() {
    let mut dice = Dice::new();
    let disk = SmallDisk::mount("3m");
    let base = Setup::on(disk.path().join("vault-of-the-service")).allow(ANYTHING);
    let mut model = Model::new(3);
    let rounds = rounds(5);
    let mut full = 0;
    for round in 1..=rounds {
        let server = base.start();
        model
            .check(&format!("round {round}, with room"), &server)
            .await;
        model.ask(&server, &mut dice, async {}).await;
        // Fills the disk completely, or all but a few pages.
        let left = dice.below(40) * 4096;
        let filler = disk.fill_but(left as usize);
        let mut server = server;
        for _ in 0..2 {
            server = ask_and_kill(&mut model, server, &mut dice).await.start();
            model
                .check(&format!("round {round}, {left} bytes left"), &server)
                .await;
            full += 1;
        }
        fs::remove_file(filler).unwrap();
        model.ask(&server, &mut dice, async {}).await;
        if dice.below(2) == 0 {
            server.stop()
        } else {
            server.kill()
        };
    }
    let server = base.start();
    model.check("at the end", &server).await;
    println!(
        "{full} kills and starts on a full disk: {} acknowledged, nothing lost",
        model.acknowledged
    );
}

#[tokio::test]
async fn each_call_that_fails_once_at_the_start_or_while_it_runs_loses_nothing() {
    let mut dice = Dice::new();
    let base = Setup::new().allow(ANYTHING);
    let mut model = Model::new(3);
    let rounds = rounds(16);
    let mut met = 0u64;
    let mut n = 0u64;
    let mut next = [1u64; FAULTS.len()];
    while n < rounds {
        for (fault, nth) in FAULTS.iter().zip(&mut next) {
            if n >= rounds {
                break;
            }
            n += 1;
            let setup = with_fault(&base, *fault, *nth);
            if let Ok(server) = setup.try_start() {
                for _ in 0..3 {
                    model.ask(&server, &mut dice, async {}).await;
                }
                server.kill();
            }
            let what = format!("{fault:?} at call {nth} of {:?}", happened(&setup));
            // There was no call with this number, so no fault: starts again at the first call.
            *nth = if happened(&setup).is_some() {
                *nth + 1
            } else {
                1
            };
            met += u64::from(happened(&setup).is_some());
            let server = base.start();
            model.check(&what, &server).await;
            server.kill();
        }
    }
    println!(
        "{n} runs, {met} calls that failed: {} acknowledged, nothing lost",
        model.acknowledged
    );
}

/// A way to damage a file. The second argument is another file of the directory.
type Damage = fn(&Path, &Path);

fn rewrite(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = change(fs::read(path).unwrap());
    fs::write(path, bytes).unwrap();
}

const DAMAGES: [(&str, Damage); 15] = [
    ("emptied", |path, _| fs::write(path, "").unwrap()),
    ("cut by a byte", |path, _| {
        rewrite(path, |b| b[..b.len().saturating_sub(1)].to_vec());
    }),
    ("cut in half", |path, _| {
        rewrite(path, |b| b[..b.len() / 2].to_vec());
    }),
    ("first bit", |path, _| flip(path, 0, 1)),
    ("a bit in the middle", |path, _| {
        flip(path, fs::metadata(path).unwrap().len() as usize / 2, 3);
    }),
    ("zeros in the middle", |path, _| {
        rewrite(path, |mut b| {
            let from = b.len() / 3;
            let to = b.len() / 2;
            b[from..to].fill(0);
            b
        });
    }),
    ("all zeros", |path, _| rewrite(path, |b| vec![0; b.len()])),
    ("garbage behind", |path, _| {
        rewrite(path, |b| [&b[..], b"}garbage"].concat());
    }),
    ("zeros behind", |path, _| {
        rewrite(path, |b| [&b[..], &[0; 100]].concat());
    }),
    ("twice", |path, _| {
        rewrite(path, |b| [&b[..], &b[..]].concat());
    }),
    ("another file's content", |path, other| {
        fs::copy(other, path).unwrap();
    }),
    ("gone", |path, _| fs::remove_file(path).unwrap()),
    ("a folder", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a link to nowhere", |path, _| {
        fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("nowhere", path).unwrap();
    }),
    ("a FIFO", |path, _| {
        fs::remove_file(path).unwrap();
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o600.into(), 0).unwrap();
    }),
];

/// Reads the remaining records of a session; the error is the status if they cannot be read.
async fn records(server: &TestServer, id: &str) -> Result<Vec<String>, u16> {
    let answer = server
        .http
        .get(server.url(&format!("/api/actions/{id}")))
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    // A damaged record breaks off a response that has started.
    let Ok(text) = answer.text().await else {
        return Err(500);
    };
    if status != 200 {
        return Err(status);
    }
    let records: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    Ok(records
        .iter()
        .map(|record| record["mark"].as_str().unwrap().to_owned())
        .collect())
}

#[tokio::test]
async fn a_file_of_any_kind_damaged_in_fifteen_ways_affects_no_other_session() {
    let server = TestServer::start();
    for id in ["one", "two"] {
        server.create(id, "u").await;
        for n in 1..=5 {
            server
                .action(id, serde_json::json!({"mark": n.to_string()}))
                .await;
            server
                .response(id, serde_json::json!({"mark": n.to_string()}))
                .await;
            server
                .patch_state(id, serde_json::json!({"mark": n.to_string()}))
                .await;
        }
        server
            .post_with(
                &format!("/api/actions/{id}"),
                &crate::client::producer("p", 0, 0),
                serde_json::json!({"mark": "6"}),
            )
            .await
            .ok();
        server.finalize(id, serde_json::json!({})).await.ok();
    }
    let stopped = server.stop();
    let killed = Setup::on(stopped.outside().join("killed"));
    copy_dir(stopped.storage(), killed.storage());
    let server = killed.clone().start();
    for id in ["one", "two"] {
        server.action(id, serde_json::json!({"mark": "7"})).await;
    }
    server.kill();
    let expected = |killed: bool| {
        (1..=if killed { 7 } else { 6 })
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
    };
    let most = rounds(24);
    let mut tried = 0;
    let mut whole = 0;
    let mut cases = Vec::new();
    for (setup, is_killed) in [(&stopped, false), (&killed, true)] {
        for file in files_below(setup.storage()) {
            let file = file.strip_prefix(setup.storage()).unwrap().to_owned();
            let name = file.to_string_lossy().into_owned();
            if name.starts_with("sessions/two")
                || name == ".lock"
                || fs::metadata(setup.storage().join(&file)).unwrap().len() == 0
            {
                continue;
            }
            cases.extend(
                DAMAGES
                    .iter()
                    .map(|damage| (setup, is_killed, file.clone(), damage)),
            );
        }
    }
    let step = (cases.len() as u64 / most.min(cases.len() as u64)).max(1) as usize;
    for (setup, is_killed, file, (name, damage)) in cases.into_iter().step_by(step) {
        let what = format!("{} {name} (killed: {is_killed})", file.display());
        let damaged = Setup::on(setup.outside().join("damaged")).allow(ANYTHING);
        let _ = fs::remove_dir_all(damaged.storage());
        copy_dir(setup.storage(), damaged.storage());
        damage(
            &damaged.storage().join(&file),
            &damaged.storage().join("sessions/two/state.json"),
        );
        tried += 1;
        let check = damaged.run(&["check"]);
        let server = match damaged.try_start() {
            Ok(server) => server,
            // The service may refuse to start, with an error that names the file, if the journal or
            // a key cannot be read.
            Err(ended) => {
                assert!(
                    ended
                        .stderr
                        .contains(file.file_name().unwrap().to_str().unwrap())
                        || ended.stderr.contains("journal"),
                    "{what}: {}",
                    ended.stderr
                );
                assert!(
                    !file.starts_with("sessions"),
                    "{what}: one session keeps no service from starting: {}",
                    ended.stderr
                );
                continue;
            }
        };
        let in_journal = file.starts_with("journal");
        let two = records(&server, "two").await;
        assert!(
            two == Ok(expected(is_killed))
                || (in_journal && is_killed && two == Ok(expected(false))),
            "{what}: {two:?}\n{}",
            server.log_text()
        );
        let one = records(&server, "one").await;
        match &one {
            Ok(found) if *found == expected(is_killed) => whole += 1,
            // Records may be lost if only the damaged journal held them because the log had lost
            // them too; here the log has not.
            Ok(found) => panic!("{what}: served as whole: {found:?}\n{}", server.log_text()),
            Err(status) => {
                assert!([410, 500, 503].contains(status), "{what}: {status}");
                assert_ne!(
                    check.code,
                    Some(0),
                    "{what}: `check` says nothing: {}",
                    check.said()
                );
            }
        }
    }
    println!("{tried} damages, {whole} healed or harmless, the others refused by name");
}
