//! Checking the journal: every group of every segment.

use std::fs;

use anyhow::Context;
use bytes::Bytes;

use super::Fault;
use crate::store::checkpoint::Checkpoint;
use crate::store::layout::Layout;
use crate::store::recovery::segment_firsts;
use crate::store::segment::{self, Found};

/// Walks over all segments. A torn tail is no fault: it is what a crash leaves, and the next start cuts it off.
pub(super) fn check(layout: &Layout) -> anyhow::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    if !layout.journal().is_dir() {
        return Ok(faults);
    }
    if layout.checkpoint().exists() && Checkpoint::read(layout)?.is_none() {
        faults.push(Fault::new(
            "journal/checkpoint.json",
            "file",
            "cannot be read; the whole journal is replayed",
        ));
    }
    let firsts = segment_firsts(layout).context("failed to read `journal`")?;
    for (n, first) in firsts.iter().enumerate() {
        let name = format!("journal/{first:020}.seg");
        let bytes = Bytes::from(
            fs::read(layout.segment(*first)).with_context(|| format!("failed to read `{name}`"))?,
        );
        segment::walk(&bytes, *first, 0, n + 1 == firsts.len(), |_, found| {
            if let Found::Damaged { at, session } = found {
                let whose = session.map_or_else(String::new, |id| format!(" of session `{id}`"));
                faults.push(Fault::new(
                    name.as_str(),
                    format!("byte {at}"),
                    format!("an entry{whose} is damaged"),
                ));
            }
        });
    }
    Ok(faults)
}
