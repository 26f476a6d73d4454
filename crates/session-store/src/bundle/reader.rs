//! Reads a bundle into a staging folder and verifies every byte.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use session_model::hex::hex;
use sha2::{Digest as _, Sha256};

use super::manifest::{Kind, MANIFEST, Manifest, SCHEMA, Sum};
use super::member_path;

/// The maximum size of a manifest.
const MAX_MANIFEST: u64 = 512 << 20;
/// The maximum number of zero bytes after the last member.
const MAX_PADDING: u64 = 1 << 20;
/// The maximum number of members.
const MAX_MEMBERS: usize = 10_000_000;

/// Why a bundle is refused. Nothing outside the staging folder was changed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The data is no bundle, is cut off, or has a format that this version does not know.
    #[error("this is no whole bundle: {0}")]
    Malformed(String),
    /// The bundle has a member that is not allowed: a link, a device, a path that leads elsewhere.
    #[error("the bundle has a member that it may not have: {0}")]
    Forbidden(String),
    /// The content differs from the manifest.
    #[error("the bundle is damaged: {0}")]
    Damaged(String),
    /// The bundle is larger than the available space.
    #[error("the bundle unpacks to more than the {0} bytes that there is room for")]
    TooLarge(u64),
    /// A file could not be written.
    #[error("failed to write `{path}`: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

fn malformed(error: &io::Error) -> BundleError {
    BundleError::Malformed(error.to_string())
}

/// Unpacks a compressed bundle into an empty folder, at most `limit` bytes, and verifies it.
pub fn stage(packed: impl Read, into: &Path, limit: u64) -> Result<Manifest, BundleError> {
    read(packed, Some(into), limit)
}

/// Verifies a compressed bundle without unpacking it anywhere.
pub fn prove(packed: impl Read) -> Result<Manifest, BundleError> {
    read(packed, None, u64::MAX)
}

fn read(packed: impl Read, into: Option<&Path>, limit: u64) -> Result<Manifest, BundleError> {
    let plain = zstd::stream::read::Decoder::new(packed).map_err(|e| malformed(&e))?;
    let mut staging = Staging {
        into,
        limit,
        left: limit,
        found: BTreeMap::new(),
    };
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, plain));
    let mut manifest = None;
    for member in archive.entries().map_err(|e| malformed(&e))?.raw(true) {
        let mut member = member.map_err(|e| malformed(&e))?;
        let path = regular(member.header())?;
        if manifest.is_some() || staging.found.len() >= MAX_MEMBERS {
            return Err(BundleError::Forbidden(format!("`{path}` behind the end")));
        }
        let len = member.header().entry_size().map_err(|e| malformed(&e))?;
        if path == MANIFEST {
            manifest = Some(read_manifest(&mut member, len)?);
        } else {
            staging.take(&path, len, &mut member)?;
        }
    }
    let manifest =
        manifest.ok_or_else(|| BundleError::Malformed("it ends before its manifest".to_owned()))?;
    nothing_follows(archive.into_inner())?;
    staging.prove(&manifest)?;
    Ok(manifest)
}

/// Checks that only zeros follow the last member. Reading to the end also verifies the
/// compression's checksum.
fn nothing_follows(rest: impl Read) -> Result<(), BundleError> {
    let mut zeros = Vec::new();
    rest.take(MAX_PADDING + 1)
        .read_to_end(&mut zeros)
        .map_err(|e| malformed(&e))?;
    if zeros.len() as u64 > MAX_PADDING || zeros.iter().any(|byte| *byte != 0) {
        return Err(BundleError::Malformed(
            "something follows its end".to_owned(),
        ));
    }
    Ok(())
}

/// Returns the path of a member, which must be a regular file.
fn regular(header: &tar::Header) -> Result<String, BundleError> {
    let path = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    match header.entry_type() {
        tar::EntryType::Regular => Ok(path),
        other => Err(BundleError::Forbidden(format!(
            "`{path}` is no regular file but {other:?}"
        ))),
    }
}

fn read_manifest(member: &mut impl Read, len: u64) -> Result<Manifest, BundleError> {
    if len > MAX_MANIFEST {
        return Err(BundleError::TooLarge(MAX_MANIFEST));
    }
    let mut bytes = Vec::new();
    member.read_to_end(&mut bytes).map_err(|e| malformed(&e))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|e| BundleError::Malformed(format!("its manifest: {e}")))?;
    if value["$schema"] != SCHEMA {
        let found = &value["$schema"];
        return Err(BundleError::Malformed(format!(
            "its form is {found}, this version reads `{SCHEMA}`"
        )));
    }
    serde_json::from_value(value).map_err(|e| BundleError::Malformed(format!("its manifest: {e}")))
}

struct Staging<'a> {
    into: Option<&'a Path>,
    limit: u64,
    left: u64,
    found: BTreeMap<String, Sum>,
}

impl Staging<'_> {
    fn take(&mut self, path: &str, len: u64, from: &mut impl Read) -> Result<(), BundleError> {
        if member_path::parse(path, Kind::Backup).is_none() {
            return Err(BundleError::Forbidden(format!("`{}`", path.escape_debug())));
        }
        if self.found.contains_key(path) {
            return Err(BundleError::Forbidden(format!("`{path}` twice")));
        }
        self.left = self
            .left
            .checked_sub(len)
            .ok_or(BundleError::TooLarge(self.limit))?;
        let sum = match self.into {
            Some(folder) => unpack(from, &folder.join(path))?,
            None => copy(from, &mut io::sink(), &|source| BundleError::Write {
                path: path.into(),
                source,
            })?,
        };
        if sum.bytes != len {
            return Err(BundleError::Malformed(format!("`{path}` is cut off")));
        }
        self.found.insert(path.to_owned(), sum);
        Ok(())
    }

    /// Checks that the members are exactly those of the manifest.
    fn prove(&self, manifest: &Manifest) -> Result<(), BundleError> {
        let damaged = |what: String| Err(BundleError::Damaged(what));
        for (path, sum) in &manifest.files {
            match self.found.get(path) {
                None => return damaged(format!("`{}` is missing", path.escape_debug())),
                Some(found) if found != sum => {
                    return damaged(format!("`{path}` is not what was stored"));
                }
                Some(_) => {}
            }
        }
        if let Some(path) = self
            .found
            .keys()
            .find(|path| !manifest.files.contains_key(*path))
        {
            return damaged(format!("`{path}` is not in the manifest"));
        }
        if let Some(path) = self
            .found
            .keys()
            .find(|path| member_path::parse(path, manifest.kind).is_none())
        {
            return Err(BundleError::Forbidden(format!("`{path}` in an export")));
        }
        Ok(())
    }
}

/// Writes a member to a file, which must not exist.
fn unpack(from: &mut impl Read, file: &Path) -> Result<Sum, BundleError> {
    let write = |source| BundleError::Write {
        path: file.to_owned(),
        source,
    };
    fs::create_dir_all(file.parent().unwrap_or(file)).map_err(write)?;
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(write)?;
    copy(from, &mut out, &write)
}

fn copy(
    from: &mut impl Read,
    out: &mut impl Write,
    write: &impl Fn(io::Error) -> BundleError,
) -> Result<Sum, BundleError> {
    let mut sum = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let n = from.read(&mut buffer).map_err(|e| malformed(&e))?;
        if n == 0 {
            return Ok(Sum {
                bytes,
                sha256: hex(&sum.finalize()),
            });
        }
        sum.update(&buffer[..n]);
        out.write_all(&buffer[..n]).map_err(write)?;
        bytes += n as u64;
    }
}

#[cfg(test)]
mod tests;
