//! Turns a [`Code`] into a response, `{"error", "code", "requestId"}`. No other module does.
//!
//! Handlers and extractors return [`ApiError`]; any other error of the framework is recognised by
//! its status. [`render`] writes the body for both, so that no error is ever HTML, plain text or
//! without its request id. A 5xx response contains the sentence from the table of codes, never its
//! own message, which goes to the log together with the request id.

use std::fmt;

use actix_cors::CorsError;
use actix_web::body::{BoxBody, EitherBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};
use session_model::{Code, ProducerHint, Refusal};

/// A refused request.
#[derive(Debug)]
pub struct ApiError {
    refusal: Refusal,
    /// An additional header.
    header: Option<(&'static str, String)>,
    /// Additional fields of the body.
    beside: Option<Box<Map<String, Value>>>,
}

impl ApiError {
    /// Creates an error whose body has additional fields.
    pub fn with_fields(refusal: Refusal, beside: Map<String, Value>) -> Self {
        Self {
            beside: Some(Box::new(beside)),
            ..refusal.into()
        }
    }

    /// Creates an error whose response has a header.
    pub fn with_header(refusal: Refusal, name: &'static str, value: String) -> Self {
        Self {
            header: Some((name, value)),
            ..refusal.into()
        }
    }

    /// The error code.
    pub fn code(&self) -> Code {
        self.refusal.code
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let header = refusal.producer.map(|hint| match hint {
            ProducerHint::ExpectedSeq(seq) => ("Producer-Expected-Seq", seq.to_string()),
            ProducerHint::Epoch(epoch) => ("Producer-Epoch", epoch.to_string()),
        });
        Self {
            refusal,
            header,
            beside: None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.refusal.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code()).body(body(self, ""));
        describe(response.headers_mut(), self);
        response
    }
}

/// The description of an error response, for the log.
#[derive(Debug)]
pub struct Fault {
    /// The error code.
    pub code: Code,
    /// The whole message, even if the client does not see it.
    pub message: String,
    /// The framework's description of the error.
    pub source: String,
}

/// Replaces the body of an error response; other responses stay as they are.
pub fn render<B>(
    response: ServiceResponse<EitherBody<B>>,
    id: &HeaderValue,
) -> (ServiceResponse<EitherBody<B>>, Option<Fault>) {
    if !is_error(response.status()) {
        return (response, None);
    }
    let id = id.to_str().unwrap_or_default();
    let own = response
        .response()
        .error()
        .and_then(actix_web::Error::as_error::<ApiError>);
    let foreign = if own.is_none() {
        Some(recognise(&response))
    } else {
        None
    };
    let Some(error) = own.or(foreign.as_ref()) else {
        return (response, None);
    };
    let fault = fault(error, &response);
    let (status, body, mut headers) = (
        error.status_code(),
        body(error, id),
        response.headers().clone(),
    );
    describe(&mut headers, error);
    let rendered = response.map_body(|head, _| {
        head.status = status;
        head.headers = headers;
        EitherBody::right(BoxBody::new(body))
    });
    (rendered, Some(fault))
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    code: &'static str,
    #[serde(rename = "requestId")]
    request_id: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    beside: Option<&'a Map<String, Value>>,
}

/// Returns the status of a code, and the reason phrase sent with it.
pub(crate) fn status_of(code: Code) -> (u16, &'static str) {
    let status = code.status();
    (
        status,
        StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default(),
    )
}

/// Formats the body of an error.
pub(crate) fn body(error: &ApiError, request_id: &str) -> Vec<u8> {
    let Refusal { code, message, .. } = &error.refusal;
    // A quota is information for the user it applies to; other details of internal errors are not
    // shown.
    let is_shown = code.status() < 500 || *code == Code::QuotaExceeded;
    let sentence = if is_shown {
        message
    } else {
        code.meaning().trim()
    };
    let body = Body {
        error: sentence,
        code: code.as_str(),
        request_id,
        beside: error.beside.as_deref(),
    };
    serde_json::to_vec(&body).expect("texts and JSON values are always serializable")
}

fn describe(headers: &mut HeaderMap, error: &ApiError) {
    for stale in [
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::ETAG,
        header::LAST_MODIFIED,
    ] {
        headers.remove(stale);
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = pause(error.code()) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    if error.code() == Code::MethodNotAllowed && !headers.contains_key(header::ALLOW) {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if let Some((name, value)) = &error.header
        && let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value))
    {
        headers.insert(name, value);
    }
}

/// After how many seconds a retry of the same request may succeed.
fn pause(code: Code) -> Option<&'static str> {
    match code {
        Code::RateLimited | Code::StorageUnavailable | Code::StorageFull => Some("1"),
        Code::QuotaExceeded => Some("60"),
        _ => None,
    }
}

