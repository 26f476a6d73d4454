//! `session-storage key …` and `session-storage token …`: change the files that the running service watches.
//!
//! A key or token that was asked for is the one line on stdout; everything else is talk, on stderr.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_model::{SessionId, Timestamp};
use session_storage::access::key_file::{FileError, Folder};
use session_storage::access::record::{Record, Standing, Stored};
use session_storage::access::{Scope, issue_as_operator, new_key, secret};
use session_storage::config::{AccessRequest, Config, NewKey};

/// Does what is asked.
pub(crate) fn run(config: &Config, request: AccessRequest) -> Result<(), FileError> {
    let folder = Folder::below(&config.storage_path);
    match request {
        AccessRequest::CreateKey(key) => create(&folder, key),
        AccessRequest::ListKeys { json } => list(&folder, json),
        AccessRequest::RevokeKey { id } => revoke(&folder, &id),
        AccessRequest::RotateKey { id, grace } => rotate(&folder, &id, grace),
        AccessRequest::IssueToken { session, scopes, lifetime } => {
            let (token, ends) = issue_as_operator(&folder, session, scopes, lifetime)?;
            print(&token);
            say(&format!("good until {ends}"));
            if folder.read_keys()?.keys.is_empty() {
                say(
                    "note: there is no key yet, so the service lets everybody in; see `session-storage key create`",
                );
            }
            Ok(())
        }
        AccessRequest::EndTokens => folder.renew_token_secret().map(|()| say("every token has ended")),
    }
}

fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    after(Timestamp::from_millis(0), since)
}

fn after(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

fn create(folder: &Folder, wanted: NewKey) -> Result<(), FileError> {
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
    say(&format!("key {id}: shown this once; send it as `Authorization: Bearer …`"));
    if first {
        say("from now on every request needs a key or token, on loopback too");
    }
    Ok(())
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
    say(&format!("key {id}: shown this once; the old secret is good until {until}"));
    Ok(())
}

fn change<T>(
    folder: &Folder,
    id: &str,
    change: impl FnOnce(&mut Record) -> Result<T, FileError>,
) -> Result<T, FileError> {
    folder.change_keys(|keys| change(keys.find(id).ok_or_else(|| FileError::NoSuchKey(id.to_owned()))?))
}

fn list(folder: &Folder, json: bool) -> Result<(), FileError> {
    let (keys, used) = (folder.read_keys()?.keys, folder.last_uses());
    if !json {
        print(&format!(
            "{:<12}  {:<8}  {:<24}  {:<24}  {:<24}  {:<18}  NAME",
            "ID", "STATUS", "CREATED", "EXPIRES", "LAST USED", "SCOPES"
        ));
    }
    for key in keys {
        let last = used.get(&key.id).map_or("-".to_owned(), ToString::to_string);
        print(&if json { as_json(&key, &last) } else { as_row(&key, &last) });
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
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| Scope::as_str(*scope)).collect();
    let expires = key.expires.map_or("-".to_owned(), |at| at.to_string());
    let (id, created, status) = (&key.id, key.created.to_string(), status(key));
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
    let sessions = key.sessions.iter().map(SessionId::as_str).map(named("session"));
    let all: Vec<String> = users.chain(prefixes).chain(sessions).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// A key without its hashes.
fn as_json(key: &Record, last: &str) -> String {
    serde_json::json!({
        "id": key.id, "name": key.name, "status": status(key), "scopes": key.scopes, "users": key.users,
        "prefixes": key.prefixes, "sessions": key.sessions, "created": key.created.to_string(),
        "expires": key.expires.map(|at| at.to_string()), "lastUsed": (last != "-").then_some(last),
    })
    .to_string()
}
