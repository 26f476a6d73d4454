//! `/dashboard/`: the files of the built dashboard, or a page that explains how to install it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_files::Files;
use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service as _, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, Responder as _, web};
use bytes::Bytes;
use pin_project_lite::pin_project;
use session_model::{Code, Refusal};

use super::endpoints::{DASHBOARD, route_id};
use crate::http::error::ApiError;
use session_store::engine::{OpenPermit, ReaderLimit};

const INDEX: &str = "index.html";

/// Content security policy: nothing that a session contains can run. No inline script or style, no
/// other host, no framing, and no text becomes HTML except through the framework's own policy. A
/// page served from here can connect only to this service (`'self'` includes its WebSocket). A
/// dashboard that is served elsewhere and opened with `?api=` has the policy of that server.
const POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' blob:; object-src 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

const MISSING: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Dashboard</title>
<h1>The dashboard is not installed here</h1>
<p>Build it once, in the directory <code>dashboard/</code> of the repository:</p>
<pre>npm ci &amp;&amp; npm run build</pre>
<p>Then start the service with the result: <code>DASHBOARD_PATH=dashboard/dist</code></p>
</html>
";

/// Registers `/dashboard` and everything below it.
pub(super) fn configure(
    config: &mut web::ServiceConfig,
    directory: Option<&Path>,
    readers: &Arc<ReaderLimit>,
) {
    config.service(web::redirect("/dashboard", "/dashboard/").permanent());
    let scope = web::scope("/dashboard")
        .app_data(route_id(DASHBOARD))
        .wrap(headers());
    let readers = Arc::clone(readers);
    let scope = scope.wrap_fn(move |request, service| {
        let kept = readers.keep();
        let answered = service.call(request);
        async move { keep_or_read(answered.await?, kept).await }
    });
    match directory.filter(|directory| directory.join(INDEX).is_file()) {
        Some(directory) => config.service(scope.service(files(directory))),
        None => config.service(scope.default_service(web::get().to(missing))),
    };
}

fn headers() -> DefaultHeaders {
    let fixed = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ];
    fixed
        .into_iter()
        .fold(DefaultHeaders::new(), |headers, (name, value)| {
            headers.add((
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            ))
        })
}

/// Keeps the file open while a client reads it slowly, as long as the limit on open files allows.
/// Beyond that limit, reads the whole file at once: it is part of the dashboard and not large.
async fn keep_or_read(
    response: ServiceResponse,
    kept: Option<OpenPermit>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Some(kept) = kept {
        return Ok(response.map_body(|_, body| Held { body, _kept: kept }.boxed()));
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let bytes = body::to_bytes(body).await.map_err(|_| unreadable())?;
    Ok(ServiceResponse::new(request, head.set_body(bytes.boxed())))
}

fn unreadable() -> ApiError {
    Refusal::new(Code::Internal, "failed to read a file of the dashboard").into()
}

pin_project! {
    /// A file that is being sent.
    struct Held {
        #[pin]
        body: BoxBody,
        _kept: OpenPermit,
    }
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context)
    }
}

fn files(directory: &Path) -> Files {
    Files::new("/", directory)
        .index_file(INDEX)
        .disable_content_disposition()
        .default_handler(actix_web::dev::fn_service(fall_back))
}

/// Redirects the path of a page to its URL with a `#`, because the dashboard keeps the page's path
/// after the `#`. A missing file is reported as missing.
async fn fall_back(request: ServiceRequest) -> Result<ServiceResponse, actix_web::Error> {
    let path = request.uri().path();
    let is_file = path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'));
    let page = match path.strip_prefix("/dashboard") {
        Some(page) if !is_file => page.trim_matches('/'),
        Some(_) | None => {
            let missing = Refusal::new(Code::NotFound, "the dashboard has no such file");
            return Ok(request.error_response(ApiError::from(missing)));
        }
    };
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let there = web::Redirect::to(format!("{DASHBOARD}#/{page}{query}")).temporary();
    let (request, _) = request.into_parts();
    let response = there.respond_to(&request).map_into_boxed_body();
    Ok(ServiceResponse::new(request, response))
}

async fn missing() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ))
        .body(MISSING)
}
