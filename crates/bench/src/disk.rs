//! What the disk itself costs: append 300 bytes, sync, again.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::action;
use crate::closed_loop::Window;
use crate::sample::{Latency, Run};

/// Appends and syncs (fdatasync) in a loop, in a file of its own in `dir`.
pub(crate) fn fdatasync(dir: &Path, window: Window) -> Result<Run> {
    let path = dir.join("fdatasync");
    let mut file =
        File::create(&path).with_context(|| format!("failed to create `{}`", path.display()))?;
    let record = [b'x'; action::SIZE];
    let begin = Instant::now() + window.warm_up;
    let end = begin + window.measured;
    let mut samples = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        if started >= begin {
            samples.push(started.elapsed().as_nanos() as u64);
        }
    }
    let rate = samples.len() as f64 / window.measured.as_secs_f64();
    Ok(Run {
        rate,
        latency: Latency::of(&mut samples),
        cpu: None,
    })
}

/// Has the file system write what it holds back, so that one measurement doesn't pay for the one
/// before it.
pub(crate) fn settle(dir: &Path) -> Result<()> {
    rustix::fs::syncfs(File::open(dir)?)?;
    std::thread::sleep(Duration::from_millis(300));
    Ok(())
}
