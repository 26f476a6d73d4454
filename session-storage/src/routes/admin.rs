//! `/api/admin`: copies of what is stored, for whoever runs the service.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::Answer;
use super::caller::Caller;
use super::parameters::Parameters;
use super::permit::Permit;
use crate::sessions::{JsonStream, Refused, Sessions};

type Kept = web::Data<Sessions>;

/// A bundle is unpacked here and packed by who takes it.
fn bundle(caller: Caller, stream: Result<JsonStream, Refused>) -> Answer {
    let stream = Permit::new(caller).cover(stream)?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/x-tar")).streaming(stream))
}

/// The whole directory as of one position.
pub async fn backup(caller: Caller, sessions: Kept) -> Answer {
    bundle(caller, sessions.backup())
}

/// Sessions, each as of its own offset.
pub async fn export(caller: Caller, request: HttpRequest, sessions: Kept) -> Answer {
    let query = Parameters(request.query_string()).export()?;
    bundle(caller, sessions.export(&query))
}
