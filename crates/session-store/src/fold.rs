//! Folding: adds what `amend` records say to the records that they amend.
//!
//! A record with a key gets the fields that it lacks from the records that amend it, the earliest
//! first. A field that is null is lacking. The amendments of a record that is there are left out of the page. Nothing is written:
//! the stored records stay as they are, and a folded record has no checksum.
//!
//! Each record with a key costs one lookup; a log without amendments costs nothing.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use serde_json::value::RawValue;
use session_model::record_key::{KeyCount, MAX_AMENDMENT, MAX_AMENDMENTS};
use session_model::{LogKind, RecordBody, Refusal, SessionId};

use super::engine::Engine;
use super::keys::{Digest, lookup};
use super::log_file::{LogFile, by_seq};
use super::refusals::{not_found, unopened, unread_log};
use super::session_cache::CachedSession;

/// The field of a folded record that names the amendments.
const AMENDED_BY: &str = "$amendedBy";
/// The fields of an amendment that describe itself.
const OWN: [&str; 7] = ["seq", "timestamp", "type", "key", "of", "origin", "agentId"];

/// Folds the records of one log.
pub(super) struct Fold {
    engine: Arc<dyn Engine>,
    id: SessionId,
    log: LogKind,
}

/// A record as it is shown.
pub(super) enum Folded {
    /// As it is stored.
    Stored,
    /// With the fields of its amendments.
    Amended(Vec<u8>),
    /// Not at all: it amends a record that is there.
    LeftOut,
}

impl Fold {
    /// Returns the folding of a log; `None` if the log has no amendments. Blocking.
    pub(super) fn of(
        engine: &Arc<dyn Engine>,
        id: &SessionId,
        log: LogKind,
    ) -> Result<Option<Self>, Refusal> {
        let cell = engine.cache().get(id);
        engine.load(&cell).map_err(|damage| unopened(id, &damage))?;
        let count = match &*cell.slot.lock() {
            CachedSession::Loaded(loaded) => loaded.view.keyed.map(|counts| counts.of(log)),
            CachedSession::Absent(_) | CachedSession::Unloaded => None,
        };
        let has_amends = count.is_none_or(|KeyCount { amends, .. }| amends > 0);
        Ok(has_amends.then(|| Self {
            engine: Arc::clone(engine),
            id: id.clone(),
            log,
        }))
    }

    /// Folds a record of a log. Blocking.
    pub(super) fn fold(&self, file: &LogFile, record: &[u8]) -> Result<Folded, Refusal> {
        let Ok(body) = RecordBody::parse(record) else {
            return Ok(Folded::Stored);
        };
        if let Some(of) = body.amends() {
            // An amendment is not amended itself, so it is shown whatever it is about.
            let is_folded = self.is_folded(file, record, of)?;
            return Ok(if is_folded {
                Folded::LeftOut
            } else {
                Folded::Stored
            });
        }
        let Some(key) = body.key() else {
            return Ok(Folded::Stored);
        };
        let mut amends = Vec::new();
        for seq in self.find(Digest::of_amends(key), MAX_AMENDMENTS)? {
            // An amendment behind the end of the page's log is not there yet.
            let line = file.line(seq, by_seq).map_err(|e| unread_log(&e))?;
            if let Some((_, line)) = line
                && is_amend_of(&line, key)
                && line.len() <= MAX_AMENDMENT
            {
                amends.push((seq, line));
            }
        }
        if amends.is_empty() {
            return Ok(Folded::Stored);
        }
        let merged = merge(record, &amends).map_err(|e| unread_log(&e))?;
        Ok(Folded::Amended(merged))
    }

    /// Returns whether an amendment is folded into the record with the key `of`.
    fn is_folded(&self, file: &LogFile, amendment: &[u8], of: &str) -> Result<bool, Refusal> {
        let seq = session_model::line::head(amendment).map(|head| head.seq);
        let folded = self.find(Digest::of_amends(of), MAX_AMENDMENTS)?;
        if amendment.len() > MAX_AMENDMENT || !seq.is_some_and(|seq| folded.contains(&seq)) {
            return Ok(false);
        }
        let Some(amended) = self.find(Digest::of_record(of), 1)?.first().copied() else {
            return Ok(false);
        };
        let line = file.line(amended, by_seq).map_err(|e| unread_log(&e))?;
        Ok(line.is_some_and(|(_, line)| {
            RecordBody::parse(&line).is_ok_and(|body| body.amends().is_none())
        }))
    }

