//! The dashboard's static files, under a strict content security policy.

use std::path::PathBuf;

use actix_files::{Files, NamedFile};
use actix_web::dev::{ServiceRequest, ServiceResponse, fn_service};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Scope};

const POLICY: &str = "default-src 'self'; connect-src 'self' http: https: ws: wss:; img-src 'self' data:; \
                      object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
const MISSING: &str = "<!doctype html><title>Dashboard</title><h1>The dashboard is not built</h1>\
    <p>Run <code>npm ci &amp;&amp; npm run build</code> in <code>dashboard/</code> and start the service with \
    <code>DASHBOARD_PATH=dashboard/dist</code>.</p><p>The API is at <a href=\"/\">/</a>.</p>";

fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("content-security-policy", POLICY))
        .add(("x-content-type-options", "nosniff"))
        .add(("referrer-policy", "no-referrer"))
        .add(("x-frame-options", "DENY"))
}

/// Serves the files of `path` at `/dashboard/`, or says how to get them.
pub fn configure(app: &mut ServiceConfig, path: Option<PathBuf>) {
    app.service(web::redirect("/dashboard", "/dashboard/"));
    match path.filter(|path| path.join("index.html").is_file()) {
        Some(path) => app.service(scope().service(files(path))),
        None => app.service(scope().default_service(web::to(missing))),
    };
}

fn scope() -> Scope<
    impl actix_web::dev::ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    web::scope("/dashboard").wrap(headers())
}

/// A path that is no file is one of the app's own: it gets the app.
fn files(path: PathBuf) -> Files {
    let index = path.join("index.html");
    Files::new("/", path).index_file("index.html").default_handler(fn_service(move |req: ServiceRequest| {
        let index = index.clone();
        async move {
            let (req, _) = req.into_parts();
            let file = NamedFile::open(index)?;
            let response = file.into_response(&req);
            Ok(ServiceResponse::new(req, response))
        }
    }))
}

async fn missing() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(MISSING)
}
