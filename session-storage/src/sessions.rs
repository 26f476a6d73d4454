//! The heart: the one place that sees store and live. Interface (bodies follow).

use std::sync::Arc;
use bytes::Bytes;
use serde_json::Value;
use session_model::{Code, Command, LogKind, Refusal, SessionId, UserId, producer::ProducerNumbers};

/// What a write answers: status and JSON body (given again, byte for byte, when a producer repeats itself).
#[derive(Debug, Clone)]
pub struct Submitted { pub status: u16, pub body: String }

/// Why a request was refused, with the header that goes with it, if any.
#[derive(Debug, Clone)]
pub struct Refused { pub refusal: Refusal, pub header: Option<(&'static str, String)> }
impl From<Refusal> for Refused { fn from(refusal: Refusal) -> Self { Self { refusal, header: None } } }

/// Which records of a log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery { pub after: Option<u64>, pub before: Option<u64>, pub descending: bool, pub limit: Option<u64>, pub types: Vec<String> }

/// A list's filter.
#[derive(Debug, Clone, Default)]
pub struct ListQuery { pub user: Option<String>, pub status: Option<String>, pub tag: Option<String>, pub q: Option<String>, pub limit: usize, pub cursor: Option<String> }

/// A JSON array or object that arrives in pieces.
pub type JsonStream = std::pin::Pin<Box<dyn futures_core::Stream<Item = Result<Bytes, Refusal>>>>;

pub struct Sessions;
impl Sessions {
    pub async fn submit(&self, _id: &SessionId, _command: Command<'_>, _producer: Option<ProducerNumbers>) -> Result<Submitted, Refused> { unimplemented!() }
    /// NDJSON lines, one transaction.
    pub async fn submit_batch(&self, _id: &SessionId, _lines: Bytes, _producer: Option<ProducerNumbers>) -> Result<Submitted, Refused> { unimplemented!() }
    /// `POST /api/sessions`: creates or claims; the body has success, sessionId, path, existing?, claimed?.
    pub async fn create(&self, _id: Option<SessionId>, _user: UserId, _initial: serde_json::Map<String, Value>, _parent: Option<SessionId>, _producer: Option<ProducerNumbers>) -> Result<Submitted, Refused> { unimplemented!() }
    pub async fn delete(&self, _id: &SessionId, _producer: Option<ProducerNumbers>) -> Result<Submitted, Refused> { unimplemented!() }
    /// The whole session as one JSON object; the logs, if wanted, are streamed.
    pub async fn whole(&self, _id: &SessionId, _logs: bool) -> Result<JsonStream, Refused> { unimplemented!() }
    pub async fn log(&self, _id: &SessionId, _log: LogKind, _query: LogQuery) -> Result<JsonStream, Refused> { unimplemented!() }
    /// The state and its version.
    pub async fn state(&self, _id: &SessionId) -> Result<(u64, Bytes), Refused> { unimplemented!() }
    pub async fn state_at(&self, _id: &SessionId, _version: u64) -> Result<Bytes, Refused> { unimplemented!() }
    /// `[{sessionId, userId, created}]`
    pub async fn of_user(&self, _user: &str) -> Result<Bytes, Refused> { unimplemented!() }
    /// Arrays of metadata.
    pub async fn recent(&self) -> Result<Bytes, Refused> { unimplemented!() }
    pub async fn active(&self) -> Result<Bytes, Refused> { unimplemented!() }
    /// `{total, active, completed, activeSessions, completedSessions}`
    pub async fn stats(&self) -> Result<Bytes, Refused> { unimplemented!() }
    /// `{sessions, next}`
    pub async fn list(&self, _query: ListQuery) -> Result<Bytes, Refused> { unimplemented!() }
    /// The `storage` object of /health.
    pub fn storage_health(&self) -> Value { unimplemented!() }
    /// Whether a session exists, for subscribers (loads nothing).
    pub fn exists(&self, _id: &SessionId) -> bool { unimplemented!() }
    pub fn history(&self) -> Arc<dyn crate::live::History> { unimplemented!() }
    pub fn hub(&self) -> &crate::live::Hub { unimplemented!() }
}
