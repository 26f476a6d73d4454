//! Record keys against a model: whatever happens to a session, a key is stored once in each log, and
//! a repeat is answered with the number of the first record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fastrand::Rng;
use session_model::producer::ProducerNumbers;
use session_model::{Code, Command, LogKind, RecordBody, SessionId};
use session_store::blobs::BlobLimits;
use session_store::directory::is_derived_file;
use session_store::disk::Disk;
use session_store::engine::CachedSession;
use session_store::engine::Engine as _;
use session_store::keys::{Digest, KEYED_LOGS, KeyLimits, KeyWork, lookup};
use session_store::retention::Policy;
use session_store::{OpenFiles, Options, Store, SyncPolicy};

use super::engine_contract::FailingDisk;
use super::submitted::Submitted;
use super::*;
use crate::live::{Hub, LiveConfig};

/// What a log holds.
#[derive(Default, Clone, Debug)]
struct Log {
    /// The number of records.
    records: u64,
    /// The number of the record with each key.
    keys: BTreeMap<String, u64>,
    /// The numbers of the records that amend the record with each key.
    amends: BTreeMap<String, BTreeSet<u64>>,
}

impl Log {
    /// Returns the answer to a record, and stores it if it is new.
    fn append(&mut self, record: &Record) -> String {
        if let Some(key) = &record.key
            && let Some(seq) = self.keys.get(key)
        {
            return format!(r#"{{"success":true,"seq":{seq},"duplicate":true}}"#);
        }
        self.records += 1;
        if let Some(key) = &record.key {
            self.keys.insert(key.clone(), self.records);
        }
        if let Some(of) = &record.of {
            self.amends
                .entry(of.clone())
                .or_default()
                .insert(self.records);
        }
        format!(r#"{{"success":true,"seq":{}}}"#, self.records)
    }
}

/// A record that is sent.
#[derive(Clone, Debug)]
struct Record {
    log: LogKind,
    key: Option<String>,
    of: Option<String>,
    filler: usize,
}

impl Record {
    fn any(rng: &mut Rng) -> Self {
        let key = |rng: &mut Rng| format!("key {}", rng.u32(..60));
        let of = (rng.u8(..6) == 0).then(|| key(rng));
        Self {
            log: KEYED_LOGS[rng.usize(..2)],
            key: (rng.u8(..4) > 0).then(|| key(rng)),
            of,
            filler: if rng.u8(..8) == 0 {
                rng.usize(..3000)
            } else {
                1
            },
        }
    }

    fn body(&self) -> String {
        let mut body = serde_json::json!({"text": "x".repeat(self.filler)});
        if let Some(key) = &self.key {
            body["key"] = key.as_str().into();
        }
        if let Some(of) = &self.of {
            body["type"] = "amend".into();
            body["of"] = of.as_str().into();
        }
        body.to_string()
    }

    fn line(&self) -> String {
        let kind = if self.log == LogKind::Actions {
            "action"
        } else {
            "response"
        };
        format!("{{\"type\":\"{kind}\",\"data\":{}}}\n", self.body())
    }
}

/// The session as it must be.
type Model = BTreeMap<LogKind, Log>;

struct Run {
    rng: Rng,
    path: PathBuf,
    disk: Arc<FailingDisk>,
    opened: Option<(Arc<Sessions>, Arc<Store>)>,
    model: Model,
    limits: KeyLimits,
    producer: ProducerNumbers,
    home: tempfile::TempDir,
}

/// Returns the body of the answer to a write.
fn stored_body(submitted: &Submitted) -> String {
    submitted.answer.to_stored().body
}

fn open(path: &Path, disk: &Arc<FailingDisk>, keys: KeyLimits) -> (Arc<Sessions>, Arc<Store>) {
    let settings = Settings {
        store: Options {
            path: path.to_owned(),
            sync: SyncPolicy::Never,
            recent_limit: 10,
            journal_max_bytes: 64 << 20,
            files: OpenFiles {
                keys: 3,
                ..OpenFiles::default()
            },
            keys,
        },
        auto_create: true,
        retention: Policy::default(),
        blobs: BlobLimits::default(),
        redaction: None,
        prices: Arc::default(),
        redaction_key_required: false,
    };
    let hub = Arc::new(Hub::new(LiveConfig::default()));
    let observer = Arc::new(feed::Feed::new(Arc::clone(&hub)));
    let on_disk = Arc::clone(disk) as Arc<dyn Disk>;
    let store = Store::open(settings.store.clone(), on_disk, observer).unwrap();
    let engine = Arc::clone(&store);
    (Sessions::on_engine(settings, hub, engine).unwrap(), store)
}

/// Copies a directory as a killed process leaves it, while the process writes to it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_file() => match fs::copy(entry.path(), target) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                Ok(_) | Err(_) => {}
            },
            _ => {}
        }
    }
}

