//! Description of the API for programs, people and language models.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use session_model::records::schema;

use crate::http::openapi::{self, llms, page};

fn text(kind: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(body)
}

/// Returns the OpenAPI 3.1 document.
pub async fn document() -> HttpResponse {
    text("application/json", openapi::json())
}

/// Returns the vocabulary of records as JSON Schema.
pub async fn records() -> HttpResponse {
    static SCHEMA: LazyLock<String> = LazyLock::new(|| schema().to_string());
    text("application/json", &SCHEMA)
}

/// Returns the HTML page for people.
pub async fn page() -> HttpResponse {
    let mut response = text("text/html; charset=utf-8", page::html());
    let policy = actix_web::http::header::HeaderValue::from_static(page::POLICY);
    response
        .headers_mut()
        .insert(actix_web::http::header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Returns the style sheet of the HTML page.
pub async fn style() -> HttpResponse {
    text("text/css; charset=utf-8", page::STYLE)
}

/// Returns the text for language models.
pub async fn llms() -> HttpResponse {
    text("text/plain; charset=utf-8", llms::text())
}
