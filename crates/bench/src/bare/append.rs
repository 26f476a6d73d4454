//! The bare handler: the body is parsed into a `Value`, the answer is 40 bytes.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use serde_json::Value;

use crate::cli::BareOptions;

/// As long as the service's answer to an append.
const ANSWER: &str = r#"{"success":true,"seq":12345678901234567}"#;
const _: () = assert!(ANSWER.len() == 40);

/// Serves until killed.
pub(crate) fn serve(options: &BareOptions) -> Result<()> {
    actix_web::rt::System::new().block_on(async {
        HttpServer::new(|| {
            App::new()
                .route("/health", web::get().to(HttpResponse::Ok))
                .route("/api/actions/{id}", web::post().to(append))
        })
        .workers(options.workers)
        .bind(("127.0.0.1", options.port))?
        .run()
        .await?;
        Ok(())
    })
}

async fn append(_session: web::Path<String>, body: web::Bytes) -> HttpResponse {
    match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(_)) => HttpResponse::Ok()
            .content_type("application/json")
            .body(ANSWER),
        _ => HttpResponse::BadRequest().finish(),
    }
}
