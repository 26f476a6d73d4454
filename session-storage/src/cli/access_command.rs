//! Implements `session-storage key …` and `session-storage token …`, which change the files that
//! the running service watches.
//!
//! A requested key or token is the only line on stdout; all messages go to stderr. Every command
//! that changes who has access writes a line to the audit log, whether it succeeded or was refused,
//! unless the audit log is off.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_model::{SessionId, Timestamp};
use session_storage::access::key_file::{FileError, Folder};
use session_storage::access::record::{Record, Standing, Stored};
use session_storage::access::{Scope, Scopes, issue_as_operator, new_key, secret};
use session_storage::audit::{self, AuditEvent, file::AuditFiles};
use session_storage::config::{AccessRequest, AuditLog, Config, LoadedConfig, NewKey};
use session_storage::transfer::is_storage_directory;

use super::moving;
use crate::Failure;

/// Runs the command.
pub(crate) fn run(loaded: &LoadedConfig, request: AccessRequest) -> Result<(), Failure> {
    let config = &loaded.config;
    let may_make = match &request {
        AccessRequest::CreateKey(key) => key.init,
        AccessRequest::IssueToken { init, .. } => *init,
        AccessRequest::ListKeys { .. }
        | AccessRequest::RevokeKey { .. }
        | AccessRequest::RotateKey { .. }
        | AccessRequest::EndTokens => false,
    };
    // Not recorded in the audit log, because recording would create that log inside the directory.
    if !may_make && !is_storage_directory(&config.storage_path) {
        return Err(FileError::NoDirectory(config.storage_path.clone()).into());
    }
    let is_change = !matches!(request, AccessRequest::ListKeys { .. });
    answer(config, request)?;
    if is_change {
        say(&format!("in `{}`", config.storage_path.display()));
        moving::tell_if_elsewhere(loaded);
    }
    Ok(())
}

fn answer(config: &Config, request: AccessRequest) -> Result<(), FileError> {
    let folder = Folder::below(&config.storage_path);
    let mut event = AuditEvent {
        method: "CLI",
        ..AuditEvent::default()
    };
    let done = match request {
        AccessRequest::ListKeys { json } => return list(&folder, json),
        AccessRequest::CreateKey(key) => {
            event.route = "key create";
            create(&folder, key).map(|id| event.about = Some(id.into()))
        }
        AccessRequest::RevokeKey { id } => {
            event.route = "key revoke";
            event.about = Some(id.as_str().into());
            revoke(&folder, &id)
        }
        AccessRequest::RotateKey { id, grace } => {
            event.route = "key rotate";
            event.about = Some(id.as_str().into());
            rotate(&folder, &id, grace)
        }
        AccessRequest::IssueToken {
            session,
            scopes,
            lifetime,
            init: _,
        } => {
            event.route = "token issue";
            event.session = Some(session.clone());
            issue(&folder, session, scopes, lifetime).map(|name| event.about = Some(name.into()))
        }
        AccessRequest::EndTokens => {
            event.route = "token end-all";
            folder
                .renew_token_secret()
                .map(|()| say("every token was invalidated"))
        }
    };
    let noted = note(config, event, &done);
    done.and(noted)
}

/// Records in the audit log that the command succeeded or failed.
fn note(
    config: &Config,
    mut event: AuditEvent,
    done: &Result<(), FileError>,
) -> Result<(), FileError> {
    if config.audit_log == AuditLog::Off {
        return Ok(());
    }
    event.who = Some(format!("cli:{}", rustix::process::getuid().as_raw()).into());
    (event.status, event.code) = match done {
        Ok(()) => (200, None),
        // The argument may be any text, so an unknown id is not written to the log.
        Err(FileError::NoSuchKey(_)) => (404, Some("no_such_key")),
        Err(FileError::KeyRevoked(_)) => (409, Some("key_revoked")),
        Err(_) => (500, Some("internal")),
    };
    if event.status == 404 {
        event.about = None;
    }
    let files = AuditFiles::of(config);
    let written = audit::write_now(&files, event, now());
    files.give_to_owner_of(&config.storage_path);
    written.map_err(|source| FileError::Io {
        what: "write to the audit log in",
        path: files.dir,
        source,
    })
}

/// Issues a token and returns its name in the audit log.
fn issue(
    folder: &Folder,
    session: SessionId,
    scopes: Scopes,
    lifetime: Duration,
) -> Result<String, FileError> {
    let issued = issue_as_operator(folder, session, scopes, lifetime)?;
    print(&issued.token);
    say(&format!("valid until {}", issued.ends));
    if folder.read_keys()?.keys.is_empty() {
        say(
            "note: there is no key yet, so the service accepts every request; see `session-storage key create`",
        );
    }
    Ok(issued.name)
}

fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    after(Timestamp::from_millis(0), since)
}

fn after(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(
        at.as_millis()
            .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
    )
}

/// Creates a key and returns its id.
fn create(folder: &Folder, wanted: NewKey) -> Result<String, FileError> {
    let (key, id) = new_key()?;
    let created = now();
    let record = Record {
        id: id.clone(),
        name: wanted.name,
        scopes: wanted.scopes.list(),
        users: wanted.users,
        prefixes: wanted.prefixes,
        sessions: wanted.sessions,
        created,
        expires: wanted.lifetime.map(|lifetime| after(created, lifetime)),
        revoked: None,
        secrets: vec![Stored::of(&key)],
    };
    let first = folder.change_keys(|keys| {
        keys.keys.push(record);
        Ok(keys.keys.len() == 1)
    })?;
    print(&key);
    say(&format!(
        "key {id}: shown only once; send it as `Authorization: Bearer …`"
    ));
    if first {
        say(
            "from now on, every request to the service of this directory needs a key or token, also over loopback",
        );
    }
    Ok(id)
}

fn revoke(folder: &Folder, id: &str) -> Result<(), FileError> {
    change(folder, id, |record| {
        record.revoked.get_or_insert_with(now);
        Ok(())
    })?;
    say(&format!("key {id} was revoked"));
    Ok(())
}

fn rotate(folder: &Folder, id: &str, grace: Duration) -> Result<(), FileError> {
    let text = secret::key_text(id, &secret::new_secret()?);
    let until = change(folder, id, |record| {
        if record.revoked.is_some() {
            return Err(FileError::KeyRevoked(record.id.clone()));
        }
        let until = after(now(), grace);
        record.rotate(&text, now(), until);
        Ok(until)
    })?;
    print(&text);
    say(&format!(
        "key {id}: shown only once; the old secret is valid until {until}"
    ));
    Ok(())
}

fn change<T>(
    folder: &Folder,
    id: &str,
    change: impl FnOnce(&mut Record) -> Result<T, FileError>,
) -> Result<T, FileError> {
    folder.change_keys(|keys| {
        change(
            keys.find(id)
                .ok_or_else(|| FileError::NoSuchKey(id.to_owned()))?,
        )
    })
}

fn list(folder: &Folder, json: bool) -> Result<(), FileError> {
    let keys = folder.read_keys()?.keys;
    let used = folder.last_uses();
    if !json {
        print(&format!(
            "{:<12}  {:<8}  {:<24}  {:<24}  {:<24}  {:<18}  NAME",
            "ID", "STATUS", "CREATED", "EXPIRES", "LAST USED", "SCOPES"
        ));
    }
    for key in keys {
        let last = used
            .get(&key.id)
            .map_or("-".to_owned(), ToString::to_string);
        print(&if json {
            as_json(&key, &last)
        } else {
            as_row(&key, &last)
        });
    }
    Ok(())
}

fn status(key: &Record) -> &'static str {
    match key.standing(now()) {
        Standing::Active => "active",
        Standing::Expired => "expired",
        Standing::Revoked => "revoked",
    }
}

fn as_row(key: &Record, last: &str) -> String {
    let scopes: Vec<&str> = key
        .scopes
        .iter()
        .map(|scope| Scope::as_str(*scope))
        .collect();
    let expires = key.expires.map_or("-".to_owned(), |at| at.to_string());
    let id = &key.id;
    let created = key.created.to_string();
    let status = status(key);
    let limits = limits(key);
    format!(
        "{id:<12}  {status:<8}  {created:<24}  {expires:<24}  {last:<24}  {:<18}  {}{limits}",
        scopes.join(","),
        key.name
    )
}

fn limits(key: &Record) -> String {
    let named = |name: &'static str| move |value: &str| format!("{name} {value}");
    let users = key.users.iter().map(String::as_str).map(named("user"));
    let prefixes = key.prefixes.iter().map(String::as_str).map(named("prefix"));
    let sessions = key
        .sessions
        .iter()
        .map(SessionId::as_str)
        .map(named("session"));
    let all: Vec<String> = users.chain(prefixes).chain(sessions).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" ({})", all.join(", "))
    }
}

/// Formats a key as JSON, without its hashes.
fn as_json(key: &Record, last: &str) -> String {
    serde_json::json!({
        "id": key.id, "name": key.name, "status": status(key), "scopes": key.scopes, "users": key.users,
        "prefixes": key.prefixes, "sessions": key.sessions, "created": key.created.to_string(),
        "expires": key.expires.map(|at| at.to_string()), "lastUsed": (last != "-").then_some(last),
    })
    .to_string()
}
