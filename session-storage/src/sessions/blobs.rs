//! Blobs of sessions: uploads, reads and the collection of those that no record refers to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use session_model::{BlobName, Code, Refusal, SessionId};
use session_store::blobs::{
    BlobError, BlobSpec, Collected, MediaType, OpenBlob, StoredBlob, Upload, refusal, sent_before,
};
use session_store::engine::Engine;

use super::service::Sessions;
use crate::clock::now;

/// How long a blob is kept that no record refers to.
const KEPT: Duration = Duration::from_hours(24);
/// The time between two collections.
const EVERY: Duration = Duration::from_hours(1);

/// A blob that a client is about to send.
#[derive(Clone, Debug)]
pub struct NewBlob {
    /// The hash that its bytes must have.
    pub name: BlobName,
    /// Its media type, if the client gave one.
    pub media: Option<MediaType>,
    /// Its length, if the client announced it.
    pub announced: Option<u64>,
}

/// An upload. Its bytes go to the disk piece by piece; dropped before its end, it leaves nothing.
pub struct BlobUpload {
    sessions: Sessions,
    id: SessionId,
    name: BlobName,
    /// `None` while a piece is being written, and after an error.
    upload: Option<Upload>,
}

impl Sessions {
    /// Begins an upload. If there is no session of this id, a first write may create it, which
    /// happens once the bytes are known to match their name.
    pub async fn begin_blob(&self, id: &SessionId, new: NewBlob) -> Result<BlobUpload, Refusal> {
        let created = match self.read(id, |view| view.created_offset).await {
            Ok(created) => Some(created),
            Err(refused)
                if matches!(
                    refused.code,
                    Code::SessionNotFound | Code::SessionQuarantined
                ) =>
            {
                self.may_create(id)?;
                None
            }
            Err(refused) => return Err(refused),
        };
        let name = new.name;
        let spec = BlobSpec {
            name,
            media: new.media,
            announced: new.announced,
            at: now(),
            limits: self.settings.blobs,
            redactor: self.redaction.redactor(),
        };
        let of = id.clone();
        let upload = self
            .on_blob(id, name, move |engine| {
                engine.begin_blob(&of, created, spec)
            })
            .await?;
        Ok(BlobUpload {
            sessions: self.clone(),
            id: id.clone(),
            name,
            upload: Some(upload),
        })
    }

    /// Opens a blob for reading.
    pub async fn open_blob(&self, id: &SessionId, name: BlobName) -> Result<OpenBlob, Refusal> {
        if !self.exists(id) {
            self.require(id).await?;
        }
        let of = id.clone();
        self.on_blob(id, name, move |engine| engine.open_blob(&of, &name))
            .await
    }

    /// Collects blobs until the task is dropped.
    pub async fn keep_collecting_blobs(self: Arc<Self>) {
        loop {
            self.collect_blobs().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn collect_blobs(&self) {
        let engine = Arc::clone(&self.engine);
        let before = sent_before(now(), KEPT);
        let collected = actix_web::web::block(move || engine.collect_blobs(before, false)).await;
        match collected {
            Ok(Ok(Collected { removed })) => {
                for blob in removed {
                    tracing::info!(session = %blob.session, blob = %blob.blob, bytes = blob.bytes, "a blob that no record refers to was removed");
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "blobs could not be collected; it is tried again");
            }
            Err(error) => tracing::error!(%error, "blobs could not be collected"),
        }
    }

    /// Runs a step on the blocking pool.
    async fn on_blob<R: Send + 'static>(
        &self,
        id: &SessionId,
        name: BlobName,
        step: impl FnOnce(&dyn Engine) -> Result<R, BlobError> + Send + 'static,
    ) -> Result<R, Refusal> {
        let engine = Arc::clone(&self.engine);
        match actix_web::web::block(move || step(&*engine)).await {
            Ok(done) => done.map_err(|error| refusal(&error, id, &name)),
            Err(_) => Err(broken_off()),
        }
    }
}

fn broken_off() -> Refusal {
    Refusal::new(Code::Internal, "a blob could not be stored or read")
}

impl BlobUpload {
    /// Writes the next bytes.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Refusal> {
        let mut upload = self.upload.take().ok_or_else(broken_off)?;
        let write = move |_: &dyn Engine| upload.write(&piece).map(|()| upload);
        let written = self.sessions.on_blob(&self.id, self.name, write).await?;
        self.upload = Some(written);
        Ok(())
    }

    /// Returns how many bytes have arrived.
    pub fn received(&self) -> u64 {
        self.upload.as_ref().map_or(0, Upload::received)
    }

    /// Stores the blob if the bytes match its name. When this returns, the blob is durable.
    pub async fn finish(mut self) -> Result<StoredBlob, Refusal> {
        let upload = self.upload.take().ok_or_else(broken_off)?;
        let Self {
            sessions, id, name, ..
        } = &self;
        let whole = sessions.on_blob(id, *name, |_| upload.whole()).await?;
        if whole.is_first_write() {
            sessions.ensure(id).await?;
        }
        sessions
            .on_blob(id, *name, |engine| engine.finish_blob(whole))
            .await
    }
}

impl Drop for BlobUpload {
    /// Removing a large file takes a while, so this thread does not do it.
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(upload))),
            // The service has ended.
            Err(_) => drop(upload),
        }
    }
}
