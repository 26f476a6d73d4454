//! `flush`: delivers what other processes have left behind, and reports what it could not deliver.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::args::Options;
use super::config::config;
use super::exit::{Exit, Failure, warn};
use crate::claude_code::catch_up;
use crate::delivery::{Delivered, Once};
use crate::spool::{Folder, FolderInfo, SharedFolder, check_trust, survey};
use crate::transport::{is_same_service, service_identity};
use crate::{Config, HookAgent, ServiceUrl};

/// How long the delivery thread may take to release the folders.
const STOP: Duration = Duration::from_secs(5);
/// The pause between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) fn flush(options: &Options) -> Result<Exit, Failure> {
    let deadline = Instant::now() + options.timeout;
    let config = config(options)?;
    let before = folders(&config)?;
    let mut failed = Vec::new();
    if let Some(from) = &options.redirect {
        failed.extend(redirect(&config, from, deadline)?);
    }
    for config in targets(&config, options.all)? {
        if let Err(reason) = deliver(&config, deadline) {
            failed.push(format!("failed to deliver to {}: {reason}", config.service));
        }
    }
    let folders = folders(&config)?;
    let left: Vec<String> = folders
        .iter()
        .filter(|folder| !folder.owned)
        .filter_map(|folder| left(&config, folder))
        .collect();
    let is_left = !left.is_empty();
    let rejections = sum(&folders, |folder| folder.rejected)
        .saturating_sub(sum(&before, |folder| folder.rejected));
    // Losses of other processes are counted when this flush delivers their reports.
    let losses = sum(&folders, |folder| folder.lost)
        .saturating_sub(sum(&before, |folder| folder.lost))
        + sum(&before, |folder| folder.unreported);
    for line in left
        .into_iter()
        .chain(refused(&folders, rejections))
        .chain(lost(&folders, losses))
    {
        warn(&line);
    }
    if !failed.is_empty() || is_left {
        let why = if failed.is_empty() {
            String::new()
        } else {
            format!(": {}", failed.join("; "))
        };
        return Err(Failure {
            exit: Exit::Unavailable,
            message: format!("not everything is delivered{why}; run `hook-agent flush` again"),
        });
    }
    let earlier = sum(&before, |folder| folder.rejected);
    if earlier > 0 {
        warn(&format!(
            "{} rejected by the service earlier: see `hook-agent status`",
            records(earlier)
        ));
    }
    if rejections > 0 {
        return Err(Failure {
            exit: Exit::Refused,
            message: format!("{} rejected by the service", records(rejections)),
        });
    }
    if losses > 0 {
        return Err(Failure {
            exit: Exit::Spool,
            message: format!("{} lost", records(losses)),
        });
    }
    Ok(Exit::Done)
}

/// Returns the existing spool directories. The shared fallback directory is skipped if it does not
/// belong to this user alone.
pub(super) fn directories(config: &Config) -> impl Iterator<Item = &PathBuf> {
    config
        .spool_dirs
        .iter()
        .filter(|dir| dir.is_dir() && check_trust(dir).is_ok())
}

/// Returns all folders and what is pending in them.
pub(super) fn folders(config: &Config) -> Result<Vec<FolderInfo>, Failure> {
    let mut folders = Vec::new();
    for dir in directories(config) {
        let unreadable = |error| Failure {
            exit: Exit::Spool,
            message: format!("`{}`: {error}", dir.display()),
        };
        folders.extend(survey(dir).map_err(unreadable)?);
    }
    Ok(folders)
}

pub(super) fn records(count: u64) -> String {
    if count == 1 {
        "1 record".to_owned()
    } else {
        format!("{count} records")
    }
}

fn sum(folders: &[FolderInfo], of: impl Fn(&FolderInfo) -> u64) -> u64 {
    folders.iter().map(of).sum()
}

/// Returns the configurations to deliver with: ours, and with `all` one for each other service that
/// a folder is for. Our token is sent only to our service.
fn targets(config: &Config, all: bool) -> Result<Vec<Config>, Failure> {
    let mut targets = vec![config.clone()];
    if all {
        for folder in folders(config)?.iter().filter(|folder| folder.pending > 0) {
            let is_known =
                |known: &Config| is_same_service(known.service.as_str(), &folder.service);
            let Ok(service) = ServiceUrl::parse(&folder.service) else {
                continue;
            };
            if !targets.iter().any(is_known) {
                targets.push(Config {
                    service,
                    token: None,
                    ..config.clone()
                });
            }
        }
    }
    Ok(targets)
}

