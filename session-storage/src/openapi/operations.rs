//! The operations, one for each row of the table of routes.

use serde_json::{Value, json};
use session_model::Code::{
    self, AgentExists, AgentNotFound, GoalExists, GoalNotFound, ImmutableField, InvalidJson,
    InvalidParameter, InvalidRequest, InvalidSessionId, InvalidState, PatchConflict, PayloadTooLarge,
    ProducerGap, RecordDamaged, RequestTimeout, SessionNotFound, SessionQuarantined, StaleProducerEpoch,
    StorageFull, StorageUnavailable, UnsupportedMediaType, UserConflict, VersionMismatch, VersionNotFound,
};
use utoipa::openapi::{ArrayBuilder, RefOr, Schema};

use super::operation::{Operation, reference};
use super::parameters::{self as p, choice, limit, query, switch, whole};
use super::shapes::{
    About, Agent, Alive, Appended, BatchAnswer, BatchLine, Created, Done, Empty, Ending, EventPage,
    GoalAdded, GoalUpdate, Health, JsonPatchStep, Metadata, MetadataPatch, NewAgent, NewGoal, NewRecord,
    NewSession, NewToken, Outcome, Ready, Record, Session, SessionPage, SessionRow, State, StatePatch, Stats,
    Ticket, Token, Versioned,
};

/// The parts of the API.
pub(super) const TAGS: &[(&str, &str)] = &[
    (SESSIONS, "Birth, metadata and end of sessions, and lists of them."),
    (LOGS, "The two logs that agents write: actions and responses."),
    (STATE, "The state of a session, its goals and agents."),
    (EVENTS, "Everything that happened, as pages or live."),
    (SERVICE, "The service itself."),
    (ACCESS, "Short-lived leave: for one session, and for one stream."),
    (ADMIN, "Copies of what is stored; `session-storage backup` and `export` ask for them."),
];

const SESSIONS: &str = "sessions";
const LOGS: &str = "logs";
const STATE: &str = "state";
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
const READS: &[Code] =
    &[InvalidSessionId, SessionNotFound, SessionQuarantined, RecordDamaged, StorageUnavailable];

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
            .takes([p::sessions("session"), query("user", "Only this user's.")])
            .refuses(&[InvalidParameter, InvalidSessionId, SessionNotFound, SessionQuarantined]),
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
            .about("For `Authorization: Bearer …`. It ends with its time, or with the key that asked for it.")
            .reads::<NewToken>(json!({"sessionId": "first", "scope": "append", "ttl": "1h"}))
            .answers::<Token>("The token, this once.")
            .refuses(&[InvalidSessionId, SessionNotFound]),
        ("POST", "/api/tickets") => of("issueTicket")
            .about("For browsers, which can send no header there: `?ticket=…` opens a WebSocket or an event stream, once.")
            .reads::<Empty>(json!({}))
            .answers::<Ticket>("The ticket, this once."),
        _ => return None,
    })
}

fn logs(method: &str, path: &str) -> Option<Operation> {
    let record = json!({"type": "bash_exec", "command": "ls"});
    let listed = |id| read(id, LOGS).takes(p::log()).refuses(&[InvalidParameter]);
    Some(match (method, path) {
        ("POST", "/api/actions/{id}") => {
            write("appendAction", LOGS).reads::<NewRecord>(record).answers::<Appended>("Stored, durably.")
        }
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
            .answers::<Created>("There is such a session.")
            .refuses(&[UserConflict]),
        ("GET", "/api/sessions") => list("listSessions")
            .takes([
                query("user", "Only this user's."),
                choice("status", "Only those with this status.", &["active", "completed"]),
                query("outcome", "Only those that ended so: `success`, `error`, `interrupted`, `cancelled` or another status of their end."),
                query("tag", "Only those with this tag."),
                query("q", "Only those whose id, user or a tag contains this text."),
                limit(50),
                p::cursor(),
            ])
            .answers::<SessionPage>("A page, newest first.")
            .refuses(&[InvalidParameter]),
        ("GET", "/api/sessions/{id}") => read("readSession", SESSIONS)
            .takes([switch("logs", "`false` leaves the two logs out.")])
            .answers::<Session>("All of it.")
            .refuses(&[InvalidParameter]),
        ("DELETE", "/api/sessions/{id}") => {
            write("deleteSession", SESSIONS).answers::<Done>("It is gone.").refuses(&[RecordDamaged])
        }
        ("PATCH", "/api/sessions/{id}/metadata") => write("updateMetadata", SESSIONS)
            .reads::<MetadataPatch>(json!({"tokenUsage.input": "+120", "tags": ["nightly"]}))
            .answers::<Done>("Changed.")
            .refuses(&[ImmutableField, InvalidState]),
        ("POST", "/api/sessions/{id}/finalize") => write("finalizeSession", SESSIONS)
            .reads::<Ending>(json!({"status": "success", "response": "done"}))
            .answers::<Done>("Closed; or it said so already."),
        ("POST", "/api/sessions/{id}/reopen") => write("reopenSession", SESSIONS)
            .reads::<Empty>(json!({}))
            .answers::<Done>("Open; or it was."),
        ("GET", "/api/sessions/user/{user}") => list("listSessionsOfUser")
            .about("Without `limit`: all of them.")
            .takes(p::pages())
            .answers_pages::<SessionRow>("The user's sessions, oldest first.")
            .refuses(&[InvalidParameter]),
        ("GET", "/api/query/recent") => list("recentSessions").answers_list::<Metadata>("Newest first."),
        ("GET", "/api/query/active") => list("activeSessions")
            .about("Without `limit`: all of them.")
            .takes(p::pages())
            .answers_pages::<Metadata>("Newest first.")
            .refuses(&[InvalidParameter]),
        ("GET", "/api/query/stats") => list("sessionStats").answers::<Stats>("The numbers."),
        _ => return None,
    })
}

