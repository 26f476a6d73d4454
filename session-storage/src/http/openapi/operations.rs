//! The operations, one for each row of the table of routes.

use serde_json::{Value, json};
use session_model::Code::{
    self, AgentExists, AgentNotFound, BlobDamaged, BlobMismatch, BlobNotFound, GoalExists,
    GoalNotFound, ImmutableField, InvalidJson, InvalidParameter, InvalidRequest, InvalidSessionId,
    InvalidState, PatchConflict, PayloadTooLarge, ProducerGap, RangeNotSatisfiable, RecordDamaged,
    RequestTimeout, SessionNotFound, SessionQuarantined, StaleProducerEpoch, StorageFull,
    StorageUnavailable, UnsupportedMediaType, UserConflict, VersionMismatch, VersionNotFound,
};
use utoipa::openapi::{ArrayBuilder, RefOr, Schema};

use super::operation::{Operation, reference};
use super::parameters::{self as p, choice, limit, query, switch, whole};
use super::shapes::{
    About, Agent, Alive, Appended, BatchAnswer, BatchLine, BlobStored, Created, Done, Empty,
    Ending, EventPage, GoalAdded, GoalUpdate, Health, JsonPatchStep, Metadata, MetadataPatch,
    NewAgent, NewGoal, NewRecord, NewSession, NewToken, Outcome, Ready, Record, Session,
    SessionPage, SessionRow, State, StatePatch, Stats, Ticket, Token, UsageReport, Versioned,
};

/// The parts of the API.
pub(super) const TAGS: &[(&str, &str)] = &[
    (
        SESSIONS,
        "Creation, metadata and end of sessions, and lists of them.",
    ),
    (
        LOGS,
        "The two logs that agents write: actions and responses.",
    ),
    (STATE, "The state of a session, its goals and agents."),
    (
        BLOBS,
        "Bytes that belong to a session: images, large outputs, an agent's own files.",
    ),
    (EVENTS, "All events, as pages or live."),
    (SERVICE, "The service itself."),
    (
        ACCESS,
        "Short-lived access: tokens for one session, tickets for one stream.",
    ),
    (
        ADMIN,
        "Copies of stored data; `session-storage backup` and `export` request them.",
    ),
];

const SESSIONS: &str = "sessions";
const LOGS: &str = "logs";
const STATE: &str = "state";
const BLOBS: &str = "blobs";
const EVENTS: &str = "events";
const SERVICE: &str = "service";

const ADMIN: &str = "admin";
const ACCESS: &str = "access";

const TAR: &str = "application/x-tar";
const JSON_LINES: &str = "application/x-ndjson";

/// What any write to a session may be refused with.
const WRITES: &[Code] = &[
    InvalidSessionId,
    InvalidJson,
    InvalidRequest,
    InvalidParameter,
    StaleProducerEpoch,
    SessionNotFound,
    RequestTimeout,
    ProducerGap,
    SessionQuarantined,
    PayloadTooLarge,
    UnsupportedMediaType,
    StorageUnavailable,
    StorageFull,
];

/// What any read of a session may be refused with.
const READS: &[Code] = &[
    InvalidSessionId,
    SessionNotFound,
    SessionQuarantined,
    RecordDamaged,
    StorageUnavailable,
];

fn write(id: &str, tag: &str) -> Operation {
    Operation::new(id, tag).repeats().refuses(WRITES)
}

fn read(id: &str, tag: &str) -> Operation {
    Operation::new(id, tag).refuses(READS)
}

/// The operation of a method and path; none for what is not described.
pub(super) fn of(method: &str, path: &str) -> Option<Operation> {
    logs(method, path)
        .or_else(|| sessions(method, path))
        .or_else(|| state(method, path))
        .or_else(|| goals_and_agents(method, path))
        .or_else(|| blobs(method, path))
        .or_else(|| events(method, path))
        .or_else(|| service(method, path))
        .or_else(|| admin(method, path))
        .or_else(|| access(method, path))
}

fn admin(method: &str, path: &str) -> Option<Operation> {
    let of = |id, description| {
        let bundle: RefOr<Schema> = p::binary().into();
        Operation::new(id, ADMIN)
            .about("A tar archive whose last file, `MANIFEST.json`, has every file's size and SHA-256.")
            .answers_any(description, &[(TAR, bundle)])
            .refuses(&[StorageUnavailable])
    };
    Some(match (method, path) {
        ("GET", "/api/admin/backup") => of("backup", "The whole directory as of one position."),
        ("GET", "/api/admin/export") => of("export", "Sessions, each as of its own offset.")
            .takes([
                p::sessions("session"),
                query("user", "Only sessions of this user."),
            ])
            .refuses(&[
                InvalidParameter,
                InvalidSessionId,
                SessionNotFound,
                SessionQuarantined,
            ]),
        _ => return None,
    })
}