fn deliver(config: &Config, deadline: Instant) -> Result<(), String> {
    let mut reason = None;
    for dir in directories(config) {
        let folders = SharedFolder::find(dir, config.service.as_str())
            .map_err(|error| format!("`{}`: {error}", dir.display()))?;
        for folder in folders {
            reason = deliver_shared(config, &folder, deadline).err().or(reason);
        }
    }
    let agent = HookAgent::new(config.clone());
    let left = deadline.saturating_duration_since(Instant::now());
    let delivered = agent.flush_all(left).map_err(|error| error.to_string())?;
    let known = agent.stats().ok().and_then(|stats| stats.last_error);
    agent.stop(STOP);
    if !delivered {
        reason = reason.or(known);
        reason.get_or_insert_with(|| "the service did not accept everything in time".to_owned());
    }
    reason.map_or(Ok(()), Err)
}

fn deliver_shared(config: &Config, folder: &SharedFolder, deadline: Instant) -> Result<(), String> {
    catch_up(config, folder, deadline)?;
    loop {
        let attempt = Once {
            config,
            folder,
            deadline,
            last: true,
        };
        let reason = match attempt.deliver() {
            Ok(Delivered::All) => return Ok(()),
            Ok(Delivered::LeftToOthers) => "another process is delivering it".to_owned(),
            Ok(Delivered::Failed(reason)) => reason,
            Err(error) => format!("`{}`: {error}", folder.path.display()),
        };
        if Instant::now() + AGAIN >= deadline {
            return Err(reason);
        }
        std::thread::sleep(AGAIN);
    }
}

/// Assigns folders that are for another service, or have this name, to ours. Shared folders are
/// delivered here instead, because hooks may go on writing to them. Returns what failed.
fn redirect(config: &Config, from: &str, deadline: Instant) -> Result<Vec<String>, Failure> {
    let mut failed = Vec::new();
    let mut found = false;
    for folder in folders(config)? {
        if folder.name != from && service_identity(&folder.service) != service_identity(from) {
            continue;
        }
        found = true;
        if folder.shared {
            let shared = SharedFolder { path: folder.path };
            failed.extend(deliver_shared(config, &shared, deadline).err());
            continue;
        }
        match Folder::redirect(&folder.path, config.service.as_str()) {
            Ok(Some(())) => {}
            Ok(None) => failed.push(format!(
                "`{}` belongs to a running process: end it first",
                folder.path.display()
            )),
            Err(error) => failed.push(format!("`{}`: {error}", folder.path.display())),
        }
    }
    if !found {
        warn(&format!(
            "nothing is spooled for `{from}`: see `hook-agent status`"
        ));
    }
    Ok(failed)
}

/// Returns what is left in a folder, and what to do about it.
fn left(config: &Config, folder: &FolderInfo) -> Option<String> {
    let FolderInfo {
        path,
        name,
        service,
        pending,
        error,
        ..
    } = folder;
    let path = path.display();
    if let Some(error) = error {
        return Some(format!(
            "failed to read `{path}` ({}): {error}",
            records(*pending)
        ));
    }
    if *pending == 0 {
        return None;
    }
    let records = records(*pending);
    let count = if *pending == 1 { "waits" } else { "wait" };
    Some(if is_same_service(service, config.service.as_str()) {
        format!("{records} {count} in `{path}`")
    } else if ServiceUrl::parse(service).is_ok() {
        format!(
            "{records} {count} for {service} in `{path}`: `flush --all` delivers there, `flush --redirect {service}` here"
        )
    } else {
        format!(
            "{records} {count} in `{path}` for an unknown service: `flush --redirect {name}` delivers here"
        )
    })
}

/// Returns a message about the records rejected during this flush.
fn refused(folders: &[FolderInfo], rejections: u64) -> Option<String> {
    let folder = latest(folders, rejections, |folder| folder.rejected, "rejected")?;
    let why = folder
        .last_rejection
        .as_deref()
        .unwrap_or("the reason is unknown");
    let path = folder.path.join("rejected/events.jsonl");
    Some(format!(
        "{} rejected by the service: {why} (kept in `{}`)",
        records(rejections),
        path.display()
    ))
}

/// Returns a message about the losses that this flush found or reported.
fn lost(folders: &[FolderInfo], losses: u64) -> Option<String> {
    let folder = latest(folders, losses, |folder| folder.lost, "lost")?;
    let why = folder
        .last_loss
        .as_deref()
        .unwrap_or("the reason is unknown");
    let path = folder.path.join("lost/events.jsonl");
    Some(format!(
        "{} lost, the last: {why} (listed in `{}`)",
        records(losses),
        path.display()
    ))
}

/// Returns the folder whose rejected or lost records are the latest.
fn latest<'f>(
    folders: &'f [FolderInfo],
    count: u64,
    of: impl Fn(&FolderInfo) -> u64,
    directory: &str,
) -> Option<&'f FolderInfo> {
    let with_some = folders.iter().filter(|folder| count > 0 && of(folder) > 0);
    with_some.max_by_key(|folder| {
        std::fs::metadata(folder.path.join(directory))
            .and_then(|found| found.modified())
            .ok()
    })
}
