//! `/health`: health check; `/`: service information.

use std::time::Instant;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use session_model::{Code, Refusal};

use crate::http::auth::caller::Caller;
use crate::http::error::ApiError;
use crate::http::respond::session::Storage;
use crate::http::respond::{Answer, json};
use crate::sessions::{Sessions, StorageHealth};

/// Header with the id of the service's run. It is new at each start and carries no other
/// information.
pub const STORAGE_RUN: HeaderName = HeaderName::from_static("storage-run");

/// Time at which the service started.
#[derive(Clone, Copy, Debug)]
pub struct Started(pub Instant);

impl Started {
    /// Returns the seconds since the start, to the millisecond.
    fn uptime(self) -> f64 {
        self.0.elapsed().as_millis() as f64 / 1000.0
    }
}

/// Response body of `/health`.
#[derive(Serialize)]
struct Report {
    status: &'static str,
    uptime: f64,
    /// The amount of data and the number of connections, which are not public.
    #[serde(flatten)]
    inside: Option<Inside>,
}

#[derive(Serialize)]
struct Inside {
    websocket: Websocket,
    storage: Storage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Websocket {
    total_connections: usize,
    users: usize,
    sessions: usize,
}

/// Returns the health of the service.
pub async fn health(request: HttpRequest, sessions: web::Data<Sessions>) -> Answer {
    let caller = Caller::extract(&request).await.ok();
    let uptime = request
        .app_data::<Started>()
        .map_or(0.0, |started| started.uptime());
    let storage = sessions.storage_health();
    let has_failed = storage.has_failed;
    let sees_inside = caller.is_some_and(|caller| caller.sees_everything());
    let report = Report {
        status: if has_failed { "failed" } else { "ok" },
        uptime,
        inside: sees_inside.then(|| inside(storage, &sessions)),
    };
    let fields = fields_of(&report)?;
    if has_failed {
        let failed = Refusal::new(
            Code::StorageUnavailable,
            "storage failed and needs a restart",
        );
        return Err(ApiError::with_fields(failed, fields));
    }
    let mut well = json(Value::Object(fields).to_string());
    well.headers_mut().insert(STORAGE_RUN, run_of(&sessions)?);
    Ok(well)
}

fn fields_of(report: &Report) -> Result<Map<String, Value>, Refusal> {
    match serde_json::to_value(report) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) | Err(_) => Err(Refusal::new(Code::Internal, "the report is no object")),
    }
}

fn run_of(sessions: &Sessions) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(sessions.run())
        .map_err(|_| Refusal::new(Code::Internal, "the run is no header value"))
}

fn inside(storage: StorageHealth, sessions: &Sessions) -> Inside {
    let counts = sessions.hub().counts();
    Inside {
        websocket: Websocket {
            total_connections: counts.connections,
            users: counts.users,
            sessions: counts.sessions,
        },
        storage: storage.into(),
    }
}

/// Response body of `GET /`.
#[derive(Clone, Debug)]
pub struct About(Bytes);

impl About {
    /// Creates the body with the list of the routes.
    pub fn new(endpoints: &impl Serialize) -> Self {
        let about = serde_json::json!({
            "service": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "endpoints": endpoints,
        });
        Self(about.to_string().into())
    }
}

/// Returns the service name, version and endpoints.
pub async fn about(request: HttpRequest) -> HttpResponse {
    json(
        request
            .app_data::<About>()
            .map_or_else(Bytes::new, |about| about.0.clone()),
    )
}
