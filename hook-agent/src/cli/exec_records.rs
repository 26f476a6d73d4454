//! The records of `exec`: a call of a shell command, its output line by line, and its result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use session_model::records::{Lane, Origin, Reason, Record, RecordKey, ResultStatus, body};
use session_model::tools::command_line;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::sync::Mutex;

/// The name of the recorder as a tool and as an agent.
const TOOL: &str = "exec";
/// How much of the output's head, and of its tail, the result has if the output is too long to be
/// recorded whole. The lines have all of it.
const MAX_PART: usize = 32 * 1024;
/// The longest output that the result has whole, if long texts become blobs.
const MAX_WHOLE: usize = 8 * 1024 * 1024;

/// A run of a program.
#[derive(Clone)]
pub(super) struct Run {
    id: String,
    began: Instant,
    started: jiff::Timestamp,
    output: Arc<Mutex<Output>>,
}

/// How a run ended.
pub(super) struct End {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub error: Option<String>,
}

/// An output; of a long one the head and the tail, in whole lines.
#[derive(Default)]
struct Output {
    /// The whole output, as long as it is not longer than `most`.
    whole: String,
    most: usize,
    head: String,
    is_head_full: bool,
    tail: VecDeque<String>,
    tail_bytes: usize,
    bytes: usize,
}

impl Output {
    fn add(&mut self, text: &str, goes_on: bool) {
        let mut text = text.to_owned();
        if !goes_on {
            text.push('\n');
        }
        self.bytes += text.len();
        if self.bytes <= self.most {
            self.whole.push_str(&text);
        } else {
            self.whole = String::new();
        }
        self.is_head_full |= self.head.len() + text.len() > MAX_PART;
        if !self.is_head_full {
            self.head.push_str(&text);
            return;
        }
        self.tail_bytes += text.len();
        self.tail.push_back(text);
        while self.tail_bytes > MAX_PART {
            let Some(first) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= first.len();
        }
    }

    /// Returns the output, and its length if only its ends are there.
    fn text(&self) -> (String, Option<usize>) {
        if self.bytes <= self.most {
            return (self.whole.clone(), None);
        }
        let tail: String = self.tail.iter().map(String::as_str).collect();
        let missing = self.bytes - self.head.len() - tail.len();
        if missing == 0 {
            return (format!("{}{tail}", self.head), None);
        }
        let mark = format!("[{missing} bytes left out]\n");
        (format!("{}{mark}{tail}", self.head), Some(self.bytes))
    }
}

impl Run {
    /// Begins a run, and returns it with the record of the call. With `blobs`, the result has a long
    /// output whole.
    pub(super) fn begin(words: &[&str], blobs: bool) -> (Self, Value) {
        let output = Output {
            most: if blobs { MAX_WHOLE } else { 0 },
            ..Output::default()
        };
        let run = Self {
            id: uuid::Uuid::new_v4().to_string(),
            began: Instant::now(),
            started: jiff::Timestamp::now(),
            output: Arc::new(Mutex::new(output)),
        };
        let cwd = std::env::current_dir().ok();
        let mut record = run.record(Record::new(body::BashExec {
            tool: Some(TOOL.to_owned()),
            input: Some(json!({"command": words})),
            command: Some(command_line(words).into()),
            cwd: cwd.map(|cwd| cwd.to_string_lossy().into_owned()),
            ..body::BashExec::default()
        }));
        record.common.key = Some(RecordKey::call(&run.id).into());
        record.common.timestamp = Some(format!("{:.3}", run.started));
        (run, Value::Object(record.into_fields()))
    }

    /// Returns the record of a line of the output, or of a part of one.
    pub(super) fn line(&self, stream: &str, text: &str, goes_on: bool) -> Value {
        self.output.lock().add(text, goes_on);
        let mut record = self.record(Record::new(body::SystemMessage {
            text: Some(text.into()),
            reason: Some(Reason::CommandOutput),
        }));
        record.extra.insert("stream".to_owned(), stream.into());
        if goes_on {
            record.extra.insert("continues".to_owned(), true.into());
        }
        Value::Object(record.into_fields())
    }

    /// Returns the record of the result.
    pub(super) fn result(&self, end: End, took: Duration) -> Value {
        let (output, whole) = self.output.lock().text();
        let mut record = self.record(Record::new(body::ToolResult {
            tool: Some(TOOL.to_owned()),
            status: Some(end.status()),
            exit_code: end.exit_code.map(i64::from),
            output: Some(output.into()),
            error: end.error.map(Into::into),
            duration_ms: Some((took.as_millis() as u64).into()),
            started_at: Some(format!("{:.3}", self.started)),
            ended_at: Some(format!("{:.3}", jiff::Timestamp::now())),
        }));
        record.common.key = Some(RecordKey::result(&self.id).into());
        record.common.truncated =
            whole.map(|bytes| Map::from_iter([("output".to_owned(), bytes.into())]));
        if let Some(signal) = end.signal {
            record.extra.insert("signal".to_owned(), signal.into());
        }
        Value::Object(record.into_fields())
    }

    /// Returns how long the run has taken.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn record(&self, mut record: Record) -> Record {
        record.common.call_id = Some(self.id.clone());
        record.common.origin = Some(Origin::new(TOOL, Lane::Exec));
        record
    }
}

impl End {
    /// Returns how the run ended, by its exit code or the signal that ended it. A shell reports the
    /// signal that ended its command as an exit code of 128 and the signal's number.
    fn status(&self) -> ResultStatus {
        let signal = self
            .signal
            .or_else(|| self.exit_code.map(|code| code - 128));
        match (signal, self.exit_code) {
            (Some(SIGHUP | SIGINT | SIGTERM), _) => ResultStatus::Interrupted,
            (_, Some(0)) => ResultStatus::Ok,
            _ => ResultStatus::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_as_its_exit_code_or_its_signal_says() {
        for (exit_code, signal, status) in [
            (Some(0), None, ResultStatus::Ok),
            (Some(3), None, ResultStatus::Error),
            (Some(143), None, ResultStatus::Interrupted),
            (Some(143), Some(SIGTERM), ResultStatus::Interrupted),
            (Some(137), Some(9), ResultStatus::Error),
            (None, None, ResultStatus::Error),
        ] {
            let end = End {
                exit_code,
                signal,
                error: None,
            };
            assert_eq!(end.status(), status, "{exit_code:?} {signal:?}");
        }
    }

    fn success() -> End {
        End {
            exit_code: Some(0),
            signal: None,
            error: None,
        }
    }

    #[test]
    fn a_long_output_is_whole_or_keeps_its_ends_and_says_how_long_it_was() {
        let (run, _) = Run::begin(&["x"], true);
        (0..20_000).for_each(|n| drop(run.line("stdout", &format!("line {n}"), false)));
        let result = run.result(success(), Duration::ZERO);
        let output = result["output"].as_str().unwrap();
        assert_eq!(output.lines().count(), 20_000);
        assert_eq!(result.get("truncated"), None);
        let (run, _) = Run::begin(&["x"], false);
        let bytes: usize = (0..20_000)
            .map(|n| {
                let line = format!("line {n}");
                run.line("stdout", &line, false);
                line.len() + 1
            })
            .sum();
        let result = run.result(success(), Duration::ZERO);
        let output = result["output"].as_str().unwrap();
        assert!(output.starts_with("line 0\nline 1\n"));
        assert!(output.ends_with("line 19999\n"));
        assert!(output.len() < 2 * MAX_PART + 100);
        assert_eq!(result["truncated"], json!({"output": bytes}));
    }
}
