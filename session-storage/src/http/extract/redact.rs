//! Redaction of what arrives in a request outside of its body: names in the path, parameters,
//! headers. Stored texts are redacted, so a text is only found if it is redacted in the same way.

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use session_model::{Code, RecordBody, Refusal};

use crate::http::error::ApiError;
use crate::sessions::Redaction;

/// The service's redaction, as handlers, extractors and middleware get it.
#[derive(Clone, Debug)]
pub struct Redact(Arc<Redaction>);

impl Redact {
    /// Wraps the redaction of the storage.
    pub fn new(redaction: Arc<Redaction>) -> Self {
        Self(redaction)
    }

    /// Returns the redaction of the application that a request belongs to. Without one, nothing of
    /// the request may be stored or logged.
    pub fn of(request: &HttpRequest) -> Option<&Self> {
        request.app_data::<Self>()
    }

    /// Like [`Redact::of`], as a refusal: an application that forgot it stores nothing unredacted.
    pub fn required(request: &HttpRequest) -> Result<&Self, Refusal> {
        Self::of(request)
            .ok_or_else(|| Refusal::new(Code::Internal, "the application has no redaction"))
    }

    /// Redacts a text.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.text(text)
    }

    /// Redacts a record key as it is redacted in a record.
    pub fn record_key(&self, key: String) -> String {
        let record = serde_json::json!({"key": key}).to_string();
        let (redacted, _) = self.0.screen(record.into(), false);
        let stored = RecordBody::parse(&redacted).ok();
        stored
            .and_then(|record| record.key().map(str::to_owned))
            .unwrap_or(key)
    }

    /// Returns the redaction, for a body.
    pub fn redaction(&self) -> &Arc<Redaction> {
        &self.0
    }
}

impl FromRequest for Redact {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::required(request).cloned().map_err(ApiError::from))
    }
}
