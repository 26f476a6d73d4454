//! How many bytes the blobs of a session have: counted once from the folder, then kept up to date.

use std::io;
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use session_model::SessionId;

use super::folder::BlobFolder;
use crate::layout::BlobFile;

/// The most sessions whose bytes are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("is not zero");

/// The bytes of the sessions that blobs were sent to lately. Used with the session's folder locked.
#[derive(Debug)]
pub(super) struct Usage {
    /// The offset of the session's creation, and its bytes.
    known: Mutex<LruCache<SessionId, (u64, u64)>>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            known: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

impl Usage {
    /// Returns how many bytes the blobs of a session have.
    pub(super) fn of(&self, id: &SessionId, created: u64, folder: &BlobFolder) -> io::Result<u64> {
        if let Some((_, bytes)) = self.known.lock().get(id).filter(|(of, _)| *of == created) {
            return Ok(*bytes);
        }
        let bytes = counted(folder)?;
        self.known.lock().put(id.clone(), (created, bytes));
        Ok(bytes)
    }

    /// Notes that bytes were added and others removed.
    pub(super) fn change(&self, id: &SessionId, created: u64, added: u64, removed: u64) {
        if let Some((of, bytes)) = self.known.lock().get_mut(id)
            && *of == created
        {
            *bytes = (*bytes + added).saturating_sub(removed);
        }
    }
}

/// Counts the bytes of the blobs in a folder.
fn counted(folder: &BlobFolder) -> io::Result<u64> {
    let mut bytes = 0;
    folder.walk(&mut |found| {
        if let Some(BlobFile::Bytes(_)) = found.file {
            bytes += found.bytes;
        }
        Ok(())
    })?;
    Ok(bytes)
}