fn state(method: &str, path: &str) -> Option<Operation> {
    let steps: RefOr<Schema> =
        Schema::Array(ArrayBuilder::new().items(reference::<JsonPatchStep>()).build()).into();
    let merged = json!({"phase": "testing", "workspace": {"gitStatus": "clean"}});
    let patches = [
        ("application/json", reference::<StatePatch>(), merged.clone()),
        ("application/merge-patch+json", reference::<StatePatch>(), merged),
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
            .takes([p::count("version", "As it was at this version."), p::if_none_match()])
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
            .answers::<Done>("Done; or it was.")
            .refuses(&[AgentNotFound, InvalidState]),
        _ => return None,
    })
}

fn events(method: &str, path: &str) -> Option<Operation> {
    let line: Value = json!({"type": "action", "data": {"type": "tool_call", "tool": "Read"}});
    let pages =
        [("application/json", reference::<EventPage>()), ("text/event-stream", p::text().build().into())];
    let followed = "A page; or, with `Accept: text/event-stream`, a stream that goes on.";
    Some(match (method, path) {
        ("POST", "/api/sessions/{id}/events") => write("appendBatch", EVENTS)
            .about("One line, one change, applied in order; up to 1,000 lines and 512 KiB are committed together.")
            .reads_any(&[(JSON_LINES, reference::<BatchLine>(), line)])
            .answers::<BatchAnswer>("What became of each line."),
        ("GET", "/api/sessions/{id}/events") => read("listEventsOfSession", EVENTS)
            .takes(p::events())
            .takes([whole(
                "at",
                "The number of the first event in its session, from 0; negative, from the end.",
            )])
            .answers_any(followed, &pages)
            .refuses(&[InvalidParameter]),
        ("GET", "/api/events") => Operation::new("listEvents", EVENTS)
            .about("Reaches back as far as the journal.")
            .takes(p::events())
            .answers_any(followed, &pages)
            .refuses(&[InvalidParameter, RecordDamaged, StorageUnavailable]),
        ("GET", "/ws") => Operation::new("follow", EVENTS)
            .about("The first frame is `connected`, then come events. With both filters either one matches.")
            .takes([
                p::session("session", "Only this session's events."),
                query("user", "Only this user's."),
                p::position("since", "Everything after this position first."),
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
        ("GET", "/health") => of("health").answers::<Health>("It is well.").refuses(&[StorageUnavailable]),
        ("GET", "/livez") => of("alive").answers::<Alive>("It can go on.").refuses(&[StorageUnavailable]),
        ("GET", "/readyz") => of("ready").answers::<Ready>("It takes writes.").refuses(&[StorageUnavailable]),
        ("GET", "/metrics") => of("metrics").answers_text("The figures.", "text/plain"),
        ("GET", "/openapi.json") => {
            of("describe").answers_any("OpenAPI 3.1.", &[("application/json", p::any())])
        }
        ("GET", "/docs") => of("browse").answers_text("A page for people.", "text/html"),
        ("GET", "/docs/style.css") => of("style").answers_text("A style sheet.", "text/css"),
        ("GET", "/llms.txt") => of("summarise").answers_text("A text for language models.", "text/plain"),
        ("GET", "/") => of("about").answers::<About>("Name, version, routes."),
        _ => return None,
    })
}
