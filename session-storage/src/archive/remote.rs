//! The archive on top of `object_store`: S3-compatible storage, or a folder.
//!
//! Credentials, region and endpoint of S3 come from the environment variables that all S3 tools
//! read (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
//! `AWS_ALLOW_HTTP`), or from the role of the instance or pod.

use std::fs::{self, File};
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart};
use session_model::SessionId;
use session_model::hex::hex;
use sha2::{Digest as _, Sha256};

use super::{ArchiveError, Archived};
use session_store::bundle::{self, Manifest};

/// The size of a part; larger objects are uploaded in parts.
const PART: usize = 8 << 20;
/// How many parts may be in flight.
const PARTS: usize = 2;

/// An archive in object storage.
#[derive(Clone, Debug)]
pub struct Archive {
    objects: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
}

impl From<object_store::Error> for ArchiveError {
    fn from(error: object_store::Error) -> Self {
        Self::Remote(error.to_string())
    }
}

/// Returns the object key of a session's bundle.
fn key(id: &SessionId, manifest: &Manifest) -> String {
    let sums = serde_json::to_vec(&manifest.files).expect("texts and numbers always serialize");
    format!(
        "{id}/{:020}-{}.tar.zst",
        manifest.offset,
        &hex(&Sha256::digest(sums))[..12]
    )
}

impl Archive {
    /// Opens the archive at `s3://<bucket>[/<prefix>]` or `file:///<folder>`. Opens no connection
    /// yet.
    pub fn open(url: &str) -> Result<Self, ArchiveError> {
        let unknown = || ArchiveError::Url(url.to_owned());
        if let Some(folder) = url.strip_prefix("file://") {
            fs::create_dir_all(folder)?;
            let objects = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
            return Ok(Self {
                objects: Arc::new(objects),
                prefix: ObjectPath::default(),
            });
        }
        let (bucket, prefix) = {
            let rest = url.strip_prefix("s3://").ok_or_else(unknown)?;
            rest.split_once('/').unwrap_or((rest, ""))
        };
        if bucket.is_empty() {
            return Err(unknown());
        }
        // The HTTP client of `object_store` brings no TLS provider of its own. This fails if a
        // provider is installed already, and then that one is used.
        drop(rustls::crypto::ring::default_provider().install_default());
        let objects = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .build()?;
        Ok(Self {
            objects: Arc::new(objects),
            prefix: ObjectPath::from(prefix),
        })
    }

    fn place(&self, key: &str) -> ObjectPath {
        key.split('/').fold(self.prefix.clone(), ObjectPath::join)
    }

    /// Uploads a session's bundle unless the archive has it, then verifies the stored object by
    /// reading it back.
    pub async fn put(
        &self,
        id: &SessionId,
        manifest: &Manifest,
        file: &Path,
    ) -> Result<Archived, ArchiveError> {
        let key = key(id, manifest);
        let place = self.place(&key);
        match self.objects.head(&place).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => self.upload(&place, file).await?,
            Err(error) => return Err(error.into()),
        }
        let back = file.with_extension("back");
        let found = self.download(&place, &back).await;
        let removed = fs::remove_file(&back);
        if found?.files != manifest.files {
            return Err(ArchiveError::Differs(key));
        }
        removed?;
        let bytes = self.objects.head(&place).await?.size;
        Ok(Archived { key, bytes })
    }

    async fn upload(&self, place: &ObjectPath, file: &Path) -> Result<(), ArchiveError> {
        let file = Arc::new(File::open(file)?);
        let first = read_part(Arc::clone(&file)).await?;
        if first.len() < PART {
            self.objects
                .put(place, PutPayload::from_bytes(first))
                .await?;
            return Ok(());
        }
        let upload = self.objects.put_multipart(place).await?;
        upload_parts(upload, first, || read_part(Arc::clone(&file))).await
    }

    /// Downloads an object to a file and verifies it.
    async fn download(&self, place: &ObjectPath, to: &Path) -> Result<Manifest, ArchiveError> {
        let mut pieces = self.objects.get(place).await?.into_stream();
        let mut file = File::create(to)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            file = blocking(move || file.write_all(&piece).map(|()| file)).await??;
        }
        blocking(move || file.sync_all()).await??;
        let path: PathBuf = to.to_owned();
        blocking(move || Ok(bundle::prove(BufReader::new(File::open(path)?))?)).await?
    }

    /// Lists the objects of one session or of all, sorted by key: the newest object of a session is
    /// its last.
    pub async fn list(&self, id: Option<&SessionId>) -> Result<Vec<Archived>, ArchiveError> {
        let prefix = id.map_or_else(|| self.prefix.clone(), |id| self.place(id.as_str()));
        let found: Vec<_> = self.objects.list(Some(&prefix)).try_collect().await?;
        let below = self.prefix.as_ref();
        let mut archived: Vec<Archived> = found
            .into_iter()
            .filter(|object| object.location.as_ref().ends_with(".tar.zst"))
            .map(|object| {
                let location = object.location.as_ref();
                let key = location
                    .strip_prefix(below)
                    .unwrap_or(location)
                    .trim_start_matches('/');
                Archived {
                    key: key.to_owned(),
                    bytes: object.size,
                }
            })
            .collect();
        archived.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(archived)
    }

    /// Downloads the newest bundle of a session to a file and verifies it.
    pub async fn fetch(&self, id: &SessionId, to: &Path) -> Result<Archived, ArchiveError> {
        let newest = self
            .list(Some(id))
            .await?
            .pop()
            .ok_or_else(|| ArchiveError::NotThere(id.clone()))?;
        self.download(&self.place(&newest.key), to).await?;
        Ok(newest)
    }
}

/// Uploads the parts one after the other. An upload that fails is aborted; otherwise its parts
/// would be kept, invisibly, and charged for.
async fn upload_parts<F>(
    upload: Box<dyn MultipartUpload>,
    first: Bytes,
    mut next: impl FnMut() -> F,
) -> Result<(), ArchiveError>
where
    F: Future<Output = Result<Bytes, ArchiveError>>,
{
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
    let mut part = Ok(first);
    loop {
        match part {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                part = match writer.wait_for_capacity(PARTS).await {
                    Ok(()) => {
                        writer.put(bytes);
                        next().await
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => {
                if let Err(leftover) = writer.abort().await {
                    tracing::warn!(%leftover, "failed to remove the parts of an incomplete upload from the archive");
                }
                return Err(error);
            }
        }
    }
    // On an error, `finish` aborts the upload itself.
    writer.finish().await?;
    Ok(())
}

/// Reads the next part of a file, outside the async runtime.
async fn read_part(file: Arc<File>) -> Result<Bytes, ArchiveError> {
    let read = move || {
        let mut part = Vec::new();
        (&*file)
            .take(PART as u64)
            .read_to_end(&mut part)
            .map(|_| Bytes::from(part))
    };
    Ok(blocking(read).await??)
}

async fn blocking<R: Send + 'static>(
    run: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ArchiveError> {
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| ArchiveError::Local(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests;
