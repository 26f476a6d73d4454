//! The event as sent to clients, built from the stored line: live, backlog and paged events have
//! the same bytes.
//!
//! `{"offset":O,"type":T,"sessionId":S,"data":{…},"timestamp":…}`, plus `format` if a state patch
//! does not use the default merge.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::LogKind;
use crate::id::SessionId;
use crate::line;

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
pub fn write_event(out: &mut Vec<u8>, session: &SessionId, log: LogKind, line: &[u8]) -> Option<()> {
    let head = line::head(line)?;
    match log {
        LogKind::Actions => write_parts(out, session, &head, "action", line, None),
        LogKind::Responses => write_parts(out, session, &head, "response", line, None),
        LogKind::Changes => {
            let change: StoredChange<'_> = serde_json::from_slice(line).ok()?;
            write_parts(out, session, &head, change.kind, change.data.get().as_bytes(), change.format);
        }
    }
    Some(())
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
    for (name, text) in [(",\"type\":\"", kind), ("\",\"sessionId\":\"", session.as_str())] {
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