fn id() -> SessionId {
    SessionId::parse("s").unwrap()
}

/// Checks that a refusal means that nothing was stored, because a write to the disk failed.
fn assert_failed_write(code: Code) {
    let is_full = matches!(code, Code::StorageFull | Code::StorageUnavailable);
    assert!(is_full, "{code:?}");
}

impl Run {
    fn begin(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("0");
        let disk = Arc::new(FailingDisk::default());
        let limits = KeyLimits {
            flush_entries: rng.usize(1..20),
            flush_bytes: rng.u64(500..20_000),
            most: rng.usize(10..40),
            level_entries: rng.u64(4..20),
        };
        let opened = Some(open(&path, &disk, limits));
        let producer = ProducerNumbers {
            id: "p".to_owned(),
            epoch: 0,
            seq: 0,
        };
        Self {
            rng,
            path,
            disk,
            opened,
            model: Model::new(),
            limits,
            producer,
            home,
        }
    }

    fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.opened.as_ref().unwrap().0)
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(&self.opened.as_ref().unwrap().1)
    }

    async fn step(&mut self) {
        match self.rng.u32(..100) {
            0..55 => self.append().await,
            55..75 => self.batch(30).await,
            75..77 => self.batch(1200).await,
            77..82 => self.forget().await,
            82..85 => self.disk.fail.store(true, Ordering::SeqCst),
            85..91 => self.restart(false).await,
            91..94 => self.restart(true).await,
            94..98 => self.crash().await,
            _ => self.delete().await,
        }
    }

    fn apply(model: &mut Model, record: &Record) -> String {
        model.entry(record.log).or_default().append(record)
    }

    async fn append(&mut self) {
        let record = Record::any(&mut self.rng);
        let body = record.body();
        let body = RecordBody::parse(body.as_bytes()).unwrap();
        let command = match record.log {
            LogKind::Actions => Command::Action(body),
            LogKind::Responses | LogKind::Changes => Command::Response(body),
        };
        let numbers = (self.rng.u8(..3) == 0).then(|| self.producer.clone());
        let answer = self
            .sessions()
            .submit(&id(), command.clone(), numbers.clone())
            .await;
        let mut model = self.model.clone();
        let expected = Self::apply(&mut model, &record);
        match answer {
            Ok(answer) => {
                assert_eq!(stored_body(&answer), expected, "{record:?}");
                self.model = model;
                if let Some(numbers) = numbers {
                    let again = self.sessions().submit(&id(), command, Some(numbers)).await;
                    assert_eq!(
                        stored_body(&again.unwrap()),
                        expected,
                        "the numbers are repeated"
                    );
                    self.producer.seq += 1;
                }
            }
            Err(refused) => assert_failed_write(refused.code),
        }
    }

    async fn batch(&mut self, most: usize) {
        let records: Vec<Record> = (0..self.rng.usize(1..=most))
            .map(|_| Record::any(&mut self.rng))
            .collect();
        let lines: String = records.iter().map(Record::line).collect();
        let mut numbers = None;
        if self.rng.bool() {
            numbers = Some(self.producer.clone());
        }
        let mut model = self.model.clone();
        let expected: Vec<_> = records
            .iter()
            .map(|record| Self::apply(&mut model, record))
            .collect();
        let expected = format!("{{\"results\":[{}]", expected.join(","));
        // A large batch may be stored in part; sent again with its numbers, it is completed.
        if records.len() > 900 {
            numbers = Some(self.producer.clone());
        }
        for _ in 0..3 {
            let sent = (bytes::Bytes::from(lines.clone()), false);
            match self
                .sessions()
                .submit_batch(&id(), sent, numbers.clone())
                .await
            {
                Ok(answer) => {
                    let answer = stored_body(&answer);
                    let results = answer.rsplit_once(",\"offset\"").unwrap().0;
                    assert_eq!(results, expected);
                    self.model = model;
                    self.producer.seq += u64::from(numbers.is_some());
                    return;
                }
                Err(refused) => assert_failed_write(refused.code),
            }
            if numbers.is_none() {
                return;
            }
        }
        panic!("the batch is refused each time");
    }

    /// Drops the session from memory.
    async fn forget(&mut self) {
        let store = self.store();
        let forget = move || {
            store.flush_snapshots(true);
            let cell = store.cache().get(&id());
            let mut slot = cell.slot.lock();
            if matches!(&*slot, CachedSession::Loaded(loaded) if !loaded.is_dirty()) {
                *slot = CachedSession::Unloaded;
            }
        };
        actix_web::web::block(forget).await.unwrap();
    }

    async fn restart(&mut self, with_damage: bool) {
        self.close().await;
        if with_damage {
            self.damage_runs();
        }
        self.opened = Some(open(&self.path, &self.disk, self.limits));
    }

    async fn close(&mut self) {
        self.sessions().shutdown().await;
        self.opened = None;
        self.disk.fail.store(false, Ordering::SeqCst);
    }

    fn damage_runs(&mut self) {
        let Ok(folder) = fs::read_dir(self.path.join("sessions/s")) else {
            return;
        };
        for entry in folder {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_derived_file(&name) || self.rng.bool() {
                continue;
            }
            let mut bytes = fs::read(entry.path()).unwrap();
            let at = self.rng.usize(..bytes.len());
            match self.rng.u8(..5) {
                0 => bytes.truncate(at),
                1 => bytes[at..].fill(0),
                2 => bytes.clear(),
                3 => {
                    fs::remove_file(entry.path()).unwrap();
                    continue;
                }
                _ => bytes[at] ^= 1 << self.rng.u8(..8),
            }
            fs::write(entry.path(), bytes).unwrap();
        }
    }

    async fn crash(&mut self) {
        let next = self.home.path().join(self.rng.u64(..).to_string());
        copy(&self.path, &next);
        self.close().await;
        self.path = next;
        self.opened = Some(open(&self.path, &self.disk, self.limits));
    }

    async fn delete(&mut self) {
        match self.sessions().delete(&id(), None).await {
            Ok(_) => {
                self.model.clear();
                self.producer.seq = 0;
                self.producer.epoch += 1;
            }
            Err(refused) if refused.code == Code::SessionNotFound => {}
            Err(refused) => assert_failed_write(refused.code),
        }
    }

    /// Compares what is stored, and what the index says of it, with the model.
    async fn check(&self) {
        for log in KEYED_LOGS {
            let model = self.model.get(&log).cloned().unwrap_or_default();
            let mut records = 0;
            let mut keys = BTreeSet::new();
            let file = format!("{}.jsonl", log.as_str());
            if let Ok(text) = fs::read_to_string(self.sessions().path_of(&id()).join(file)) {
                for line in text.lines() {
                    records += 1;
                    let record: serde_json::Value = serde_json::from_str(line).unwrap();
                    let key = record["key"].as_str();
                    assert!(
                        key.is_none_or(|key| keys.insert(key.to_owned())),
                        "stored twice: {line}"
                    );
                }
            }
            assert_eq!(records, model.records);
            assert_eq!(keys, model.keys.keys().cloned().collect());
            let store = self.store();
            let compare = move || {
                for n in 0..60 {
                    let key = format!("key {n}");
                    let find = |digest| {
                        let found = lookup::find(&*store, &id(), log, digest, usize::MAX);
                        found.unwrap().unwrap_or_default()
                    };
                    let stored: Vec<u64> = model.keys.get(&key).copied().into_iter().collect();
                    assert_eq!(find(Digest::of_record(&key)), stored, "{key}");
                    let amends = model.amends.get(&key).cloned().unwrap_or_default();
                    assert_eq!(
                        find(Digest::of_amends(&key)),
                        Vec::from_iter(amends),
                        "{key}"
                    );
                }
            };
            actix_web::web::block(compare).await.unwrap();
        }
    }
}

