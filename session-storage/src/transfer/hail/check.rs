//! Checks a whole file before it is imported, and after it was written.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;
use session_insight::hail::{FileNotes, Item, Validator};
use session_model::Command;

use super::lines::{Batch, Checked, FileLines, Records};

/// How many broken rules a message shows.
const SHOWN: usize = 10;

/// Reads a whole file and checks it by the rules of the format.
pub(super) fn check(path: &Path) -> anyhow::Result<Checked> {
    let mut lines = FileLines::open(path)?;
    let mut validator = Validator::default();
    let mut taken = FileNotes::default();
    let mut header = None;
    let mut events = 0;
    let mut counted = None;
    while let Some(item) = lines.next()? {
        match item {
            Item::Header(found) => {
                validator.header(&found);
                header = Some(found);
            }
            Item::Event(event) => {
                events += 1;
                taken.note(&event);
                validator.event(&event);
            }
            Item::Stats(stats) => counted = stats.get("event_count").and_then(Value::as_u64),
            Item::Unknown(_) => {}
        }
    }
    let digest = lines.finish()?;
    let faults = validator.finish();
    if !faults.is_empty() {
        let shown: Vec<String> = faults.iter().take(SHOWN).map(ToString::to_string).collect();
        bail!(
            "`{}` breaks {} rules of the format: {}",
            path.display(),
            faults.len(),
            shown.join("; ")
        );
    }
    Ok(Checked {
        header: header.context("there is no header")?,
        digest,
        events,
        taken,
        remark: incomplete(path, events, counted),
    })
}

/// Makes all records of a file as the import does, and refuses it if the session would refuse one.
pub(super) fn check_records(path: &Path, checked: &Checked) -> anyhow::Result<()> {
    let mut records = Records::open(path, checked)?;
    while let Some(line) = records.next()? {
        let mut batch = Batch::default();
        line.push_to(&mut batch)?;
        for text in batch.text()?.lines() {
            Command::parse_line(text)
                .map_err(|refusal| anyhow::anyhow!("{}", refusal.message))
                .with_context(|| {
                    format!(
                        "nothing was imported: line {} of `{}` makes a record that would be refused",
                        line.number,
                        path.display()
                    )
                })?;
        }
    }
    records.finish()
}

/// Compares the events of a file with its own count of them.
fn incomplete(path: &Path, events: u64, counted: Option<u64>) -> Option<String> {
    let path = path.display();
    match counted {
        Some(counted) if counted == events => None,
        Some(counted) => Some(format!(
            "`{path}` counts {counted} events and has {events}: it may be cut off or changed"
        )),
        None => Some(format!(
            "`{path}` has no count of its events, so nothing shows whether it is whole"
        )),
    }
}
