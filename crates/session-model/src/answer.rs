//! The bodies of answers to writes: of one command, and of a batch.
//!
//! They are part of the model and are not made where the service speaks HTTP: the answer to a
//! request with producer numbers is stored in the journal together with its events, and a repeated
//! request gets the same bytes, also after a restart with a later version.

use std::fmt::Write as _;

use serde_json::json;

use crate::code::Refusal;
use crate::producer::BATCH_OPENING;
use crate::transition::Reply;

/// The answer to a repeated request whose first answer has been forgotten.
pub const DUPLICATE: &str = r#"{"success":true,"duplicate":true}"#;

/// The bytes of one result and the comma, for most results.
const RESULT: usize = 28;
/// The bytes around the results.
const AROUND: usize = 64;

/// Returns the body of the answer to one command.
pub fn body_of(reply: &Reply) -> String {
    match reply {
        Reply::Seq(seq) => format!("{{\"success\":true,\"seq\":{seq}}}"),
        // The answer is the agent itself.
        Reply::Agent(agent) => agent.to_string(),
        Reply::Done
        | Reply::Version(_)
        | Reply::Goal(_)
        | Reply::Created(_)
        | Reply::Duplicate(_)
        | Reply::Warned(..) => reply.to_json().to_string(),
    }
}

/// The body of the answer to a batch, which grows by one result per line.
#[derive(Debug)]
pub struct BatchBody {
    text: String,
    done: usize,
}

impl BatchBody {
    /// Starts the body for so many lines.
    pub fn new(lines: usize) -> Self {
        Self::going_on(String::new(), 0, lines)
    }

    /// Goes on with the body of a batch whose first lines are already done.
    pub fn going_on(text: String, done: usize, lines: usize) -> Self {
        let mut body = Self { text, done };
        body.text
            .reserve(lines.saturating_sub(done) * RESULT + AROUND);
        if done == 0 {
            body.text.push_str(BATCH_OPENING);
        }
        body
    }

    /// The number of lines that have a result.
    pub fn done(&self) -> usize {
        self.done
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds the result of the next line.
    pub fn push(&mut self, result: Result<&Reply, &Refusal>) {
        let comma = if self.done == 0 { "" } else { "," };
        self.done += 1;
        let text = &mut self.text;
        match result {
            // The most frequent result, without the cost of formatting.
            Ok(Reply::Seq(seq)) => {
                text.push_str(comma);
                text.push_str(r#"{"success":true,"seq":"#);
                text.push_str(itoa::Buffer::new().format(*seq));
                text.push('}');
                Ok(())
            }
            Ok(Reply::Done) => write!(text, "{comma}{{\"success\":true}}"),
            Ok(reply) => write!(text, "{comma}{}", reply.to_json()),
            Err(refusal) => {
                let error = json!({"error": refusal.message, "code": refusal.code.as_str()});
                write!(text, "{comma}{error}")
            }
        }
        .expect("writing to a String cannot fail");
    }

    /// Truncates the body to an earlier text, with the results of that time.
    pub fn cut(&mut self, len: usize, done: usize) {
        self.text.truncate(len);
        self.done = done;
    }

    /// Closes the body, with the offset of the newest event. Call after the last result.
    pub fn close(&mut self, offset: u64) {
        write!(self.text, "],\"offset\":{offset}}}").expect("writing to a String cannot fail");
    }

    /// Returns the text.
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::transition::Existing;

    #[test]
    fn the_answer_to_one_command_has_the_bytes_that_journals_hold() {
        let agent = json!({"id": "a", "n": 1});
        for (reply, body) in [
            (Reply::Done, r#"{"success":true}"#),
            (Reply::Seq(7), r#"{"success":true,"seq":7}"#),
            (Reply::Version(2), r#"{"success":true,"version":2}"#),
            (Reply::Agent(agent.clone()), r#"{"id":"a","n":1}"#),
            (
                Reply::Goal(agent),
                r#"{"success":true,"goal":{"id":"a","n":1}}"#,
            ),
            (
                Reply::Created(Existing::Claimed),
                r#"{"success":true,"existing":true,"claimed":true}"#,
            ),
        ] {
            assert_eq!(body_of(&reply), body);
        }
    }

    #[test]
    fn a_batch_has_one_result_per_line_and_the_newest_offset() {
        let refusal = Refusal::new(Code::InvalidRequest, "no");
        let mut body = BatchBody::new(3);
        body.push(Ok(&Reply::Seq(1)));
        let one = body.text().len();
        body.push(Ok(&Reply::Done));
        body.push(Err(&refusal));
        body.close(9);
        assert_eq!(
            body.text(),
            r#"{"results":[{"success":true,"seq":1},{"success":true},{"error":"no","code":"invalid_request"}],"offset":9}"#
        );
        body.cut(one, 1);
        body.push(Ok(&Reply::Version(4)));
        body.close(10);
        assert_eq!(
            body.into_text(),
            r#"{"results":[{"success":true,"seq":1},{"success":true,"version":4}],"offset":10}"#
        );
    }
}
