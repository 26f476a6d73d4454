//! Records what the hooks left unread in the transcripts: those of a killed run, or the rest of a
//! long one. Of a run whose process has ended, also the messages that were displayed and that its
//! transcripts do not have. `hook-agent flush` calls this.

use std::time::{Duration, Instant};

use super::draft::{Draft, Stamp};
use super::error_log::log_once;
use super::messages::{heard, unconfirmed};
use super::new_lines::{NewLines, is_same_place, read_left};
use super::process;
use super::run::Run;
use crate::Config;
use crate::offload::Offload;
use crate::redaction::Redaction;
use crate::spool::{Limits, SharedFolder};

/// The most time that reading takes.
const MOST: Duration = Duration::from_secs(5);

/// Appends the records of the new lines in the transcripts of a folder's sessions. Returns why
/// that failed, if it did.
pub(crate) fn catch_up(
    config: &Config,
    folder: &SharedFolder,
    deadline: Instant,
) -> Result<(), String> {
    let until = deadline.min(Instant::now() + MOST);
    let redaction = Redaction::of(config);
    for session in Run::sessions(&folder.path) {
        let known = Run::load(&folder.path, &session, false);
        let news = read_left(&known, until);
        for trouble in &news.troubles {
            log_once(&folder.path, trouble);
        }
        record(config, folder, &redaction, &session, &known, &news).map_err(|error| {
            format!("failed to record what the transcript of `{session}` tells: {error}")
        })?;
    }
    Ok(())
}

fn record(
    config: &Config,
    folder: &SharedFolder,
    redaction: &Redaction,
    session: &str,
    known: &Run,
    news: &NewLines,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut run = known.clone();
    let mut drafts: Vec<Draft<'_>> = heard(news, &mut run);
    let has_ended = known.process.as_ref().is_some_and(process::has_ended);
    if has_ended && !news.is_cut {
        let at = format!("{:.3}", jiff::Timestamp::now());
        let stamp = Stamp {
            at: &at,
            version: None,
        };
        drafts.extend(unconfirmed(stamp, &mut run, |_| true));
    }
    if drafts.is_empty() && is_same_place(&run, known) {
        return Ok(());
    }
    let held = folder.hold()?;
    // A hook is at work, and reads for itself.
    if Run::load(&folder.path, session, false) != *known {
        return Ok(());
    }
    let (spool, _) = held.open(Limits::of(config, false))?;
    let offload = Offload::of(config);
    for draft in drafts {
        let frame = draft.call.frame(session, &draft.json, redaction, offload)?;
        spool.try_append(&frame)?;
    }
    run.save(known, &folder.path, session)?;
    Ok(())
}
