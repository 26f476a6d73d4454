//! The event as sent to clients, built from the stored line: live, backlog and paged events have
//! the same bytes.
//!
//! `{"offset":O,"type":T,"sessionId":S,"data":{…},"timestamp":…}`, plus `format` if a state patch
//! does not use the default merge.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::LogKind;
use crate::id::SessionId;
use crate::json;
use crate::line;
use crate::upgrade::upgrade;

#[derive(Deserialize)]
struct StoredChange<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default, borrow)]
    format: Option<&'a str>,
}

/// Appends the event of a stored line, given without its newline. Returns `None` and appends
/// nothing if the line was not written by this service.
pub fn write_event(
    out: &mut Vec<u8>,
    session: &SessionId,
    log: LogKind,
    line: &[u8],
) -> Option<()> {
    let head = line::head(line)?;
    match log {
        LogKind::Actions => write_parts(out, session, &head, "action", line, None),
        LogKind::Responses => write_parts(out, session, &head, "response", line, None),
        LogKind::Changes => {
            let change: StoredChange<'_> = serde_json::from_slice(line).ok()?;
            write_parts(
                out,
                session,
                &head,
                change.kind,
                change.data.get().as_bytes(),
                change.format,
            );
        }
    }
    Some(())
}

/// Returns the event with its record as one of the current vocabulary; `None` if it is one already,
/// or has no record. A record that is changed has no `$crc`: the checksum is that of the stored line.
pub fn upgraded(event: &[u8]) -> Option<Vec<u8>> {
    let Ok(Value::Object(mut event)) = json::stored::<Value>(event) else {
        return None;
    };
    if !matches!(event.get("type")?.as_str()?, "action" | "response") {
        return None;
    }
    let Some(Value::Object(record)) = event.get("data") else {
        return None;
    };
    let mut upgraded = upgrade(record.clone());
    if upgraded == *record {
        return None;
    }
    upgraded.shift_remove("$crc");
    event.insert("data".to_owned(), Value::Object(upgraded));
    Some(serde_json::to_vec(&event).expect("JSON values always serialize"))
}

fn write_parts(
    out: &mut Vec<u8>,
    session: &SessionId,
    head: &line::LineHead<'_>,
    kind: &str,
    data: &[u8],
    format: Option<&str>,
) {
    out.reserve(data.len() + 160);
    out.extend_from_slice(b"{\"offset\":");
    line::number(out, head.offset);
    for (name, text) in [
        (",\"type\":\"", kind),
        ("\",\"sessionId\":\"", session.as_str()),
    ] {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b"\",\"data\":");
    out.extend_from_slice(data);
    out.extend_from_slice(b",\"timestamp\":\"");
    out.extend_from_slice(head.timestamp.as_bytes());
    out.push(b'"');
    if let Some(format) = format {
        out.extend_from_slice(b",\"format\":\"");
        out.extend_from_slice(format.as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_that_is_upgraded_loses_the_checksum_of_its_line() {
        let event = |record: Value| json!({"offset": 1, "type": "action", "data": record});
        let old = json!({"seq": 1, "type": "prompt", "event": "UserPromptSubmit",
            "payload": {"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "do it"}, "$crc": "12345678"});
        let upgraded = upgraded(event(old).to_string().as_bytes()).unwrap();
        let upgraded: Value = serde_json::from_slice(&upgraded).unwrap();
        assert_eq!(upgraded["data"]["type"], "user_message");
        assert_eq!(upgraded["data"].get("$crc"), None);
    }

    #[test]
    fn a_record_that_stays_as_it_is_keeps_its_checksum() {
        let event = json!({"type": "action", "data": {"type": "bash_exec", "callId": "c", "$crc": "12345678"}});
        assert_eq!(upgraded(event.to_string().as_bytes()), None);
    }
}
