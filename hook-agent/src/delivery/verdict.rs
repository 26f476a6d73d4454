//! Decides what a response means for its batch. Pure: the only place that interprets statuses.
//!
//! Only a response that is certainly the service's own ends a batch: a result for each line, or an
//! error with a code that the service has. Anything else (a proxy's page, a login form, a
//! sinkhole's 204, another program's JSON, half a document) counts as no response, and the batch is
//! sent again. So does an error of the service about the URL that the request was sent to.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use session_model::Code;

use crate::transport::Response;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The service has the batch. One result per line, as far as the response gave them.
    Delivered(Vec<LineResult>),
    /// An earlier attempt stored the batch, and later numbers were used since; the response to that
    /// attempt is gone.
    Stored,
    /// Send again later.
    Retry {
        after: Option<Duration>,
        reason: String,
    },
    /// Access is refused for this token, or without one. The record is valid, and waits for a token
    /// that is accepted.
    Locked { reason: String },
    /// The session does not exist, and the service does not create it by itself. Another process
    /// may still create it.
    NoSession { message: String },
    /// The service expects other numbers: an epoch above this one, starting at 0.
    Renumber { epoch: u64 },
    /// Refused permanently: the batch will never be accepted as it is.
    Refused { code: String, message: String },
    /// The service failed, perhaps on this very batch: send again later, but not forever.
    Broken { reason: String },
}

/// What the meaning of a response depends on in its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub session: &'a str,
    /// The producer's number, if the request had one.
    pub seq: Option<u64>,
    /// How many lines the request had.
    pub lines: usize,
    /// Whether the request had a token.
    pub token: bool,
}

/// The result of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineResult {
    /// The service's JSON.
    Done(Box<str>),
    Refused {
        code: String,
        message: String,
    },
}

/// The response to a batch. A repeated batch may be answered without results: the service forgets
/// the results earlier than the batch.
#[derive(Deserialize)]
struct BatchAnswer<'a> {
    #[serde(borrow)]
    results: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    success: bool,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct ErrorAnswer<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(borrow, default, rename = "requestId")]
    request_id: Option<&'a RawValue>,
}

impl<'a> ErrorAnswer<'a> {
    /// Returns the service's error: its code must belong to this status or, if the code is unknown
    /// because the service is newer, come with a `requestId`.
    fn of(response: &'a Response) -> Option<Self> {
        let error = serde_json::from_slice::<Self>(&response.body).ok()?;
        let is_known = match code(&error.code) {
            Some(code) => code.status() == response.status,
            None => !error.code.is_empty() && error.request_id.is_some(),
        };
        is_known.then_some(error)
    }

    /// Returns whether the error is about the URL that was requested, not about the request's
    /// content.
    fn is_of_the_address(&self) -> bool {
        use Code::{
            HostNotAllowed, MethodNotAllowed, NotFound, OriginNotAllowed, UnsupportedMediaType,
        };
        let of_the_address = [
            HostNotAllowed,
            MethodNotAllowed,
            NotFound,
            OriginNotAllowed,
            UnsupportedMediaType,
        ];
        code(&self.code).is_some_and(|code| of_the_address.contains(&code))
    }
}

/// Returns the code and message of the service's own error.
pub(super) fn own_error(response: &Response) -> Option<(Code, String)> {
    let error = ErrorAnswer::of(response)?;
    Some((code(&error.code)?, error.error.into_owned()))
}

fn code(name: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == name)
}

/// What every line's result has.
#[derive(Deserialize)]
struct Success {
    success: bool,
}

/// Judges the response to a request for `session`: a batch with the number `seq`, or a request
/// without numbers.
pub(crate) fn judge(response: &Response, asked: Asked<'_>) -> Verdict {
    match response.status {
        200 => delivered(response, asked).unwrap_or_else(|| retry(response)),
        403 if response.producer_epoch.is_some() => Verdict::Renumber {
            epoch: response.producer_epoch.unwrap_or_default(),
        },
        409 if response.expected_seq.is_some() => resync(response.expected_seq, asked.seq),
        401 | 403 => locked(response, asked).unwrap_or_else(|| retry(response)),
        404 => locked(response, asked)
            .or_else(|| no_session(response))
            .unwrap_or_else(|| refused_or_retry(response)),
        500 if ErrorAnswer::of(response).is_some() => Verdict::Broken {
            reason: status_and_body(response),
        },
        413 => refused(response).unwrap_or_else(|| plain_refusal(response)),
        ..=399 | 407 | 408 | 425 | 429 | 500.. => retry(response),
        _ => refused_or_retry(response),
    }
}

