//! Writes a bundle: one member after the other, each hashed while it is copied, and the manifest at
//! the end.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use session_model::Timestamp;
use session_model::hex::hex;
use sha2::{Digest as _, Sha256};

use super::manifest::{Exported, KeptBack, Kind, MANIFEST, Manifest, SCHEMA, Sum};

/// A receiver of a bundle's bytes.
pub type Sink<'w> = &'w mut dyn Write;

/// A bundle that is being written to `W`.
pub struct BundleWriter<W: Write> {
    tar: tar::Builder<W>,
    files: BTreeMap<String, Sum>,
    sessions: BTreeMap<String, Exported>,
    kept_back: Option<KeptBack>,
    at: Timestamp,
}

impl<W: Write> BundleWriter<W> {
    /// Starts an empty bundle.
    pub fn new(out: W, at: Timestamp) -> Self {
        Self {
            tar: tar::Builder::new(out),
            files: BTreeMap::new(),
            sessions: BTreeMap::new(),
            kept_back: None,
            at,
        }
    }

    /// Adds a member of exactly `len` bytes; fewer bytes are an error.
    pub fn file(&mut self, path: String, len: u64, from: impl Read) -> io::Result<()> {
        let mut summed = Summed {
            from: from.take(len),
            sum: Sha256::new(),
            read: 0,
        };
        self.append(&path, len, &mut summed)?;
        if summed.read != len {
            let what = format!("`{path}` has {} bytes instead of {len}", summed.read);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.files.insert(
            path,
            Sum {
                bytes: len,
                sha256: hex(&summed.sum.finalize()),
            },
        );
        Ok(())
    }

    /// Adds a member from memory.
    pub fn bytes(&mut self, path: String, bytes: &[u8]) -> io::Result<()> {
        self.file(path, bytes.len() as u64, bytes)
    }

    /// Returns whether a member of this path was added.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Records a session whose members were added.
    pub fn session(&mut self, id: &str, exported: Exported) {
        self.sessions.insert(id.to_owned(), exported);
    }

    /// Records what is left out of the bundle.
    pub fn keep_back(&mut self, what: KeptBack) {
        self.kept_back = Some(what);
    }

    /// Writes the manifest and the end of the tar.
    pub fn finish(self, kind: Kind, epoch: &str, offset: u64) -> io::Result<W> {
        self.finish_as(env!("CARGO_PKG_VERSION"), kind, epoch, offset)
    }

    /// Finishes the bundle as this version of the service.
    pub(crate) fn finish_as(
        mut self,
        service: &str,
        kind: Kind,
        epoch: &str,
        offset: u64,
    ) -> io::Result<W> {
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            kind,
            service: service.to_owned(),
            created: self.at.to_string(),
            epoch: epoch.to_owned(),
            offset,
            sessions: std::mem::take(&mut self.sessions),
            kept_back: self.kept_back.take(),
            files: std::mem::take(&mut self.files),
        };
        let mut bytes = serde_json::to_vec_pretty(&manifest)?;
        bytes.push(b'\n');
        self.append(MANIFEST, bytes.len() as u64, &bytes[..])?;
        self.tar.into_inner()
    }

    fn append(&mut self, path: &str, len: u64, from: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o640);
        header.set_size(len);
        header.set_mtime(self.at.as_millis().max(0).unsigned_abs() / 1000);
        header.set_cksum();
        self.tar.append(&header, from)
    }
}

/// Hashes the bytes that are read through it.
struct Summed<R> {
    from: R,
    sum: Sha256,
    read: u64,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.sum.update(&buffer[..n]);
        self.read += n as u64;
        Ok(n)
    }
}
