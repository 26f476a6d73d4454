//! `/api/admin`: copies of the stored data, for operators.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use crate::http::auth::caller::Caller;
use crate::http::auth::permit::Permit;
use crate::http::extract::parameters::Parameters;
use crate::http::extract::redact::Redact;
use crate::http::respond::Answer;
use session_model::Refusal;

use crate::sessions::{ByteStream, Sessions};

type Kept = web::Data<Sessions>;

/// Header with the path of the copied storage directory, percent-encoded.
pub const STORAGE_DIRECTORY: HeaderName = HeaderName::from_static("storage-directory");

/// Responds with a bundle. It is sent uncompressed; the receiver compresses it. `HEAD` starts no
/// copy; it only returns which directory would be copied.
fn bundle(
    caller: Caller,
    request: &HttpRequest,
    sessions: &Sessions,
    begin: impl FnOnce() -> Result<ByteStream, Refusal>,
) -> Answer {
    let mut answer = begun(sessions);
    if *request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    Ok(answer.streaming(Permit::new(caller).cover(begin())?))
}

fn begun(sessions: &Sessions) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, "application/x-tar"));
    answer.insert_header((STORAGE_DIRECTORY, encoded(&sessions.directory())));
    answer
}

/// Percent-encodes a path for use in a header.
fn encoded(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|b| {
            if plain(b) {
                char::from(*b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// Copies the whole directory as of one position.
pub async fn backup(caller: Caller, request: HttpRequest, sessions: Kept) -> Answer {
    bundle(caller, &request, &sessions, || sessions.backup())
}

/// Exports sessions, each as of its own offset.
pub async fn export(
    caller: Caller,
    request: HttpRequest,
    redact: Redact,
    sessions: Kept,
) -> Answer {
    let mut query =
        Parameters(request.query_string()).export(|name| caller.names(&sessions, name))?;
    // A user id that looks like a secret is stored redacted.
    query.user = query.user.map(|user| redact.text(&user).into_owned());
    bundle(caller, &request, &sessions, || sessions.export(&query))
}
