//! `/api/sessions/{id}/blobs/{blob}`: bytes that belong to a session.
//!
//! A browser that opens the URL of a blob downloads it: what an agent produced is never shown as a
//! page of this origin.

mod conditions;
mod incoming;
mod range;
mod serving;

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, HttpResponse, rt, web};
use serde_json::json;
use session_model::{BlobName, Code, Refusal};
use session_store::blobs::{MediaType, StoredBlob};

use crate::http::auth::caller::{self, Caller};
use crate::http::auth::permit::Permit;
use crate::http::error::ApiError;
use crate::http::extract::body;
use crate::http::extract::bounds::Bounds;
use crate::http::extract::ids::Id;
use crate::http::respond::{self as answer, Answer};
use crate::sessions::{NewBlob, Sessions};
use incoming::Incoming;

type Kept = web::Data<Sessions>;

/// The blob named in the path.
pub struct Blob(BlobName);

impl FromRequest for Blob {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = request.match_info().get("blob").unwrap_or_default();
        ready(BlobName::parse(name).map(Self).map_err(ApiError::from))
    }
}

/// Stores a blob. Once all bytes have arrived, the blob is stored even if the client disconnects.
pub async fn store(
    id: Id,
    blob: Blob,
    request: HttpRequest,
    payload: web::Payload,
    sessions: Kept,
) -> Answer {
    let new = NewBlob {
        name: blob.0,
        media: media_type(&request)?,
        announced: caller::announced(&request),
    };
    body::refuse_packed(request.headers())?;
    let bounds = request.app_data::<Bounds>().ok_or_else(body::unbounded)?;
    let mut incoming = Incoming::new(payload.into_inner(), bounds);
    let mut upload = sessions.begin_blob(&id.0, new).await?;
    while let Some(piece) = incoming.next().await? {
        upload.write(piece).await?;
    }
    body::still_let_in(&request)?;
    if let Some((limits, user)) = body::counted(&request) {
        limits.quota.admit_bytes(&user, upload.received())?;
    }
    let stored = rt::spawn(upload.finish()).await;
    let broken = |_| Refusal::new(Code::Internal, "the upload was broken off");
    Ok(stored_answer(&stored.map_err(broken)??))
}

fn media_type(request: &HttpRequest) -> Result<Option<MediaType>, Refusal> {
    let Some(given) = request.headers().get(CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = given.to_str().unwrap_or("");
    MediaType::parse(text).map(Some)
}

fn stored_answer(stored: &StoredBlob) -> HttpResponse {
    let mut answer = json!({
        "success": true,
        "blob": {
            "$blob": format!("sha256:{}", stored.name),
            "bytes": stored.bytes,
            "mediaType": stored.media_type,
        },
    });
    if stored.existing {
        answer["existing"] = true.into();
    }
    if stored.redacted > 0 {
        answer["redacted"] = stored.redacted.into();
    }
    if let Some(name) = stored.stored_as {
        answer["storedAs"] = name.to_string().into();
    }
    answer::json(answer.to_string())
}

/// Returns a blob, or a range of it.
pub async fn read(
    caller: Caller,
    id: Id,
    blob: Blob,
    request: HttpRequest,
    sessions: Kept,
) -> Answer {
    let opened = sessions.open_blob(&id.0, blob.0).await?;
    serving::answer(&request, opened, Permit::new(caller))
}
