use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::{Extensions, PutResult, UploadPart};

use super::*;

/// Counts the calls of an upload.
#[derive(Debug, Default)]
struct Seen {
    parts: AtomicUsize,
    completed: AtomicUsize,
    aborted: AtomicUsize,
}

/// An upload in which one part fails.
#[derive(Debug)]
struct Upload {
    seen: Arc<Seen>,
    fails_at: usize,
}

impl Upload {
    fn refused() -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: "no".into(),
        }
    }
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, _: PutPayload) -> UploadPart {
        let fails = self.seen.parts.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at;
        Box::pin(async move { if fails { Err(Self::refused()) } else { Ok(()) } })
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.seen.completed.fetch_add(1, Ordering::SeqCst);
        Ok(PutResult {
            e_tag: None,
            version: None,
            extensions: Extensions::default(),
        })
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.seen.aborted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Uploads this many parts; returns whether that succeeded, and how often the upload was completed
/// and aborted.
async fn send(parts: usize, fails_at: usize, unreadable: Option<usize>) -> (bool, usize, usize) {
    let seen = Arc::<Seen>::default();
    let part = || Bytes::from(vec![0; PART]);
    let mut read = 1;
    let next = || {
        read += 1;
        let result = match unreadable {
            Some(at) if at == read => Err(ArchiveError::Remote("unreadable".into())),
            _ if read > parts => Ok(Bytes::new()),
            _ => Ok(part()),
        };
        std::future::ready(result)
    };
    let upload = Box::new(Upload {
        seen: Arc::clone(&seen),
        fails_at,
    });
    let sent = upload_parts(upload, part(), next).await.is_ok();
    (
        sent,
        seen.completed.load(Ordering::SeqCst),
        seen.aborted.load(Ordering::SeqCst),
    )
}

#[actix_web::test]
async fn an_upload_is_completed_or_aborted_wherever_it_fails() {
    assert_eq!(send(4, 0, None).await, (true, 1, 0));
    for part in 1..=4 {
        assert_eq!(
            send(4, part, None).await,
            (false, 0, 1),
            "part {part} is refused"
        );
    }
    for part in 2..=4 {
        assert_eq!(
            send(4, 0, Some(part)).await,
            (false, 0, 1),
            "part {part} cannot be read"
        );
    }
}

/// Archives contain objects under these keys; the newest of a session sorts last.
#[test]
fn an_objects_key_is_the_session_the_offset_and_a_digest_of_the_manifest() {
    let manifest = serde_json::json!({
        "$schema": "session-bundle-v1", "kind": "export", "service": "0.1.0", "created": "",
        "epoch": "0123456789ab", "offset": 109,
        "files": {"sessions/s/actions.jsonl": {"bytes": 3, "sha256": "ca3d"}},
    });
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    assert_eq!(
        key(&SessionId::parse("s").unwrap(), &manifest),
        "s/00000000000000000109-e7ad64627778.tar.zst"
    );
}
