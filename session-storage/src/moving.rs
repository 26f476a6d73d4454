//! Implements the commands `retention`, `export`, `backup`, `import`, `restore` and `archive`:
//! their output and exit codes.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context;
use session_model::SessionId;
use session_storage::archive::{Archive, Archived};
use session_storage::config::{ArchiveRequest, Config, Loaded, Output, Remote};
use session_storage::sessions::ExportQuery;
use session_storage::store::Options;
use session_storage::transfer::{self, Asked, Door, Existing};
use session_storage::{retention, server, telemetry};

use super::Failure;

fn options(config: &Config) -> Options {
    server::settings(config).store
}

/// Prints a line; a closed pipe is no failure.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn remark(remarks: &[String]) {
    remarks.iter().for_each(|remark| drop(writeln!(io::stderr(), "session-storage: {remark}")));
}

pub(super) fn retention(loaded: &Loaded, dry_run: bool) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let settings = server::settings(config);
    let mut out = io::stdout();
    let archive = config.archive_url.as_deref();
    actix_web::rt::System::new().block_on(retention::run(settings, archive, dry_run, &mut out))?;
    if !dry_run && !config.retention_dry_run {
        tell_if_elsewhere(loaded);
    }
    Ok(0)
}

/// The variable that holds the key a command sends to the service, unless a file is given. A key is
/// never an argument, because every user of the machine can read those.
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

fn door<'c>(loaded: &'c Loaded, remote: &Remote) -> anyhow::Result<Door<'c>> {
    let (address, authorities) = (remote.address.clone(), remote.authorities.clone());
    let (config, is_directory_given) = (&loaded.config, loaded.is_given("storage_path"));
    Ok(Door { config, is_directory_given, address, authorities, key: read_key(remote)? })
}

/// Prints a note if the reachable service uses another directory than the one just changed.
pub(super) fn tell_if_elsewhere(loaded: &Loaded) {
    match door(loaded, &Remote::default()) {
        Ok(door) => remark(&Vec::from_iter(door.elsewhere())),
        Err(error) => remark(&[format!("note: no service was asked which directory it keeps: {error:#}")]),
    }
}

pub(super) fn write(loaded: &Loaded, asked: &Asked, output: &Output) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let written = transfer::write(&door(loaded, &output.remote)?, options(config), asked, &output.target)?;
    let (manifest, from) = (&written.manifest, &written.source);
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

pub(super) fn import(loaded: &Loaded, source: &Path, existing: Existing) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let imported = transfer::import(options(config), source, existing)?;
    for (ids, what) in
        [(&imported.new, "imported"), (&imported.same, "unchanged"), (&imported.skipped, "skipped")]
    {
        ids.iter().for_each(|id| say(&format!("{id}: {what}")));
    }
    remark(&imported.remarks);
    say(&format!(
        "{} sessions imported, {} unchanged, {} skipped, {} remarks, in `{}`",
        imported.new.len(),
        imported.same.len(),
        imported.skipped.len(),
        imported.remarks.len(),
        config.storage_path.display()
    ));
    tell_if_elsewhere(loaded);
    Ok(0)
}

pub(super) fn restore(loaded: &Loaded, file: &Path) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let restored = transfer::restore(options(config), file)?;
    remark(&restored.remarks);
    say(&format!(
        "restored to position {}: {} sessions in `{}`; the directory's new life is {}",
        restored.manifest.position(),
        restored.sessions,
        config.storage_path.display(),
        restored.epoch
    ));
    tell_if_elsewhere(loaded);
    Ok(0)
}

pub(super) fn archive(loaded: &Loaded, asked: ArchiveRequest) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let url = config.archive_url.as_deref().context("ARCHIVE_URL is not set")?;
    let archive = Archive::open(url).map_err(anyhow::Error::from)?;
    actix_web::rt::System::new().block_on(run_archive(loaded, &archive, asked))?;
    Ok(0)
}

async fn run_archive(loaded: &Loaded, archive: &Archive, asked: ArchiveRequest) -> anyhow::Result<()> {
    match asked {
        ArchiveRequest::Push { ids, user, remote } => {
            let door = door(loaded, &remote)?;
            let tell = |id: &SessionId, archived: Option<&Archived>| match archived {
                Some(archived) => say(&format!("{id}: {} ({} bytes)", archived.key, archived.bytes)),
                None => say(&format!("{id}: is active and was not archived")),
            };
            let (options, query) = (options(&loaded.config), ExportQuery { ids, user });
            let source = transfer::archive::push(&door, &options, archive, &query, tell).await?;
            remark(&[format!("archived from {source}")]);
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
