//! The runs that are used: those that cover the log from its start without a gap.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use session_model::{LogKind, SessionId};

use super::run::{self, Run};
use crate::layout::{KEY_LEVELS, Layout, key_run};
use crate::log_file::LogFile;
use crate::reader_limit::OpenPermit;

/// What the runs of a log must fit.
pub(crate) struct Covered<'l> {
    pub(crate) log: LogKind,
    /// The offset of the session's creation.
    pub(crate) created_offset: u64,
    /// The log's length, in bytes.
    pub(crate) len: u64,
    pub(crate) file: &'l LogFile,
}

/// Returns the path of a run.
pub(crate) fn run_path(layout: &Layout, id: &SessionId, log: LogKind, level: u32) -> PathBuf {
    layout.file(id, &key_run(log, level))
}

/// Opens the runs that are used, the one with the greatest level first.
pub(crate) fn open_chain(
    layout: &Layout,
    id: &SessionId,
    covered: &Covered<'_>,
    permit: impl Fn() -> Option<OpenPermit>,
) -> io::Result<Vec<Arc<Run>>> {
    let mut runs: Vec<Arc<Run>> = Vec::new();
    let mut end = 0;
    for level in (1..=KEY_LEVELS).rev() {
        let path = run_path(layout, id, covered.log, level);
        let Some(run) = Run::open(&path, permit())? else {
            continue;
        };
        let header = run.header;
        let belongs = header.log == covered.log
            && header.level == level
            && header.created_offset == covered.created_offset
            && header.from <= end
            && header.to > end
            && header.to <= covered.len;
        if belongs && run::mark(covered.file, header.to)? == header.mark {
            end = header.to;
            runs.push(Arc::new(run));
        }
    }
    Ok(runs)
}
