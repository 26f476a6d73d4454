//! An upload: takes the bytes of a blob piece by piece, and holds none of them.

use sha2::{Digest as _, Sha256};

use session_model::{BlobName, SessionId, Timestamp};

use super::content::Content;
use super::error::BlobError;
use super::folder::Kept;
use super::part::Part;
use super::pins::Pin;
use super::sidecar::Sidecar;
use super::spec::{BlobLimits, BlobSpec};
use crate::disk::reserve;

/// After how many written bytes the free space is looked at again.
const LOOK_EVERY: u64 = 8 << 20;

/// Where the bytes of an upload go.
#[derive(Debug)]
pub(super) enum Target {
    /// To a temporary file.
    Part(Part),
    /// To memory, for the engine in memory.
    Memory(Vec<u8>),
    /// Nowhere: the blob is stored already, and the bytes are only compared with its name.
    Kept(Kept),
}

/// An upload that has begun. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    pub(super) session: SessionId,
    /// The offset of the session's creation: the blob belongs to no other session of that name.
    /// `None` if there was no session when the upload began.
    pub(super) created: Option<u64>,
    name: BlobName,
    at: Timestamp,
    limits: BlobLimits,
    sent: Sha256,
    sent_bytes: u64,
    content: Content,
    /// Whether the stored bytes may differ from those that were sent, and are hashed too.
    may_change: bool,
    stored: Sha256,
    stored_bytes: u64,
    /// How many bytes may be written until the free space is looked at again.
    unlooked: u64,
    target: Target,
    pins: Vec<Pin>,
    out: Vec<u8>,
}

/// A blob that is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBlob {
    /// The name that was sent.
    pub name: BlobName,
    /// The length of the stored bytes.
    pub bytes: u64,
    /// The media type with which it is served.
    pub media_type: String,
    /// Whether it was stored before.
    pub existing: bool,
    /// How many secrets were replaced.
    pub redacted: u64,
    /// The name of the stored bytes, if redaction has changed them.
    pub stored_as: Option<BlobName>,
}

/// An upload whose bytes have all arrived and match their name.
#[derive(Debug)]
pub struct Whole {
    pub(crate) session: SessionId,
    pub(super) created: Option<u64>,
    pub(super) limits: BlobLimits,
    pub(super) at: Timestamp,
    pub(crate) name: BlobName,
    /// The hash of the bytes as they are stored.
    pub(crate) stored: BlobName,
    pub(crate) sidecar: Sidecar,
    pub(super) target: Target,
    /// Keep the blob until the upload is acknowledged.
    _pins: Vec<Pin>,
}

impl Upload {
    pub(super) fn new(
        session: SessionId,
        created: Option<u64>,
        spec: BlobSpec,
        target: Target,
        pins: Vec<Pin>,
    ) -> Self {
        Self {
            session,
            created,
            name: spec.name,
            at: spec.at,
            limits: spec.limits,
            sent: Sha256::new(),
            sent_bytes: 0,
            content: Content::new(spec.media, spec.redactor),
            may_change: false,
            stored: Sha256::new(),
            stored_bytes: 0,
            unlooked: 0,
            target,
            pins,
            out: Vec::new(),
        }
    }

    /// Begins an upload whose bytes are kept in memory.
    pub(crate) fn in_memory(session: SessionId, created: Option<u64>, spec: BlobSpec) -> Self {
        Self::new(
            session,
            created,
            spec,
            Target::Memory(Vec::new()),
            Vec::new(),
        )
    }

    /// Takes the next bytes. Blocking.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.sent_bytes += bytes.len() as u64;
        if self.sent_bytes > self.limits.one {
            return Err(BlobError::TooLarge(self.limits.one));
        }
        self.sent.update(bytes);
        if let Target::Kept(_) = self.target {
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.content.pass(bytes, &mut out);
        self.may_change = self.content.may_change();
        self.store(&out)?;
        self.out = out;
        Ok(())
    }

    /// Returns how many bytes have arrived.
    pub fn received(&self) -> u64 {
        self.sent_bytes
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        if self.may_change {
            self.stored.update(bytes);
        }
        self.stored_bytes += bytes.len() as u64;
        match &mut self.target {
            Target::Part(part) => {
                if self.unlooked < bytes.len() as u64 {
                    check_space(part, bytes.len() as u64 + LOOK_EVERY)?;
                    self.unlooked = bytes.len() as u64 + LOOK_EVERY;
                }
                self.unlooked -= bytes.len() as u64;
                part.write(bytes).map_err(BlobError::io("write"))
            }
            Target::Memory(content) => {
                content.extend_from_slice(bytes);
                Ok(())
            }
            Target::Kept(_) => Ok(()),
        }
    }

    /// Compares the bytes with their name. Nothing is left of an upload that does not match. Blocking.
    pub fn whole(mut self) -> Result<Whole, BlobError> {
        let sent = BlobName::of_digest(std::mem::take(&mut self.sent).finalize().into());
        if sent != self.name {
            return Err(BlobError::Mismatch(sent));
        }
        let sidecar = if let Target::Kept(kept) = &self.target {
            kept.sidecar.clone()
        } else {
            let mut out = Vec::new();
            let content = std::mem::replace(&mut self.content, Content::new(None, None));
            let (media_type, redacted, may_change) = content.finish(&mut out);
            self.may_change = may_change;
            self.store(&out)?;
            Sidecar {
                media_type,
                bytes: self.stored_bytes,
                sent: self.at,
                referenced: false,
                stored_as: None,
                redacted,
            }
        };
        let stored = match &self.target {
            Target::Kept(kept) => kept.stored,
            Target::Part(_) | Target::Memory(_) if self.may_change => {
                BlobName::of_digest(self.stored.finalize().into())
            }
            Target::Part(_) | Target::Memory(_) => sent,
        };
        let sidecar = Sidecar {
            stored_as: (stored != self.name).then_some(stored),
            ..sidecar
        };
        Ok(Whole {
            session: self.session,
            created: self.created,
            limits: self.limits,
            at: self.at,
            name: self.name,
            stored,
            sidecar,
            target: self.target,
            _pins: self.pins,
        })
    }
}

impl Whole {
    /// Returns whether there was no session when the upload began, so that it is a first write.
    pub fn is_first_write(&self) -> bool {
        self.created.is_none()
    }

    /// Returns the bytes of an upload in memory.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self.target {
            Target::Memory(content) => content,
            Target::Part(_) | Target::Kept(_) => Vec::new(),
        }
    }

    /// Returns what the sender learns.
    pub(crate) fn stored(&self, existing: bool) -> StoredBlob {
        let sidecar = &self.sidecar;
        StoredBlob {
            name: self.name,
            bytes: sidecar.bytes,
            media_type: sidecar.media_type.clone(),
            existing,
            redacted: sidecar.redacted,
            stored_as: sidecar.stored_as,
        }
    }
}

/// Refuses bytes that would take the space which the journal and the logs need.
fn check_space(part: &Part, bytes: u64) -> Result<(), BlobError> {
    let (free, size) = part.free_space().map_err(BlobError::io("write"))?;
    if free < reserve(size) * 2 + bytes {
        let source = std::io::ErrorKind::StorageFull.into();
        return Err(BlobError::Io {
            action: "write",
            source,
        });
    }
    Ok(())
}