fn access(method: &str, path: &str) -> Option<Operation> {
    let of = |id| {
        let bodies = [
            InvalidJson,
            InvalidRequest,
            RequestTimeout,
            PayloadTooLarge,
            UnsupportedMediaType,
            StorageUnavailable,
        ];
        Operation::new(id, ACCESS).refuses(&bodies)
    };
    Some(match (method, path) {
        ("POST", "/api/tokens") => of("issueToken")
            .about("For `Authorization: Bearer …`. It expires after its lifetime, or with the key that requested it.")
            .reads::<NewToken>(json!({"sessionId": "first", "scope": "append", "ttl": "1h"}))
            .answers::<Token>("The token; it is shown only once.")
            .refuses(&[InvalidSessionId, SessionNotFound]),
        ("POST", "/api/tickets") => of("issueTicket")
            .about("For browsers, which cannot send headers there: `?ticket=…` opens one WebSocket or event stream.")
            .reads::<Empty>(json!({}))
            .answers::<Ticket>("The ticket; it is shown only once."),
        _ => return None,
    })
}

fn logs(method: &str, path: &str) -> Option<Operation> {
    let record = json!({"type": "bash_exec", "command": "ls"});
    let listed = |id| read(id, LOGS).takes(p::log()).refuses(&[InvalidParameter]);
    Some(match (method, path) {
        ("POST", "/api/actions/{id}") => write("appendAction", LOGS)
            .reads::<NewRecord>(record)
            .answers::<Appended>("Stored, durably."),
        ("GET", "/api/actions/{id}") => {
            listed("listActions").answers_list::<Record>("The actions, oldest first.")
        }
        ("POST", "/api/actions/{id}/responses") => write("appendResponse", LOGS)
            .reads::<NewRecord>(json!({"type": "text", "text": "done"}))
            .answers::<Appended>("Stored, durably."),
        ("GET", "/api/actions/{id}/responses") => {
            listed("listResponses").answers_list::<Record>("The responses, oldest first.")
        }
        _ => return None,
    })
}

fn sessions(method: &str, path: &str) -> Option<Operation> {
    let new = json!({"sessionId": "first", "userId": "me", "initial": {"input": "fix the build"}});
    let list = |id| Operation::new(id, SESSIONS).refuses(&[StorageUnavailable]);
    Some(match (method, path) {
        ("POST", "/api/sessions") => write("createSession", SESSIONS)
            .about("The same again changes nothing (`existing`). Of another user it is a conflict, unless a first \
                    write had made the session: then it is taken over (`claimed`).")
            .reads::<NewSession>(new)
            .answers::<Created>("The session exists.")
            .refuses(&[UserConflict]),
        ("GET", "/api/sessions") => list("listSessions")
            .takes([
                query("user", "Only sessions of this user."),
                choice("status", "Only sessions with this status.", &["active", "completed"]),
                query("outcome", "Only sessions that ended with this status: `success`, `error`, `interrupted`, `cancelled` or another one."),
                query("tag", "Only sessions with this tag."),
                query("q", "Only sessions whose id, user or a tag contains this text."),
                limit(50),
                p::cursor(),
            ])
            .answers::<SessionPage>("A page, newest first.")
            .refuses(&[InvalidParameter]),
        ("GET", "/api/sessions/{id}") => read("readSession", SESSIONS)
            .takes([
                switch("logs", "`false` omits the two logs."),
                choice("format", "`hail` returns the lines of a HAIL file, `.hail.jsonl`.", &["json", "hail"]),
            ])
            .answers_any(
                "The whole session.",
                &[("application/json", reference::<Session>()), (JSON_LINES, p::text().into())],
            )
            .refuses(&[InvalidParameter]),
        ("GET", "/api/sessions/{id}/usage") => read("readUsage", SESSIONS)
            .about("Computed from the `usage` records: a request counts once, with its greatest snapshot.")
            .takes([switch("explain", "`true` adds `records`: each `usage` record, and why it counts or not.")])
            .answers::<UsageReport>("The sums, by agent and by model.")
            .refuses(&[InvalidParameter]),
        ("DELETE", "/api/sessions/{id}") => {
            write("deleteSession", SESSIONS).answers::<Done>("The session was deleted.").refuses(&[RecordDamaged])
        }
        ("PATCH", "/api/sessions/{id}/metadata") => write("updateMetadata", SESSIONS)
            .reads::<MetadataPatch>(json!({"tokenUsage.input": "+120", "tags": ["nightly"]}))
            .answers::<Done>("Changed.")
            .refuses(&[ImmutableField, InvalidState]),
        ("POST", "/api/sessions/{id}/finalize") => write("finalizeSession", SESSIONS)
            .reads::<Ending>(json!({"status": "success", "response": "done"}))
            .answers::<Done>("The session is completed, or was before."),
        ("POST", "/api/sessions/{id}/reopen") => write("reopenSession", SESSIONS)
            .reads::<Empty>(json!({}))
            .answers::<Done>("The session is active, or was before."),
        ("GET", "/api/sessions/user/{user}") => list("listSessionsOfUser")
            .about("Without `limit`, all sessions are returned.")
            .takes(p::pages())
            .answers_pages::<SessionRow>("The user's sessions, oldest first.")
            .refuses(&[InvalidParameter]),
        ("GET", "/api/query/recent") => list("recentSessions").answers_list::<Metadata>("Newest first."),
        ("GET", "/api/query/active") => list("activeSessions")
            .about("Without `limit`, all sessions are returned.")
            .takes(p::pages())
            .answers_pages::<Metadata>("Newest first.")
            .refuses(&[InvalidParameter]),
        ("GET", "/api/query/stats") => list("sessionStats").answers::<Stats>("The numbers."),
        _ => return None,
    })
}