/// Interprets a success. Returns `None` if the response is not the service's.
fn delivered(response: &Response, asked: Asked<'_>) -> Option<Verdict> {
    if asked.seq.is_none() {
        let text = std::str::from_utf8(&response.body).ok()?;
        return is_success(text).then(|| Verdict::Delivered(vec![LineResult::Done(text.into())]));
    }
    let answer = serde_json::from_slice::<BatchAnswer<'_>>(&response.body).ok()?;
    let Some(results) = answer.results else {
        return (answer.success && answer.duplicate).then_some(Verdict::Stored);
    };
    // An earlier request with this number may have had other lines.
    if results.len() != asked.lines && !response.duplicate {
        return None;
    }
    results
        .into_iter()
        .map(line_result)
        .collect::<Option<_>>()
        .map(Verdict::Delivered)
}

fn is_success(text: &str) -> bool {
    serde_json::from_str::<Success>(text).is_ok_and(|answer| answer.success)
}

fn line_result(raw: &RawValue) -> Option<LineResult> {
    if is_success(raw.get()) {
        return Some(LineResult::Done(raw.get().into()));
    }
    let error = serde_json::from_str::<ErrorAnswer<'_>>(raw.get()).ok()?;
    Some(LineResult::Refused {
        code: code_or(&error.code, "rejected"),
        message: error.error.into_owned(),
    })
}

/// Returns the result of `spawn_agent`: the agent itself, as the single-event route returns it; in
/// a batch it comes beside `success`.
pub(crate) fn spawned(result: Box<str>) -> Box<str> {
    #[derive(Deserialize)]
    struct Spawned<'a> {
        #[serde(borrow)]
        agent: &'a RawValue,
    }
    serde_json::from_str::<Spawned<'_>>(&result)
        .map(|spawned| spawned.agent.get().into())
        .unwrap_or(result)
}

/// If the service expects a later number, this one is stored. If it expects an earlier one, it has
/// forgotten this producer.
fn resync(expected: Option<u64>, seq: Option<u64>) -> Verdict {
    if expected > seq {
        Verdict::Stored
    } else {
        Verdict::Renumber { epoch: 0 }
    }
}

/// Returns `Locked` if the service refuses the token, not the record. For a token, a session
/// outside its scope looks as if it did not exist, and a service that creates sessions by itself
/// reports no other session as missing.
fn locked(response: &Response, Asked { session, token, .. }: Asked<'_>) -> Option<Verdict> {
    let error = ErrorAnswer::of(response)?;
    let why = match (&*error.code, token) {
        ("unauthorized", false) => {
            "it requires a key or token: set `SESSION_TOKEN` to one word".to_owned()
        }
        ("unauthorized", true) => format!("it does not accept `SESSION_TOKEN`: {}", error.error),
        ("forbidden", true) => format!("`SESSION_TOKEN` does not permit this: {}", error.error),
        ("session_not_found", true) => {
            format!(
                "`SESSION_TOKEN` is not for session `{session}`, or the session is deleted: {}",
                error.error
            )
        }
        _ => return None,
    };
    Some(Verdict::Locked {
        reason: format!("the service refuses access: {why}"),
    })
}

fn no_session(response: &Response) -> Option<Verdict> {
    let error =
        ErrorAnswer::of(response).filter(|error| error.code == Code::SessionNotFound.as_str())?;
    Some(Verdict::NoSession {
        message: error.error.into_owned(),
    })
}

fn refused_or_retry(response: &Response) -> Verdict {
    refused(response).unwrap_or_else(|| retry(response))
}

fn refused(response: &Response) -> Option<Verdict> {
    let error = ErrorAnswer::of(response).filter(|error| !error.is_of_the_address())?;
    Some(Verdict::Refused {
        code: error.code.into_owned(),
        message: error.error.into_owned(),
    })
}

fn plain_refusal(response: &Response) -> Verdict {
    Verdict::Refused {
        code: format!("status_{}", response.status),
        message: status_and_body(response),
    }
}

fn retry(response: &Response) -> Verdict {
    Verdict::Retry {
        after: response.retry_after,
        reason: status_and_body(response),
    }
}