fn run(seeds: std::ops::Range<u64>, steps: usize) {
    actix_web::rt::System::new().block_on(async {
        for seed in seeds {
            let mut run = Run::begin(seed);
            for step in 0..steps {
                run.step().await;
                if step % 25 == 24 {
                    run.disk.fail.store(false, Ordering::SeqCst);
                    run.check().await;
                }
            }
            run.close().await;
        }
    });
}

#[test]
fn a_key_is_stored_once_whatever_happens_to_its_session() {
    run(0..5, 120);
}

/// The runs of the session, by name.
fn runs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path.join("sessions/s")).unwrap();
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| is_derived_file(name))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect()
}

fn put(path: &Path, runs: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in runs {
        fs::write(path.join("sessions/s").join(name), bytes).unwrap();
    }
}

/// Appends actions with these keys; returns whether each was a repeat.
async fn act(sessions: &Sessions, keys: std::ops::Range<u32>) -> Vec<bool> {
    let mut repeats = Vec::new();
    for n in keys {
        let body = format!("{{\"key\":\"{n}\",\"text\":\"{}\"}}", "x".repeat(2000));
        let command = Command::Action(RecordBody::parse(body.as_bytes()).unwrap());
        let answer = sessions.submit(&id(), command, None).await.unwrap();
        repeats.push(stored_body(&answer).contains("duplicate"));
    }
    repeats
}

