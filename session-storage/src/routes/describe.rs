//! The description of the API: for programs, for people, for language models.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;

use crate::openapi::{self, llms, page};

fn text(kind: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(body)
}

/// OpenAPI 3.1.
pub async fn document() -> HttpResponse {
    text("application/json", openapi::json())
}

/// A page for people.
pub async fn page() -> HttpResponse {
    let mut response = text("text/html; charset=utf-8", page::html());
    let policy = actix_web::http::header::HeaderValue::from_static(page::POLICY);
    response.headers_mut().insert(actix_web::http::header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Its style sheet.
pub async fn style() -> HttpResponse {
    text("text/css; charset=utf-8", page::STYLE)
}

/// A text for language models.
pub async fn llms() -> HttpResponse {
    text("text/plain; charset=utf-8", llms::text())
}
