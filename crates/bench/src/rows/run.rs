//! Running the table: a row that fails is reported as such and does not stop the others.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::{Row, TABLE, against};
use crate::bench::Bench;
use crate::cli::RunOptions;
use crate::measurement::{Measurement, Outcome};
use crate::report;

/// Measures the rows that are asked for and prints the table.
pub(crate) fn run(options: &RunOptions) -> Result<ExitCode> {
    let rows = chosen(&options.only, options.against.is_some())?;
    let bench = Bench::new(options)?;
    let mut measurements = Vec::new();
    report::header();
    for row in rows {
        let measured = measure(&bench, row);
        report::lines(&measured);
        measurements.extend(measured);
    }
    Ok(report::exit_code(&measurements))
}

fn chosen(names: &[String], has_other: bool) -> Result<Vec<&'static Row>> {
    for name in names {
        ensure!(
            TABLE.iter().any(|row| row.name == name),
            "no row is called `{name}`; see `load rows`"
        );
    }
    Ok(TABLE
        .iter()
        .filter(|row| match names {
            [] => has_other || row.name != against::NAME,
            names => names.iter().any(|name| row.name == name),
        })
        .collect())
}

fn measure(bench: &Bench, row: &Row) -> Vec<Measurement> {
    bench.progress(&format!("{}: {}", row.name, row.about));
    (row.measure)(bench).unwrap_or_else(|error| {
        bench.progress(&format!("  FAILED: {error:#}"));
        vec![Measurement::absent(
            row.about,
            Outcome::Failed(format!("{error:#}")),
        )]
    })
}