    fn find(&self, digest: Digest, most: usize) -> Result<Vec<u64>, Refusal> {
        let found = lookup::find(&*self.engine, &self.id, self.log, digest, most);
        let found = found.map_err(|damage| unopened(&self.id, &damage))?;
        found.ok_or_else(|| not_found(&self.id))
    }
}

fn is_amend_of(line: &[u8], key: &str) -> bool {
    RecordBody::parse(line).is_ok_and(|body| body.amends() == Some(key))
}

/// The fields of a record in order, with unchanged values.
type Fields<'r> = Vec<(String, &'r RawValue)>;

fn fields(record: &[u8]) -> io::Result<Fields<'_>> {
    struct Pairs<'r>(Fields<'r>);
    impl<'de> serde::Deserialize<'de> for Pairs<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct PairsVisitor;
            impl<'de> serde::de::Visitor<'de> for PairsVisitor {
                type Value = Pairs<'de>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a record")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Pairs<'de>, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some(pair) = map.next_entry::<String, &RawValue>()? {
                        pairs.push(pair);
                    }
                    Ok(Pairs(pairs))
                }
            }
            deserializer.deserialize_map(PairsVisitor)
        }
    }
    let pairs: Pairs<'_> = serde_json::from_slice(record)?;
    Ok(pairs.0)
}

/// Writes a record with the fields that its amendments add.
fn merge(record: &[u8], amends: &[(u64, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut merged = fields(record)?;
    merged.retain(|(name, _)| name != "$crc");
    let places = merged.iter().enumerate();
    let mut places: HashMap<String, usize> =
        places.map(|(at, (name, _))| (name.clone(), at)).collect();
    for (_, line) in amends {
        for (name, value) in fields(line)? {
            if OWN.contains(&name.as_str()) || name.starts_with('$') {
                continue;
            }
            match places.get(&name) {
                Some(at) if merged[*at].1.get() == "null" => merged[*at].1 = value,
                Some(_) => {}
                None => {
                    places.insert(name.clone(), merged.len());
                    merged.push((name, value));
                }
            }
        }
    }
    let mut out = Vec::with_capacity(record.len() * 2);
    for (name, value) in &merged {
        out.push(if out.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut out, name)?;
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    let seqs: Vec<u64> = amends.iter().map(|(seq, _)| *seq).collect();
    out.extend_from_slice(format!(",\"{AMENDED_BY}\":").as_bytes());
    serde_json::to_writer(&mut out, &seqs)?;
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_null_is_absent() {
        let record = br#"{"seq":1,"key":"k","exitCode":null,"n":1}"#;
        let amends = [
            br#"{"seq":2,"of":"k","exitCode":null,"tool":null,"n":null}"#.to_vec(),
            br#"{"seq":3,"of":"k","exitCode":7,"tool":"Bash","n":2}"#.to_vec(),
        ];
        let amends: Vec<_> = [2, 3].into_iter().zip(amends).collect();
        let merged = String::from_utf8(merge(record, &amends).unwrap()).unwrap();
        let expected = r#"{"seq":1,"key":"k","exitCode":7,"n":1,"tool":"Bash","$amendedBy":[2,3]}"#;
        assert_eq!(merged, expected);
    }

    #[test]
    fn an_amendment_adds_what_is_absent_and_the_earliest_wins() {
        let record =
            br#"{"seq":1,"timestamp":"t","$offset":2,"key":"k","n":1.50,"$crc":"12345678"}"#;
        let amends = [
            br#"{"seq":2,"timestamp":"u","$offset":3,"type":"amend","of":"k","key":"j","n":2,"exitCode":0,"$crc":"x"}"#
                .to_vec(),
            br#"{"seq":5,"timestamp":"v","$offset":9,"type":"amend","of":"k","exitCode":1,"tool":"Bash","$crc":"x"}"#
                .to_vec(),
        ];
        let amends: Vec<_> = [2, 5].into_iter().zip(amends).collect();
        let merged = String::from_utf8(merge(record, &amends).unwrap()).unwrap();
        let expected = r#"{"seq":1,"timestamp":"t","$offset":2,"key":"k","n":1.50,"exitCode":0,"tool":"Bash","$amendedBy":[2,5]}"#;
        assert_eq!(merged, expected);
    }
}