fn state(method: &str, path: &str) -> Option<Operation> {
    let steps: RefOr<Schema> = Schema::Array(
        ArrayBuilder::new()
            .items(reference::<JsonPatchStep>())
            .build(),
    )
    .into();
    let merged = json!({"phase": "testing", "workspace": {"gitStatus": "clean"}});
    let patches = [
        (
            "application/json",
            reference::<StatePatch>(),
            merged.clone(),
        ),
        (
            "application/merge-patch+json",
            reference::<StatePatch>(),
            merged,
        ),
        (
            "application/json-patch+json",
            steps,
            json!([{"op": "replace", "path": "/phase", "value": "testing"}]),
        ),
    ];
    Some(match (method, path) {
        ("PATCH", "/api/state/{id}") => write("patchState", STATE)
            .about("`application/json` merges deeply: objects merge, anything else replaces, null is stored. The other \
                    two are RFC 7396 and RFC 6902.")
            .takes([p::if_match()])
            .reads_any(&patches)
            .answers::<Versioned>("Merged.")
            .refuses(&[InvalidState, PatchConflict, VersionMismatch]),
        ("GET", "/api/state/{id}") => read("readState", STATE)
            .takes([p::count("version", "The state at this version."), p::if_none_match()])
            .answers_tagged::<State>("The state.")
            .also("304", "The client has this version.")
            .refuses(&[InvalidParameter, VersionNotFound]),
        _ => return None,
    })
}

fn goals_and_agents(method: &str, path: &str) -> Option<Operation> {
    Some(match (method, path) {
        ("POST", "/api/state/{id}/goals") => write("addGoal", STATE)
            .reads::<NewGoal>(json!({"description": "ship it"}))
            .answers::<GoalAdded>("The goal as it is stored.")
            .refuses(&[GoalExists, InvalidState]),
        ("PATCH", "/api/state/{id}/goals/{goal}") => write("updateGoal", STATE)
            .reads::<GoalUpdate>(json!({"status": "completed"}))
            .answers::<Done>("Changed.")
            .refuses(&[GoalNotFound, InvalidState]),
        ("POST", "/api/state/{id}/agents") => write("spawnAgent", STATE)
            .reads::<NewAgent>(json!({"type": "explorer", "task": "read the tests"}))
            .answers::<Agent>("The agent as it is stored.")
            .refuses(&[AgentExists, InvalidState]),
        ("POST", "/api/state/{id}/agents/{agent}/complete") => write("completeAgent", STATE)
            .reads::<Outcome>(json!({"result": "all read"}))
            .answers::<Done>("The agent is completed, or was before.")
            .refuses(&[AgentNotFound, InvalidState]),
        _ => return None,
    })
}

