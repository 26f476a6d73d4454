//! A blob that is read: any part of its bytes, on a thread that may block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use session_model::BlobName;

use crate::files;
use crate::reader_limit::OpenPermit;

/// A blob open for reading.
#[derive(Debug)]
pub struct OpenBlob {
    /// The name under which the bytes are stored.
    pub name: BlobName,
    /// The media type.
    pub media_type: String,
    /// The length in bytes.
    pub bytes: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A file that is kept open.
    Open(File, #[expect(dead_code, reason = "is held")] OpenPermit),
    /// A file that is opened for each part, because too many are kept open.
    Path(PathBuf),
    /// Bytes in memory.
    Memory(Bytes),
}

impl OpenBlob {
    /// Opens a blob in a file. Without a permit, the file is opened again for each part.
    pub(super) fn file(
        name: BlobName,
        media_type: String,
        path: PathBuf,
        permit: Option<OpenPermit>,
    ) -> io::Result<Self> {
        let file = files::open(&path)?;
        let bytes = file.metadata()?.len();
        let source = match permit {
            Some(permit) => Source::Open(file, permit),
            None => Source::Path(path),
        };
        Ok(Self {
            name,
            media_type,
            bytes,
            source,
        })
    }

    /// Returns a blob in memory.
    pub(crate) fn memory(name: BlobName, media_type: String, content: Bytes) -> Self {
        Self {
            name,
            media_type,
            bytes: content.len() as u64,
            source: Source::Memory(content),
        }
    }

    /// Reads `length` bytes at a position; fails if they are not all there.
    pub fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let from_file = |file: &File| {
            let mut part = vec![0; length];
            file.read_exact_at(&mut part, at)?;
            Ok(Bytes::from(part))
        };
        match &self.source {
            Source::Open(file, _) => from_file(file),
            Source::Path(path) => from_file(&files::open(path)?),
            Source::Memory(content) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                let end = from.saturating_add(length);
                if end > content.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(content.slice(from..end))
            }
        }
    }
}