/// Small limits, under which every closed session has runs of several levels.
const TINY: KeyLimits = KeyLimits {
    flush_entries: 5,
    flush_bytes: u64::MAX,
    most: 10,
    level_entries: 8,
};

#[test]
fn a_run_that_is_ahead_of_the_log_answers_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (early, late) = (home.path().join("early"), home.path().join("late"));
    let disk = Arc::new(FailingDisk::default());
    actix_web::rt::System::new().block_on(async {
        let (sessions, store) = open(&early, &disk, TINY);
        act(&sessions, 0..40).await;
        sessions.shutdown().await;
        drop((sessions, store));
        copy(&early, &late);
        let (sessions, store) = open(&late, &disk, TINY);
        act(&sessions, 40..90).await;
        sessions.shutdown().await;
        drop((sessions, store));
        // What a power cut leaves: the runs were written back, the log and the journal were not.
        assert!(!runs(&late).is_empty());
        put(&early, &runs(&late));
        let (sessions, store) = open(&early, &disk, TINY);
        assert_eq!(
            act(&sessions, 30..60).await,
            (30..60).map(|n| n < 40).collect::<Vec<_>>()
        );
        sessions.shutdown().await;
        drop((sessions, store));
        let (sessions, _store) = open(&early, &disk, TINY);
        assert_eq!(
            act(&sessions, 0..70).await,
            (0..70).map(|n| n < 60).collect::<Vec<_>>()
        );
        sessions.shutdown().await;
    });
}

#[test]
fn the_runs_of_a_deleted_session_answer_nothing_about_the_next_of_its_name() {
    let home = tempfile::tempdir().unwrap();
    let disk = Arc::new(FailingDisk::default());
    actix_web::rt::System::new().block_on(async {
        let (sessions, store) = open(home.path(), &disk, TINY);
        act(&sessions, 0..40).await;
        sessions.shutdown().await;
        drop((sessions, store));
        let of_the_first = runs(home.path());
        let (sessions, store) = open(home.path(), &disk, TINY);
        sessions.delete(&id(), None).await.unwrap();
        act(&sessions, 100..140).await;
        sessions.shutdown().await;
        drop((sessions, store));
        put(home.path(), &of_the_first);
        let (sessions, _store) = open(home.path(), &disk, TINY);
        assert_eq!(act(&sessions, 0..40).await, [false; 40]);
        assert_eq!(act(&sessions, 100..140).await, [true; 40]);
        sessions.shutdown().await;
    });
}

#[test]
fn a_session_without_keys_has_no_index() {
    let home = tempfile::tempdir().unwrap();
    let disk = Arc::new(FailingDisk::default());
    actix_web::rt::System::new().block_on(async {
        let (sessions, store) = open(home.path(), &disk, TINY);
        for _ in 0..50 {
            let body = RecordBody::parse(br#"{"type":"x","key":7}"#).unwrap();
            sessions
                .submit(&id(), Command::Action(body), None)
                .await
                .unwrap();
        }
        let cell = store.cache().get(&id());
        if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() {
            assert!(loaded.keys.table(LogKind::Actions).is_none());
        }
        sessions.shutdown().await;
        assert!(runs(home.path()).is_empty());
    });
}

#[test]
fn an_index_that_many_find_damaged_is_rebuilt_once() {
    let home = tempfile::tempdir().unwrap();
    let disk = Arc::new(FailingDisk::default());
    actix_web::rt::System::new().block_on(async {
        let (sessions, store) = open(home.path(), &disk, TINY);
        act(&sessions, 0..40).await;
        let cell = store.cache().get(&id());
        let log = LogKind::Actions;
        let opened = || match &*cell.slot.lock() {
            CachedSession::Loaded(loaded) => loaded.keys.opened(log),
            CachedSession::Absent(_) | CachedSession::Unloaded => panic!("is not loaded"),
        };
        let found = opened();
        let work = KeyWork::Rebuild { log, opened: found };
        for _ in 0..3 {
            store.prepare_keys(&cell, &work).unwrap();
            assert_eq!(opened(), found + 1);
        }
        assert_eq!(act(&sessions, 0..40).await, [true; 40]);
        sessions.shutdown().await;
    });
}