fn blobs(method: &str, path: &str) -> Option<Operation> {
    let bytes: RefOr<Schema> = p::binary().into();
    let any = "*/*";
    Some(match (method, path) {
        ("PUT", "/api/sessions/{id}/blobs/{blob}") => Operation::new("storeBlob", BLOBS)
            .about("Records refer to it by `{\"$blob\": \"sha256:…\"}`. Any media type; it is kept and served again. \
                    Secrets in text are replaced while it arrives: then `redacted` says how many, and `storedAs` under \
                    which hash the result is; the hash in the path stands for the same bytes. A blob that is stored \
                    already is compared and stays (`existing`). A blob that no record refers to is removed after a day.")
            .reads_any(&[("application/octet-stream", bytes, json!("bytes"))])
            .answers::<BlobStored>("Stored, durably.")
            .refuses(&[
                InvalidSessionId,
                InvalidParameter,
                InvalidRequest,
                SessionNotFound,
                RequestTimeout,
                BlobMismatch,
                PayloadTooLarge,
                UnsupportedMediaType,
                StorageUnavailable,
                StorageFull,
            ]),
        ("GET", "/api/sessions/{id}/blobs/{blob}") => read("readBlob", BLOBS)
            .about("With the media type that it was stored with, as an attachment. It never changes: `ETag` is its hash.")
            .takes(p::parts())
            .answers_any("The bytes.", &[(any, bytes.clone())])
            .answers_part("The range that was asked for.", any, bytes)
            .also("304", "The client has these bytes.")
            .refuses(&[
                InvalidParameter,
                BlobNotFound,
                BlobDamaged,
                RangeNotSatisfiable,
            ]),
        _ => return None,
    })
}

fn events(method: &str, path: &str) -> Option<Operation> {
    let line: Value = json!({"type": "action", "data": {"type": "tool_call", "tool": "Read"}});
    let pages = [
        ("application/json", reference::<EventPage>()),
        ("text/event-stream", p::text().build().into()),
    ];
    let followed =
        "A page; or, with `Accept: text/event-stream`, a stream that continues with new events.";
    Some(match (method, path) {
        ("POST", "/api/sessions/{id}/events") => write("appendBatch", EVENTS)
            .about("Each line is one change; changes are applied in order. Up to 1,000 lines and 512 KiB are committed together.")
            .reads_any(&[(JSON_LINES, reference::<BatchLine>(), line)])
            .answers::<BatchAnswer>("The result of each line."),
        ("GET", "/api/sessions/{id}/events") => read("listEventsOfSession", EVENTS)
            .takes(p::events())
            .takes([whole(
                "at",
                "Number of the first event in its session, from 0; a negative number counts from the end.",
            )])
            .answers_any(followed, &pages)
            .refuses(&[InvalidParameter]),
        ("GET", "/api/events") => Operation::new("listEvents", EVENTS)
            .about("Returns events as far back as the journal goes.")
            .takes(p::events())
            .answers_any(followed, &pages)
            .refuses(&[InvalidParameter, RecordDamaged, StorageUnavailable]),
        ("GET", "/ws") => Operation::new("follow", EVENTS)
            .about("The first frame is `connected`; events follow. With both filters, an event that matches either one is sent.")
            .takes([
                p::session("session", "Only this session's events."),
                query("user", "Only sessions of this user."),
                p::position("since", "Start after this position."),
                p::max_bytes(),
            ])
            .also("101", "A WebSocket.")
            .refuses(&[
                InvalidRequest,
                InvalidParameter,
                InvalidSessionId,
                RecordDamaged,
                StorageUnavailable,
            ]),
        _ => return None,
    })
}

fn service(method: &str, path: &str) -> Option<Operation> {
    let of = |id| Operation::new(id, SERVICE);
    Some(match (method, path) {
        ("GET", "/health") => of("health")
            .answers::<Health>("The service is healthy.")
            .refuses(&[StorageUnavailable]),
        ("GET", "/livez") => of("alive")
            .answers::<Alive>("The process runs.")
            .refuses(&[StorageUnavailable]),
        ("GET", "/readyz") => of("ready")
            .answers::<Ready>("The service accepts writes.")
            .refuses(&[StorageUnavailable]),
        ("GET", "/metrics") => of("metrics").answers_text("The metrics.", "text/plain"),
        ("GET", "/openapi.json") => {
            of("describe").answers_any("OpenAPI 3.1.", &[("application/json", p::any())])
        }
        ("GET", "/schemas/records.json") => of("recordSchema").answers_any(
            "JSON Schema, draft 2020-12.",
            &[("application/json", p::any())],
        ),
        ("GET", "/docs") => of("browse").answers_text("An HTML page.", "text/html"),
        ("GET", "/docs/style.css") => of("style").answers_text("A style sheet.", "text/css"),
        ("GET", "/llms.txt") => {
            of("summarise").answers_text("A text for language models.", "text/plain")
        }
        ("GET", "/") => of("about").answers::<About>("Name, version, routes."),
        _ => return None,
    })
}
