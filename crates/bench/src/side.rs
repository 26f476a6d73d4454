//! Lanes: what a row compares, measured in turns.

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::closed_loop::{ClosedLoop, Window};
use crate::disk;
use crate::sample::{Run, Summary};

/// One side of a comparison.
pub(crate) struct Side<'a> {
    name: &'a str,
    measure: Box<dyn FnMut(Window) -> Result<Run> + 'a>,
}

impl<'a> Side<'a> {
    /// A lane that measures itself.
    pub(crate) fn new(name: &'a str, measure: impl FnMut(Window) -> Result<Run> + 'a) -> Self {
        Self {
            name,
            measure: Box::new(measure),
        }
    }

    /// A lane that puts this load on a server.
    pub(crate) fn load(name: &'a str, load: ClosedLoop) -> Self {
        Self::new(name, move |window| load.run(window))
    }
}

/// Measures all lanes, then all of them again (A B A B …), and condenses each lane's repeats.
pub(crate) fn interleave<const N: usize>(
    bench: &Bench,
    lanes: [Side<'_>; N],
) -> Result<[Summary; N]> {
    let summaries = interleave_all(bench, lanes.into())?;
    summaries
        .try_into()
        .ok()
        .context("as many summaries as lanes")
}

/// Like [`interleave`], when the number of lanes is known only at run time.
pub(crate) fn interleave_all(bench: &Bench, mut lanes: Vec<Side<'_>>) -> Result<Vec<Summary>> {
    let mut runs = vec![Vec::new(); lanes.len()];
    for repeat in 1..=bench.repeats {
        for (side, runs) in lanes.iter_mut().zip(&mut runs) {
            disk::settle(&bench.launch.dir)?;
            let run = (side.measure)(bench.window)
                .with_context(|| format!("failed to measure {}", side.name))?;
            bench.progress(&format!(
                "  {repeat}/{} {}: {:.0}/s",
                bench.repeats, side.name, run.rate
            ));
            runs.push(run);
        }
    }
    Ok(runs.iter().map(|runs| Summary::of(runs)).collect())
}
