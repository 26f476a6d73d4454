//! Runs: what was written is found, nothing else is, and every damage is noticed.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use session_model::LogKind;
use session_model::hex::hex;

use super::Reads;
use super::entry::{Digest, Entry};
use super::run::{Header, PAGE, Run, RunFault};
use super::run_writer::RunWriter;
use crate::disk::RealDisk;
use crate::reader_limit::ReaderLimit;

fn header(count: u64) -> Header {
    Header {
        log: LogKind::Responses,
        level: 2,
        created_offset: 3,
        from: 4,
        to: 5,
        mark: 6,
        count,
        id: 7,
    }
}

fn write(path: &Path, entries: &BTreeSet<Entry>) {
    let mut writer = RunWriter::begin(&RealDisk, path, header(0)).unwrap();
    for entry in entries {
        writer.push(*entry).unwrap();
    }
    writer.finish(true).unwrap();
}

fn open(path: &Path) -> Option<Run> {
    Run::open(path, ReaderLimit::new(1).keep()).unwrap()
}

fn record(n: u64) -> Digest {
    Digest::of_record(&format!("key {n}"))
}

fn entries(records: u64, amends_of_one: u64) -> BTreeSet<Entry> {
    let amends = Digest::of_amends("one");
    (1..=records)
        .map(|n| Entry::new(record(n), n).unwrap())
        .chain((1..=amends_of_one).map(|n| Entry::new(amends, n * 2).unwrap()))
        .collect()
}

#[test]
fn every_entry_is_found_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    for (records, amends) in [
        (0, 0),
        (1, 0),
        (62, 1),
        (63, 0),
        (64, 0),
        (5000, 0),
        (3000, 2000),
        (0, 700),
    ] {
        write(&path, &entries(records, amends));
        let run = open(&path).unwrap();
        assert_eq!(run.header, header(records + amends));
        for n in 1..=records {
            for reads in [Reads::Any, Reads::Cached] {
                let found = run.find(record(n), 5, reads).unwrap();
                assert_eq!(found, [Entry::new(record(n), n).unwrap()]);
            }
        }
        for n in records + 1..records + 500 {
            assert_eq!(run.find(record(n), 5, Reads::Any).unwrap(), []);
        }
        let all = run
            .find(Digest::of_amends("one"), usize::MAX, Reads::Any)
            .unwrap();
        let seqs: Vec<u64> = all.into_iter().map(Entry::seq).collect();
        assert_eq!(seqs, (1..=amends).map(|n| n * 2).collect::<Vec<_>>());
        let first = run.find(Digest::of_amends("one"), 1, Reads::Any).unwrap();
        assert_eq!(
            first.first().map(|entry| entry.seq()),
            (amends > 0).then_some(2)
        );
        let read: Result<BTreeSet<Entry>, RunFault> = run.entries().unwrap().collect();
        assert_eq!(read.unwrap(), entries(records, amends));
    }
}

#[test]
fn a_run_that_is_not_kept_open_is_found_again_unless_another_took_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    write(&path, &entries(100, 0));
    let run = Run::open(&path, None).unwrap().unwrap();
    assert_eq!(run.find(record(7), 1, Reads::Any).unwrap().len(), 1);
    assert!(matches!(
        run.find(record(7), 1, Reads::Cached),
        Err(RunFault::NotCached)
    ));
    write(&path, &entries(101, 0));
    assert!(matches!(
        run.find(record(7), 1, Reads::Any),
        Err(RunFault::Damaged)
    ));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        run.find(record(7), 1, Reads::Any),
        Err(RunFault::Damaged)
    ));
}

#[test]
fn the_bytes_of_a_run_never_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    write(&path, &entries(2, 1));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 2 * PAGE);
    assert_eq!(
        hex(&bytes[..72]),
        "6b6579696e64657801000000010000000200000000000000030000000000000004000000000000000500000000000000060000000000000003000000000000000700000000000000"
    );
    assert_eq!(
        hex(&bytes[PAGE - 4..PAGE + 48]),
        "7bf23b0e5e3ac402896e294084763b00000000027a5582e6f34f876165aa980000000001de6780be6e398cb8502afb0000000002"
    );
    assert_eq!(
        hex(&bytes[2 * PAGE - 16..]),
        "3edc5d5e000000000700000000000000"
    );
}

/// A way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Grow,
    Zero(usize, usize),
    SwapPages(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<usize>().prop_map(Damage::Cut),
        Just(Damage::Grow),
        (any::<usize>(), 1..2000_usize).prop_map(|(at, len)| Damage::Zero(at, len)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Damage::SwapPages(a, b)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    let len = bytes.len();
    match *damage {
        Damage::Flip(at, bit) => bytes[at % len] ^= 1 << bit,
        Damage::Cut(at) => bytes.truncate(at % len),
        Damage::Grow => bytes.extend_from_slice(&[0; 100]),
        Damage::Zero(at, many) => {
            let end = (at % len + many).min(len);
            bytes[at % len..end].fill(0);
        }
        Damage::SwapPages(a, b) => {
            let pages = len / PAGE - 1;
            let (a, b) = (1 + a % pages, 1 + b % pages);
            let first = bytes[a * PAGE..(a + 1) * PAGE].to_vec();
            bytes.copy_within(b * PAGE..(b + 1) * PAGE, a * PAGE);
            bytes[b * PAGE..(b + 1) * PAGE].copy_from_slice(&first);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_run_gives_the_right_answer_or_none(damages in prop::collection::vec(damage(), 1..3)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        write(&path, &entries(400, 100));
        let mut bytes = std::fs::read(&path).unwrap();
        for damage in &damages {
            if bytes.len() >= 2 * PAGE {
                apply(damage, &mut bytes);
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let Some(run) = open(&path) else { return Ok(()) };
        for n in 1..=450 {
            match run.find(record(n), 5, Reads::Any) {
                Ok(found) => {
                    let expected = Entry::new(record(n), n).filter(|_| n <= 400);
                    prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
                }
                Err(RunFault::Damaged) => {}
                Err(fault) => prop_assert!(false, "{:?}", fault),
            }
        }
    }
}
