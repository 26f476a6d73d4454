//! `retention`, `export`, `backup`, `import`, `restore`, `archive`: what they print, and their exit codes.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context;
use session_model::SessionId;
use session_storage::archive::{Archive, Archived};
use session_storage::config::{ArchiveRequest, Config, Output, Remote};
use session_storage::sessions::ExportQuery;
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

fn remark(remarks: &[String]) {
    remarks.iter().for_each(|remark| drop(writeln!(io::stderr(), "session-storage: {remark}")));
}

pub(super) fn retention(config: &Config, dry_run: bool) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let settings = server::settings(config);
    let mut out = io::stdout();
    let archive = config.archive_url.as_deref();
    actix_web::rt::System::new().block_on(retention::run(settings, archive, dry_run, &mut out))?;
    Ok(0)
}

/// Where a command finds the key that it shows to the service, unless a file is named: never among the arguments, which
/// everybody on the machine can read.
const KEY_VARIABLE: &str = "SESSION_STORAGE_KEY";

fn read_key(remote: &Remote) -> anyhow::Result<Option<String>> {
    let key = match &remote.key_file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("failed to read `{}`", file.display()))?
        }
        None => match std::env::var(KEY_VARIABLE) {
            Err(std::env::VarError::NotPresent) => return Ok(None),
            key => key.with_context(|| format!("failed to read {KEY_VARIABLE}"))?,
        },
    };
    let key = key.trim();
    anyhow::ensure!(key.bytes().all(|b| b.is_ascii_graphic()), "the key has characters that no key has");
    Ok(Some(key.to_owned()).filter(|key| !key.is_empty()))
}

fn door<'c>(config: &'c Config, remote: &Remote) -> anyhow::Result<Door<'c>> {
    let (address, authorities) = (remote.address.clone(), remote.authorities.clone());
    Ok(Door { config, address, authorities, key: read_key(remote)? })
}

pub(super) fn write(config: &Config, asked: &Asked, output: &Output) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let written = transfer::write(&door(config, &output.remote)?, options(config), asked, &output.target)?;
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
    remark(&imported.remarks);
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
    remark(&restored.remarks);
    say(&format!(
        "restored to position {}: {} sessions; the directory's new life is {}",
        restored.manifest.position(),
        restored.sessions,
        restored.epoch
    ));
    Ok(0)
}

pub(super) fn archive(config: &Config, asked: ArchiveRequest) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let url = config.archive_url.as_deref().context("ARCHIVE_URL is not set")?;
    let archive = Archive::open(url).map_err(anyhow::Error::from)?;
    actix_web::rt::System::new().block_on(run_archive(config, &archive, asked))?;
    Ok(0)
}

async fn run_archive(config: &Config, archive: &Archive, asked: ArchiveRequest) -> anyhow::Result<()> {
    match asked {
        ArchiveRequest::Push { ids, user, remote } => {
            let door = door(config, &remote)?;
            let tell = |id: &SessionId, archived: Option<&Archived>| match archived {
                Some(archived) => say(&format!("{id}: {} ({} bytes)", archived.key, archived.bytes)),
                None => say(&format!("{id}: is active and was not archived")),
            };
            transfer::archive::push(&door, &options(config), archive, &ExportQuery { ids, user }, tell)
                .await?;
        }
        ArchiveRequest::List { id } => {
            let all = archive.list(id.as_ref()).await?;
            all.iter().for_each(|archived| say(&format!("{} {}", archived.bytes, archived.key)));
        }
        ArchiveRequest::Fetch { id, target } => {
            let (file, archived) = transfer::archive::fetch(archive, &id, &target).await?;
            say(&format!("{}: {} ({} bytes)", file.display(), archived.key, archived.bytes));
        }
    }
    Ok(())
}
