//! `retention`, `export`, `backup`, `import`, `restore`: what they print, and their exit codes.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context;
use session_storage::config::{Config, Output};
use session_storage::store::Options;
use session_storage::transfer::{self, Asked, Door, Existing};
use session_storage::{retention, server, telemetry};

use super::Failure;

fn options(config: &Config) -> Options {
    server::settings(config).store
}

/// A closed pipe is no failure.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

pub(super) fn retention(config: &Config, dry_run: bool) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let settings = server::settings(config);
    let mut out = io::stdout();
    actix_web::rt::System::new().block_on(retention::run(settings, dry_run, &mut out))?;
    Ok(0)
}

fn read_key(file: &Path) -> anyhow::Result<String> {
    let key = std::fs::read_to_string(file);
    Ok(key.with_context(|| format!("failed to read `{}`", file.display()))?.trim().to_owned())
}

pub(super) fn write(config: &Config, asked: &Asked, output: &Output) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let key = output.key_file.as_deref().map(read_key).transpose()?;
    let written = transfer::write(&Door { config, key }, options(config), asked, &output.target)?;
    let manifest = &written.manifest;
    let from = if written.from_service { "the running service" } else { "the directory" };
    let what = match asked {
        Asked::Backup => format!("position {}", manifest.position()),
        Asked::Export(_) => format!("{} sessions", manifest.sessions.len()),
    };
    say(&format!(
        "{}: {what} from {from}, {} files, {} bytes",
        written.file.display(),
        manifest.files.len(),
        written.bytes
    ));
    Ok(0)
}

pub(super) fn import(config: &Config, source: &Path, existing: Existing) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let imported = transfer::import(options(config), source, existing)?;
    for (ids, what) in
        [(&imported.new, "imported"), (&imported.same, "unchanged"), (&imported.skipped, "skipped")]
    {
        ids.iter().for_each(|id| say(&format!("{id}: {what}")));
    }
    imported.remarks.iter().for_each(|remark| drop(writeln!(io::stderr(), "session-storage: {remark}")));
    say(&format!(
        "{} sessions imported, {} unchanged, {} skipped, {} remarks",
        imported.new.len(),
        imported.same.len(),
        imported.skipped.len(),
        imported.remarks.len()
    ));
    Ok(0)
}

pub(super) fn restore(config: &Config, file: &Path) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let restored = transfer::restore(options(config), file)?;
    say(&format!(
        "restored to position {}: {} sessions; the directory's new life is {}",
        restored.manifest.position(),
        restored.sessions,
        restored.epoch
    ));
    Ok(0)
}
