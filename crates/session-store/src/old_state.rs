//! Old versions of a session's state: the nearest key frame before the version, and the changes
//! from there on. The cost is bounded by the distance between two key frames.

use session_model::change_line::{self, ChangeLine};
use session_model::state::State;
use session_model::{Code, EventKind, LogKind, Refusal, SessionId, Stamp, View};

use super::engine::Engine;
use super::log_file::{LogFile, by_seq};
use super::refusals::{damaged, open_log};

/// Computes an old state from the nearest key frame. Returns `None` if the session
/// has never had this version. Blocking.
pub fn state_at(
    engine: &dyn Engine,
    id: &SessionId,
    version: u64,
) -> Result<Option<State>, Refusal> {
    let failed = |_| Refusal::new(Code::Internal, "the history could not be read");
    let log = open_log(engine, id, LogKind::Changes)?;
    // The last line whose state has this version or a lower one; the next line is the first above
    // it.
    let end = log
        .find(version + 1, change_line::version_of)
        .map_err(failed)?;
    let mut last = None;
    if end > 0 {
        let (start, lines) = log.lines_before(0, end, 4096).map_err(failed)?;
        let text = lines.trim_ascii_end();
        let begin = memchr::memrchr(b'\n', text).map_or(0, |n| n + 1);
        last = Some(parse(&text[begin..], start + begin as u64)?);
    }
    let key = match &last {
        Some(line) => line.key,
        // Older than the first change written by this service: the version can only be the state
        // that the session was created with.
        None => 1,
    };
    let Some((at, _)) = log.line(key, by_seq).map_err(failed)? else {
        return Ok(None);
    };
    replay(&log, at, version, id)
}

fn parse(line: &[u8], at: u64) -> Result<ChangeLine, Refusal> {
    let whole = session_model::line::check(line) == session_model::line::Seal::Whole;
    match ChangeLine::parse(line) {
        Some(change) if whole => Ok(change),
        _ => Err(damaged(LogKind::Changes, at)),
    }
}

/// Replays changes from the key frame at a file position up to a version.
fn replay(
    log: &LogFile,
    from: u64,
    version: u64,
    id: &SessionId,
) -> Result<Option<State>, Refusal> {
    let mut view: Option<View> = None;
    let mut refused = None;
    let walked = log.walk(from, log.len(), |at, text| {
        match step(&mut view, text, at, version, id) {
            Ok(more) => more,
            Err(refusal) => {
                refused = Some(refusal);
                false
            }
        }
    });
    walked.map_err(|_| Refusal::new(Code::Internal, "the history could not be read"))?;
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    view.iter_mut().for_each(View::settle);
    Ok(view
        .map(|v| v.state)
        .filter(|state| state.version() == version))
}

fn step(
    view: &mut Option<View>,
    text: &[u8],
    at: u64,
    version: u64,
    id: &SessionId,
) -> Result<bool, Refusal> {
    let line = parse(text, at)?;
    let change = line.change().ok_or_else(|| damaged(LogKind::Changes, at))?;
    let stamp = Stamp {
        seq: line.seq,
        offset: line.offset,
        at: line.at(),
        bytes: 0,
        keyframe: false,
    };
    if view.is_none() {
        let created_view = View::at_creation(id, &change, stamp);
        match line.state.clone() {
            Some(state) => *view = Some(View::adopt(id.clone(), created_view.metadata, state)),
            None if change.kind == EventKind::SessionCreated => {
                *view = Some(created_view);
                return Ok(version > 1);
            }
            None => return Ok(false),
        }
    }
    let Some(view) = view.as_mut() else {
        return Ok(false);
    };
    if view.state.version() >= version || line.version > version {
        return Ok(false);
    }
    if change.kind.changes_state() {
        view.apply_one(&change, stamp)?;
    }
    Ok(view.state.version() < version)
}