fn code_or(code: &str, other: &str) -> String {
    if code.is_empty() {
        other.to_owned()
    } else {
        code.to_owned()
    }
}

/// Returns the status and the start of the body.
fn status_and_body(response: &Response) -> String {
    let start = &response.body[..response.body.len().min(160)];
    format!(
        "status {}: {}",
        response.status,
        String::from_utf8_lossy(start).trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response {
        Response {
            status,
            body: body.into(),
            ..Response::default()
        }
    }

    fn asked(seq: Option<u64>) -> Asked<'static> {
        Asked {
            session: "s-1",
            seq,
            lines: 2,
            token: false,
        }
    }

    #[test]
    fn a_spawned_agent_is_answered_as_itself() {
        let agent = r#"{"agentId":"a","type":"t"}"#;
        assert_eq!(
            &*spawned(format!(r#"{{"success":true,"agent":{agent}}}"#).into()),
            agent
        );
        assert_eq!(&*spawned(agent.into()), agent);
    }

    #[test]
    fn a_line_that_is_refused_does_not_hold_the_others_back() {
        let body = r#"{"results":[{"success":true,"seq":1},{"error":"no such goal","code":"goal_not_found"}],"offset":3}"#;
        let Verdict::Delivered(lines) = judge(&answer(200, body), asked(Some(0))) else {
            panic!("not delivered")
        };
        assert_eq!(
            lines[0],
            LineResult::Done(r#"{"success":true,"seq":1}"#.into())
        );
        let code = "goal_not_found".to_owned();
        assert_eq!(
            lines[1],
            LineResult::Refused {
                code,
                message: "no such goal".to_owned()
            }
        );
    }

    #[test]
    fn a_success_that_the_service_did_not_write_is_no_success() {
        let one = r#"{"success":true,"seq":1}"#;
        let results = |of: &[&str]| format!(r#"{{"results":[{}],"offset":3}}"#, of.join(","));
        let retried = |response: &Response| {
            assert!(
                matches!(judge(response, asked(Some(0))), Verdict::Retry { .. }),
                "{response:?}"
            );
        };
        for body in [
            "",
            "<html>welcome</html>",
            "{\"results\":",
            "[]",
            "{}",
            r#"{"success":true}"#,
            r#"{"ok":1}"#,
        ] {
            retried(&answer(200, body));
        }
        for other in [
            "null",
            "1",
            "[]",
            "{}",
            r#"{"success":false}"#,
            r#"{"success":"yes"}"#,
            r#"{"error":7}"#,
        ] {
            retried(&answer(200, &results(&[one, other])));
        }
        for of in [&[][..], &[one], &[one, one, one]] {
            retried(&answer(200, &results(of)));
        }
        for status in [201, 202, 203, 204, 205, 206, 207, 226, 299, 304] {
            retried(&answer(status, &results(&[one, one])));
            retried(&answer(status, ""));
        }
        assert!(matches!(
            judge(&answer(200, &results(&[one, one])), asked(Some(0))),
            Verdict::Delivered(_)
        ));
        let repeated_key = r#"{"success":true,"seq":3,"duplicate":true}"#;
        assert_eq!(
            judge(&answer(200, &results(&[one, repeated_key])), asked(Some(0))),
            Verdict::Delivered(vec![
                LineResult::Done(one.into()),
                LineResult::Done(repeated_key.into())
            ])
        );
        let other_lines = Response {
            duplicate: true,
            ..answer(200, &results(&[one]))
        };
        assert!(matches!(
            judge(&other_lines, asked(Some(0))),
            Verdict::Delivered(_)
        ));
        let forgotten = answer(200, r#"{"success":true,"duplicate":true}"#);
        assert_eq!(judge(&forgotten, asked(Some(0))), Verdict::Stored);
        for body in [
            "{}",
            "",
            r#"{"success":false}"#,
            r#"{"id":"s-1"}"#,
            "<html>",
        ] {
            assert!(
                matches!(
                    judge(&answer(200, body), asked(None)),
                    Verdict::Retry { .. }
                ),
                "{body}"
            );
        }
        assert!(matches!(
            judge(&answer(200, one), asked(None)),
            Verdict::Delivered(_)
        ));
    }

    #[test]
    fn what_is_about_the_address_or_of_another_program_is_tried_again() {
        for (status, code) in [
            (421, "host_not_allowed"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (415, "unsupported_media_type"),
            (403, "origin_not_allowed"),
            // The service's codes with a wrong status.
            (404, "invalid_request"),
            (500, "goal_not_found"),
            (400, "E1234"),
            (400, ""),
        ] {
            let verdict = judge(&answer(status, &json(code, "no")), asked(Some(0)));
            let Verdict::Retry { reason, .. } = verdict else {
                panic!("{status} {code}: {verdict:?}")
            };
            assert!(reason.contains(&status.to_string()), "{reason}");
        }
        for (status, body) in [
            (404, r#"{"error":{"code":404}}"#),
            (400, r#"{"message":"bad"}"#),
            (500, "<html>"),
            (501, ""),
        ] {
            assert!(
                matches!(
                    judge(&answer(status, body), asked(Some(0))),
                    Verdict::Retry { .. }
                ),
                "{status} {body}"
            );
        }
        let later = r#"{"error":"no","code":"of_a_later_version","requestId":"r"}"#;
        assert!(matches!(
            judge(&answer(422, later), asked(Some(0))),
            Verdict::Refused { .. }
        ));
    }

    #[test]
    fn numbers_out_of_step_are_stored_or_renumbered_never_refused() {
        let with = |expected| Response {
            expected_seq: Some(expected),
            ..answer(409, "{}")
        };
        assert_eq!(judge(&with(6), asked(Some(5))), Verdict::Stored);
        assert_eq!(
            judge(&with(0), asked(Some(5))),
            Verdict::Renumber { epoch: 0 }
        );
        let stale = Response {
            producer_epoch: Some(9),
            ..answer(403, "{}")
        };
        assert_eq!(
            judge(&stale, asked(Some(5))),
            Verdict::Renumber { epoch: 9 }
        );
    }

    #[test]
    fn only_the_services_own_refusals_are_final() {
        for code in [
            "invalid_request",
            "goal_exists",
            "session_quarantined",
            "payload_too_large",
        ] {
            let status = super::code(code).unwrap().status();
            let verdict = judge(&answer(status, &json(code, "no")), asked(Some(0)));
            assert!(
                matches!(verdict, Verdict::Refused { .. }),
                "{code}: {verdict:?}"
            );
        }
        for status in [
            301, 400, 401, 403, 404, 408, 409, 410, 415, 422, 425, 429, 502, 503, 504, 507,
        ] {
            let verdict = judge(&answer(status, "<html>"), asked(Some(0)));
            assert!(
                matches!(verdict, Verdict::Retry { .. }),
                "{status}: {verdict:?}"
            );
        }
        assert!(matches!(
            judge(&answer(413, "<html>"), asked(Some(0))),
            Verdict::Refused { .. }
        ));
        let failed = answer(500, &json("internal", "it failed"));
        assert!(matches!(
            judge(&failed, asked(Some(0))),
            Verdict::Broken { .. }
        ));
    }

    #[test]
    fn a_token_that_is_refused_costs_no_record_and_has_its_own_message() {
        let error = |code: &str| json(code, "the key was revoked");
        let reason = |status, code: &str, token| match judge(
            &answer(status, &error(code)),
            Asked {
                token,
                ..asked(Some(0))
            },
        ) {
            Verdict::Locked { reason } => reason,
            other => format!("{other:?}"),
        };
        for (status, code, token, expected) in [
            (401, "unauthorized", false, "set `SESSION_TOKEN`"),
            (
                401,
                "unauthorized",
                true,
                "does not accept `SESSION_TOKEN`: the key was revoked",
            ),
            (403, "forbidden", true, "does not permit this"),
            (404, "session_not_found", true, "is not for session `s-1`"),
        ] {
            let reason = reason(status, code, token);
            assert!(
                reason.starts_with("the service refuses access") && reason.contains(expected),
                "{status} {code}: {reason}"
            );
        }
        assert!(
            reason(404, "session_not_found", false).starts_with("NoSession"),
            "no token could change that"
        );
        assert!(reason(404, "goal_not_found", true).starts_with("Refused"));
        assert!(reason(403, "origin_not_allowed", true).starts_with("Retry"));
        let page = judge(&answer(401, "<html>log in</html>"), asked(Some(0)));
        assert!(matches!(page, Verdict::Retry { .. }), "{page:?}");
    }

    fn json(code: &str, error: &str) -> String {
        serde_json::json!({"error": error, "code": code}).to_string()
    }
}
