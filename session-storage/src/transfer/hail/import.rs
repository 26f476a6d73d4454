//! Imports a file as a session.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use session_insight::hail::Header;
use session_model::event::Creation;
use session_model::producer::ProducerNumbers;
use session_model::{SessionId, Timestamp, UserId, json as model};
use session_store::incoming::{Existing, Imported};

use super::check::{check, check_records};
use super::lines::{Batch, Checked, Records};
use crate::live::{Hub, LiveConfig};
use crate::sessions::{Sessions, Settings};

/// Imports a file as a session.
pub async fn import(
    settings: Settings,
    path: &Path,
    existing: Existing,
) -> anyhow::Result<Imported> {
    let checked = check(path)?;
    check_records(path, &checked)?;
    let sessions = Sessions::open(settings, Arc::new(Hub::new(LiveConfig::default())))?;
    let imported = import_into(&sessions, path, &checked, existing).await;
    sessions.shutdown().await;
    imported
}

async fn import_into(
    sessions: &Sessions,
    path: &Path,
    checked: &Checked,
    existing: Existing,
) -> anyhow::Result<Imported> {
    let mut imported = Imported::default();
    imported.remarks.extend(checked.remark.clone());
    let named = &checked.header.session_id;
    let mut id = SessionId::parse(named).unwrap_or_else(|_| SessionId::adopt(named));
    let mut there = origin_of(sessions, &id).await?;
    if there.is_other_than(&checked.digest) {
        match existing {
            Existing::Refuse => bail!(
                "nothing was imported: another session `{id}` is there already (see --skip-existing and --as-new)"
            ),
            Existing::Skip => {
                imported.skipped.push(id);
                return Ok(imported);
            }
            Existing::AsNew => {
                id = SessionId::adopt(&format!("{id}-{}", &checked.digest[..12]));
                there = origin_of(sessions, &id).await?;
            }
        }
    }
    if let There::Imported(_) = there {
        imported.same.push(id);
        return Ok(imported);
    }
    create(sessions, &id, checked).await?;
    let sent = send(sessions, &id, path, checked).await?;
    if sent.duplicates > 0 {
        imported.remarks.push(format!(
            "{} of the {} records of `{}` were not stored: other records in it have the same keys",
            sent.duplicates,
            sent.records,
            path.display()
        ));
    }
    imported.new.push(id);
    Ok(imported)
}

/// The session that has the id of the file.
enum There {
    /// No session has the id.
    Nothing,
    /// A session that a file with this digest began, and whose import was interrupted.
    Begun(String),
    /// A session that was imported from a file with this digest.
    Imported(String),
    /// Another session.
    Other,
}

impl There {
    fn is_other_than(&self, digest: &str) -> bool {
        match self {
            There::Nothing => false,
            There::Begun(known) | There::Imported(known) => known != digest,
            There::Other => true,
        }
    }
}

async fn origin_of(sessions: &Sessions, id: &SessionId) -> anyhow::Result<There> {
    if sessions.known(id).is_err() {
        return Ok(There::Nothing);
    }
    let session = sessions.whole(id, false).await?;
    let digest = |document: &[u8], at: &str| {
        let document: Value = model::stored(document).ok()?;
        document.pointer(at)?.as_str().map(str::to_owned)
    };
    Ok(match digest(&session.metadata, "/importedFrom/sha256") {
        Some(digest) => There::Imported(digest),
        None => digest(&session.initial, "/hail/sha256").map_or(There::Other, There::Begun),
    })
}

/// Creates the session, with the header in its initial document.
async fn create(sessions: &Sessions, id: &SessionId, checked: &Checked) -> anyhow::Result<()> {
    let Header { context, .. } = &checked.header;
    let attribute = |name: &str| context.attributes.get(name).and_then(Value::as_str);
    let began = context.created_at.as_deref().and_then(Timestamp::parse);
    let user = attribute("user").and_then(|user| UserId::parse(user).ok());
    let parent = attribute("parent_session_id").and_then(|id| SessionId::parse(id).ok());
    let mut hail = Map::new();
    hail.insert("sha256".to_owned(), checked.digest.as_str().into());
    let header = Value::Object(checked.header.clone().into_fields());
    hail.insert("header".to_owned(), header);
    let mut initial = Map::new();
    initial.insert("source".to_owned(), "hail".into());
    initial.insert("hail".to_owned(), Value::Object(hail));
    let initial = redacted(sessions, &initial)
        .context("nothing was imported: the header cannot be stored")?;
    let creation = Creation {
        initial,
        parent: None,
        began,
    };
    let user = user.unwrap_or_else(UserId::unknown);
    sessions
        .create(id, user, creation, parent, false, None)
        .await?;
    Ok(())
}

fn redacted(
    sessions: &Sessions,
    fields: &Map<String, Value>,
) -> anyhow::Result<Map<String, Value>> {
    let body = Bytes::from(serde_json::to_vec(fields)?);
    let (bytes, _) = sessions.redaction().screen(body, false);
    Ok(model::object(&bytes)?)
}

/// What a session answered to the records of a file.
#[derive(Default)]
struct Sent {
    records: u64,
    duplicates: u64,
}

/// Sends the records of a file.
async fn send(
    sessions: &Sessions,
    id: &SessionId,
    path: &Path,
    checked: &Checked,
) -> anyhow::Result<Sent> {
    let mut producer = ProducerNumbers {
        id: format!("hail-{}", &checked.digest[..32]),
        epoch: 0,
        seq: 0,
    };
    let mut records = Records::open(path, checked)?;
    let mut batch = Batch::default();
    let mut sent = Sent::default();
    while let Some(line) = records.next()? {
        line.push_to(&mut batch)?;
        sent.records += line.count();
        if batch.is_full() {
            let batch = std::mem::take(&mut batch);
            sent.duplicates += submit(sessions, id, batch, &mut producer).await?;
        }
    }
    records.finish()?;
    let imported = json!({"format": "hail", "sha256": checked.digest, "events": checked.events});
    let mut mark = Map::new();
    mark.insert("importedFrom".to_owned(), imported);
    batch.push("metadata_update", &mark)?;
    sent.duplicates += submit(sessions, id, batch, &mut producer).await?;
    Ok(sent)
}

/// Sends a batch. Returns how many of its records were not stored, because a record with the same
/// key was.
async fn submit(
    sessions: &Sessions,
    id: &SessionId,
    batch: Batch,
    producer: &mut ProducerNumbers,
) -> anyhow::Result<u64> {
    let body = sessions
        .redaction()
        .screen(Bytes::from(batch.into_bytes()), true);
    let submitted = sessions
        .submit_batch(id, body, Some(producer.clone()))
        .await?;
    producer.seq += 1;
    let answer = submitted.answer.into_stored().body;
    if let Some(code) = submitted.refused.first() {
        bail!("the session `{id}` refused records of the file ({code}): {answer}");
    }
    duplicates_in(&answer)
}

/// Counts the results of an answer that say that a record was there already.
fn duplicates_in(answer: &str) -> anyhow::Result<u64> {
    let answer: Value = model::stored(answer.as_bytes())?;
    let results = answer.get("results").and_then(Value::as_array);
    let is_duplicate = |result: &&Value| result.get("duplicate") == Some(&Value::Bool(true));
    Ok(results.into_iter().flatten().filter(is_duplicate).count() as u64)
}