/// Determines the error of a response that the framework created.
fn recognise<B>(response: &ServiceResponse<B>) -> ApiError {
    let refused_origin = response
        .response()
        .error()
        .and_then(actix_web::Error::as_error::<CorsError>)
        .map(ToString::to_string);
    let (code, sentence) = match (refused_origin, response.status()) {
        (Some(why), _) => (Code::InvalidParameter, why),
        (None, status) => of_status(status),
    };
    Refusal::new(code, sentence).into()
}

fn of_status(status: StatusCode) -> (Code, String) {
    let (code, sentence) = match status.as_u16() {
        404 => (Code::NotFound, "there is nothing at this path"),
        405 => (Code::MethodNotAllowed, "the method is not one of this path"),
        408 => (Code::RequestTimeout, "the request did not arrive in time"),
        413 => (Code::PayloadTooLarge, "the body is too large"),
        415 => (
            Code::UnsupportedMediaType,
            "the content type is not one this path reads",
        ),
        429 => (Code::RateLimited, "too many requests"),
        503 => (Code::StorageUnavailable, "the service is not available"),
        400..500 => (Code::InvalidRequest, "the request is malformed"),
        _ => (Code::Internal, "the framework answered an error"),
    };
    (code, sentence.into())
}

fn fault<B>(error: &ApiError, response: &ServiceResponse<B>) -> Fault {
    let Refusal { code, message, .. } = error.refusal.clone();
    let source = response
        .response()
        .error()
        .map(ToString::to_string)
        .unwrap_or_default();
    Fault {
        code,
        message,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use serde_json::json;

    fn answered(response: HttpResponse) -> ServiceResponse<EitherBody<BoxBody>> {
        ServiceResponse::new(TestRequest::default().to_http_request(), response)
            .map_into_left_body()
    }

    fn rendered(response: HttpResponse) -> (u16, HeaderMap, Value) {
        let response = answered(response);
        let (response, _) = render(response, &HeaderValue::from_static("id-1"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = actix_web::body::MessageBody::try_into_bytes(response.into_body())
            .ok()
            .unwrap();
        (status, headers, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn every_code_has_its_status_and_its_name() {
        for code in Code::ALL {
            let error = ApiError::from(Refusal::new(*code, "no `x` in /var/secret"));
            let (status, headers, body) = rendered(HttpResponse::from_error(error));
            assert_eq!(
                (status, body["code"].as_str()),
                (code.status(), Some(code.as_str()))
            );
            let is_shown = status < 500 || *code == Code::QuotaExceeded;
            assert_eq!(body["requestId"], "id-1");
            assert_eq!(headers.get("content-type").unwrap(), "application/json");
            assert_eq!(
                body["error"].as_str().unwrap().contains("/var/secret"),
                is_shown,
                "{body}"
            );
        }
    }

    #[test]
    fn what_the_framework_answers_becomes_json() {
        for (status, code) in [
            (400, "invalid_request"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (408, "request_timeout"),
            (413, "payload_too_large"),
            (415, "unsupported_media_type"),
            (500, "internal"),
            (503, "storage_unavailable"),
        ] {
            let plain =
                HttpResponse::build(StatusCode::from_u16(status).unwrap()).body("<h1>oops</h1>");
            let (found, _, body) = rendered(plain);
            assert_eq!((found, &body["code"]), (status, &json!(code)));
        }
        for (status, becomes) in [(416, 400), (431, 400), (501, 500), (507, 500)] {
            let plain = HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish();
            assert_eq!(rendered(plain).0, becomes);
        }
        let io = std::io::Error::other("/etc/shadow: permission denied");
        let (status, _, body) = rendered(HttpResponse::from_error(io));
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("shadow"), "{body}");
    }

    #[test]
    fn headers_and_fields_of_an_error_are_kept() {
        let gap = Refusal::new(Code::ProducerGap, "skipped");
        let error = ApiError::with_header(gap, "Producer-Expected-Seq", "7".into());
        let (_, headers, _) = rendered(HttpResponse::from_error(error));
        assert_eq!(headers.get("producer-expected-seq").unwrap(), "7");
        let Value::Object(fields) = json!({"status": "failed"}) else {
            unreachable!()
        };
        let down = Refusal::new(Code::StorageUnavailable, "failed");
        let (_, headers, body) = rendered(HttpResponse::from_error(ApiError::with_fields(
            down, fields,
        )));
        assert_eq!(body["status"], "failed");
        assert_eq!(headers.get("retry-after").unwrap(), "1");
    }

    #[test]
    fn answers_that_are_no_errors_pass() {
        let ok = HttpResponse::Ok().body("plain");
        let response = answered(ok);
        let (response, fault) = render(response, &HeaderValue::from_static("x"));
        assert!(fault.is_none());
        assert_eq!(
            actix_web::body::MessageBody::try_into_bytes(response.into_body())
                .ok()
                .unwrap(),
            "plain"
        );
    }
}
