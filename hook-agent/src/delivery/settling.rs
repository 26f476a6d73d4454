//! Turns the response to one request into an outcome per record, and keeps rejected records.

use std::ops::Range;

use serde_json::value::RawValue;
use session_model::BatchLine;

use super::verdict::{LineResult, spawned};
use super::{Answers, Outcome, Report};
use crate::kind::Kind;
use crate::spool::{Reason, Rejection, Spool, Window, keep};

/// The request that is being settled.
#[derive(Clone, Copy)]
pub(crate) struct Settling<'a> {
    pub window: &'a Window,
    pub index: usize,
    /// The batch's lines that were sent, or that are sent later if `asks`.
    pub sent: &'a Range<usize>,
    /// Whether the request is an empty batch that asks what became of earlier lines.
    pub asks: bool,
    /// Indexes into the window's records.
    pub lines: &'a [usize],
    pub answers: Option<&'a Answers>,
    pub report: &'a Report,
}

impl Settling<'_> {
    /// Reports that the request got no response, or none that settles it.
    pub(super) fn failed(&self, reason: String) {
        Report::add(&self.report.retries, 1);
        self.report.failed(reason);
    }

    /// Returns the outcome of each record.
    pub(super) fn outcomes(&self, results: Vec<LineResult>) -> Vec<(u64, Outcome)> {
        let mut results = results.into_iter();
        let outcome = |index: &usize| {
            let record = &self.window.records[*index];
            let outcome = match results.next() {
                None => Outcome::Stored,
                Some(LineResult::Done(json))
                    if record.kind == Kind::Line(BatchLine::AgentSpawn) =>
                {
                    Outcome::Answer(spawned(json))
                }
                Some(LineResult::Done(json)) => Outcome::Answer(json),
                Some(LineResult::Refused { code, message }) => Outcome::Rejected {
                    call: record.kind.name(),
                    code,
                    message,
                },
            };
            (record.number, outcome)
        };
        self.lines.iter().map(outcome).collect()
    }

    /// Returns the numbers of records that no caller made.
    pub(super) fn gaps(&self) -> impl Iterator<Item = u64> {
        let records = self.lines.iter().map(|index| &self.window.records[*index]);
        records
            .filter(|record| record.kind == Kind::Gap)
            .map(|record| record.number)
    }

    /// Keeps the rejected records and returns their number.
    pub(super) fn keep_rejected(&self, spool: &Spool, outcomes: &[(u64, Outcome)]) -> u64 {
        let mut rejections = Vec::new();
        for ((_, outcome), index) in outcomes.iter().zip(self.lines) {
            let Outcome::Rejected { code, message, .. } = outcome else {
                continue;
            };
            let record = &self.window.records[*index];
            let Ok(event) = serde_json::from_slice::<&RawValue>(self.window.line(record)) else {
                continue;
            };
            let session = &self.window.batches[self.index].session;
            let at = jiff::Timestamp::from_millisecond(record.time.cast_signed())
                .unwrap_or_default()
                .to_string();
            // Of the other kinds, the caller is told that they were rejected.
            if record.kind.is_logged() && !is_about_the_session(code) {
                spool.lose(session.as_bytes(), Reason::Rejected, 1, Some(record.time));
            }
            rejections.push(Rejection {
                at,
                session,
                code,
                reason: message,
                event,
            });
        }
        if rejections.is_empty() {
            return 0;
        }
        let first = &rejections[0];
        self.report
            .failed(format!("rejected: {} ({})", first.reason, first.code));
        if let Err(error) = keep(&spool.kept, &rejections) {
            Report::add(&self.report.spool_errors, 1);
            self.report.failed(format!(
                "`{}`: {error}",
                spool.kept.path().join("rejected").display()
            ));
        }
        rejections.len() as u64
    }
}

/// Returns whether a `gap` would be rejected for the same reason.
fn is_about_the_session(code: &str) -> bool {
    matches!(
        code,
        "not_let_in" | "session_not_found" | "session_quarantined"
    )
}
