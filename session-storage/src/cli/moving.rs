//! Implements the commands `retention`, `export`, `backup`, `import`, `restore` and `archive`:
//! their output and exit codes.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context;
use session_insight::hail::is_file_name;
use session_model::SessionId;
use session_storage::archive::{Archive, Archived};
use session_storage::config::{ArchiveRequest, Config, LoadedConfig, Output, Remote};
use session_storage::observability::telemetry;
use session_storage::sessions::ExportQuery;
use session_storage::transfer::{self, Asked, Connector};
use session_storage::{retention, server};
use session_store::Options;
use session_store::incoming::{self, Existing, Imported};

use crate::Failure;

fn options(config: &Config) -> Options {
    server::settings(config).store
}

/// Prints a line; a closed pipe is no failure.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn remark(remarks: &[String]) {
    remarks
        .iter()
        .for_each(|remark| drop(writeln!(io::stderr(), "session-storage: {remark}")));
}

pub(crate) fn retention(loaded: &LoadedConfig, dry_run: bool) -> Result<u8, Failure> {
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
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("failed to read `{}`", file.display()))?,
        None => match std::env::var(KEY_VARIABLE) {
            Err(std::env::VarError::NotPresent) => return Ok(None),
            key => key.with_context(|| format!("failed to read {KEY_VARIABLE}"))?,
        },
    };
    let key = key.trim();
    anyhow::ensure!(
        key.bytes().all(|b| b.is_ascii_graphic()),
        "the key contains invalid characters: pass it as `key create` printed it"
    );
    Ok(Some(key.to_owned()).filter(|key| !key.is_empty()))
}

fn connector<'c>(loaded: &'c LoadedConfig, remote: &Remote) -> anyhow::Result<Connector<'c>> {
    let address = remote.address.clone();
    let authorities = remote.authorities.clone();
    let config = &loaded.config;
    let is_directory_given = loaded.is_given("storage_path");
    Ok(Connector {
        config,
        is_directory_given,
        address,
        authorities,
        key: read_key(remote)?,
    })
}

/// Prints a note if the reachable service uses another directory than the one just changed.
pub(crate) fn tell_if_elsewhere(loaded: &LoadedConfig) {
    match connector(loaded, &Remote::default()) {
        Ok(connector) => remark(&Vec::from_iter(connector.elsewhere())),
        Err(error) => remark(&[format!(
            "note: failed to ask the service which directory it uses: {error:#}"
        )]),
    }
}

pub(crate) fn write(loaded: &LoadedConfig, asked: &Asked, output: &Output) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let written = transfer::write(
        &connector(loaded, &output.remote)?,
        options(config),
        asked,
        &output.target,
    )?;
    let manifest = &written.manifest;
    let from = &written.source;
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

pub(crate) fn write_hail(
    loaded: &LoadedConfig,
    ids: &BTreeSet<SessionId>,
    output: &Output,
) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let ids: Vec<SessionId> = ids.iter().cloned().collect();
    let connector = connector(loaded, &output.remote)?;
    let files = transfer::hail::export(&connector, server::settings(config), &ids, &output.target)?;
    files
        .iter()
        .for_each(|file| say(&format!("{}: written and checked", file.display())));
    Ok(0)
}

/// Imports a HAIL file, a bundle or a directory.
fn import_any(config: &Config, source: &Path, existing: Existing) -> Result<Imported, Failure> {
    if !is_file_name(source) {
        return Ok(incoming::import(options(config), source, existing)?);
    }
    let settings = server::serving(config)?;
    let import = transfer::hail::import(settings, source, existing);
    Ok(actix_web::rt::System::new().block_on(import)?)
}

pub(crate) fn import(
    loaded: &LoadedConfig,
    source: &Path,
    existing: Existing,
) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let imported = import_any(config, source, existing)?;
    for (ids, what) in [
        (&imported.new, "imported"),
        (&imported.same, "unchanged"),
        (&imported.skipped, "skipped"),
    ] {
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

pub(crate) fn restore(loaded: &LoadedConfig, file: &Path) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let restored = incoming::restore(options(config), file)?;
    remark(&restored.remarks);
    say(&format!(
        "restored to position {}: {} sessions in `{}`; the directory's new epoch is {}",
        restored.manifest.position(),
        restored.sessions,
        config.storage_path.display(),
        restored.epoch
    ));
    tell_if_elsewhere(loaded);
    Ok(0)
}

pub(crate) fn archive(loaded: &LoadedConfig, asked: ArchiveRequest) -> Result<u8, Failure> {
    let config = &loaded.config;
    telemetry::init(config)?;
    let url = config
        .archive_url
        .as_deref()
        .context("ARCHIVE_URL is not set")?;
    let archive = Archive::open(url).map_err(anyhow::Error::from)?;
    actix_web::rt::System::new().block_on(run_archive(loaded, &archive, asked))?;
    Ok(0)
}

async fn run_archive(
    loaded: &LoadedConfig,
    archive: &Archive,
    asked: ArchiveRequest,
) -> anyhow::Result<()> {
    match asked {
        ArchiveRequest::Push { ids, user, remote } => {
            let connector = connector(loaded, &remote)?;
            let tell = |id: &SessionId, archived: Option<&Archived>| match archived {
                Some(archived) => say(&format!(
                    "{id}: {} ({} bytes)",
                    archived.key, archived.bytes
                )),
                None => say(&format!("{id}: is active and was not archived")),
            };
            let options = options(&loaded.config);
            let query = ExportQuery { ids, user };
            let source =
                transfer::archive::push(&connector, &options, archive, &query, tell).await?;
            remark(&[format!("archived from {source}")]);
        }
        ArchiveRequest::List { id } => {
            let all = archive.list(id.as_ref()).await?;
            all.iter()
                .for_each(|archived| say(&format!("{} {}", archived.bytes, archived.key)));
        }
        ArchiveRequest::Fetch { id, target } => {
            let (file, archived) = transfer::archive::fetch(archive, &id, &target).await?;
            say(&format!(
                "{}: {} ({} bytes)",
                file.display(),
                archived.key,
                archived.bytes
            ));
        }
    }
    Ok(())
}
