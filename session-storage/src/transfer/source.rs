//! Determines which directory a command works on, and whether the reachable service uses that
//! directory.
//!
//! A command is given a storage directory and an address where a service may listen, and either may
//! be a default. Any service may answer there. So the run id that the service reports is compared
//! with the one in the directory's `.lock` (see [`session_store::directory::last_run`]), and a command never copies
//! from a service that uses another directory.

use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::Connector;
use crate::http::routes::admin::STORAGE_DIRECTORY;
use crate::http::routes::health::STORAGE_RUN;
use session_store::directory::{is_storage, last_run, lock_file};

/// Where the data of a copy comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A running service.
    Service {
        /// Where the service was reached.
        place: String,
        /// The directory that the service uses, if it reports one.
        directory: Option<PathBuf>,
    },
    /// A directory that no service uses.
    Directory(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service {
                directory: Some(path),
                ..
            } => {
                write!(f, "the running service on `{}`", path.display())
            }
            Self::Service {
                place,
                directory: None,
            } => write!(f, "the running service at {place}"),
            Self::Directory(path) => write!(f, "the directory `{}`", path.display()),
        }
    }
}

/// Whether a path is a storage directory or is prepared to become one: keys may be created before
/// the first start.
pub fn is_storage_directory(path: &Path) -> bool {
    is_storage(path) || path.join("access").is_dir()
}

impl Connector<'_> {
    /// Returns the source of a copy; refuses a service that uses another directory than the
    /// configured one.
    pub(super) fn source(&self) -> anyhow::Result<Source> {
        let path = &self.config.storage_path;
        let Some(run) = self.run()? else {
            ensure!(
                is_storage(path),
                "no service answers at {}, and `{}` is no storage directory: it has no `sessions`",
                self.place(),
                path.display()
            );
            return Ok(Source::Directory(whole(path)));
        };
        let place = self.place();
        if self.address.is_some() && !self.is_directory_given {
            return Ok(Source::Service {
                place,
                directory: self.directory()?,
            });
        }
        if self.is_ours(run.as_deref())? {
            return Ok(Source::Service {
                place,
                directory: Some(whole(path)),
            });
        }
        let served = self.named(run.as_deref());
        let path = path.display();
        if self.address.is_some() {
            bail!(
                "{served}, not `{path}`: leave out STORAGE_PATH or --storage-path to copy what runs there"
            );
        }
        let not_one = if is_storage(&self.config.storage_path) {
            "another directory"
        } else {
            "no storage directory (it has no `sessions`)"
        };
        bail!(
            "nothing was copied: {served}, and `{path}` is {not_one}. Set STORAGE_PATH to the directory to copy, and \
             PORT or SOCKET_PATH to where its service listens (PORT=0: no service keeps it)"
        )
    }

    /// Returns the message to print after a change of the directory's files if the reachable
    /// service uses another directory.
    pub fn elsewhere(&self) -> Option<String> {
        let path = self.config.storage_path.display();
        match self.other_run() {
            Ok(None) => None,
            Ok(Some(run)) => {
                let served = self.named(run.as_deref());
                Some(format!(
                    "warning: {served}, not `{path}`: it does not see what was changed there"
                ))
            }
            Err(error) => Some(format!(
                "note: it could not be told whether the service at {} keeps `{path}`: {error:#}",
                self.place()
            )),
        }
    }

    /// Returns the run id of the service if the service uses another directory.
    #[expect(
        clippy::option_option,
        reason = "nobody and nameless are different things"
    )]
    fn other_run(&self) -> anyhow::Result<Option<Option<String>>> {
        let Some(run) = self.run()? else {
            return Ok(None);
        };
        Ok(if self.is_ours(run.as_deref())? {
            None
        } else {
            Some(run)
        })
    }

    /// Returns the run id of the service: `Some(None)` if the server that answers reports none,
    /// `None` if no server answers.
    #[expect(
        clippy::option_option,
        reason = "nobody and nameless are different things"
    )]
    fn run(&self) -> anyhow::Result<Option<Option<String>>> {
        let Some(head) = self.head_of("GET", "/health")? else {
            return Ok(None);
        };
        let run = head
            .header(STORAGE_RUN.as_str())
            .map(|run| String::from_utf8_lossy(run).into_owned());
        Ok(Some(run))
    }

    /// Whether the service with this run id uses the configured directory.
    fn is_ours(&self, run: Option<&str>) -> anyhow::Result<bool> {
        let path = &self.config.storage_path;
        let last = last_run(path).with_context(|| {
            format!(
                "failed to read `{}`, which says who keeps the directory (is this the service's user?)",
                lock_file(path).display()
            )
        })?;
        Ok(run.is_some() && run == last.as_deref())
    }

    /// Returns the directory that the service reports; `None` if it is too old to report one.
    fn directory(&self) -> anyhow::Result<Option<PathBuf>> {
        let head = self
            .head_of("HEAD", "/api/admin/backup")?
            .context("the service has gone")?;
        Ok(head.header(STORAGE_DIRECTORY.as_str()).map(decoded))
    }

    /// Describes the service for an error or a warning: where it listens, and which directory it
    /// uses, as far as that is known.
    fn named(&self, run: Option<&str>) -> String {
        let place = self.place();
        match self.directory() {
            Ok(Some(directory)) => {
                format!("the service at {place} keeps `{}`", directory.display())
            }
            Ok(None) | Err(_) if run.is_none() => {
                format!(
                    "what answers at {place} does not say which directory it keeps (an older version?)"
                )
            }
            Ok(None) => format!("the service at {place} keeps another directory"),
            Err(error) => format!("the service at {place} keeps another directory ({error:#})"),
        }
    }
}

/// Returns the absolute path, which is valid from any working directory.
fn whole(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Decodes a path from a header.
fn decoded(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[2..] } else { behind };
    }
    std::ffi::OsString::from_vec(bytes).into()
}
