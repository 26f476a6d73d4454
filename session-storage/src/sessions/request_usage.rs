//! The usage of a session: the exact sums over all its records, and why each record counts or not.
//!
//! The logs are read once for the sums, and a second time while the explanation is streamed. The
//! sums need memory per request, see [`super::usage_records`]; the explanation needs the verdicts,
//! which are a few bytes for each record.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use session_insight::usage::{
    Amendments, Explained, OrderedUsage, Prices, Report, Usage, Verdict, Verdicts,
};
use session_model::{Code, Refusal, SessionId};
use session_store::log_records::LogRecords;

use super::json_bytes::to_json;
use super::pieces::ByteStream;
use super::service::Sessions;
use super::usage_records::{Known, Summed, usage_record};

/// Approximate size of one piece of an explanation, in bytes.
const PIECE: usize = 64 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'r> {
    session_id: &'r str,
    /// The position of the last event that the sums include.
    offset: u64,
    #[serde(flatten)]
    report: &'r Report,
}

/// An explanation that is being streamed.
struct Explaining {
    logs: [LogRecords; 2],
    amendments: Amendments,
    verdicts: Verdicts,
    prices: Arc<Prices>,
    any: bool,
    others: u64,
}

impl Sessions {
    /// Returns what the session used, with `explain` also why each `usage` record counts or not.
    pub async fn request_usage(
        &self,
        id: &SessionId,
        explain: bool,
    ) -> Result<ByteStream, Refusal> {
        let known = self.read(id, Known::of).await?;
        let answer = Answering {
            session: id.to_string(),
            offset: known.offset,
            prices: Arc::clone(&self.settings.prices),
        };
        if !explain {
            let summed = self.sum(id, known, move |logs, amendments| {
                let usage = sum(logs, amendments)?;
                Ok(answer.json(&usage.report(&answer.prices)))
            });
            let answer = summed.await?.result;
            return Ok(Box::pin(futures_util::stream::iter([Ok(answer)])));
        }
        let prices = Arc::clone(&answer.prices);
        let summed = self.sum(id, known, move |logs, amendments| {
            let usage = sum_in_order(logs, amendments)?;
            let answer = answer.json(&usage.report(&answer.prices));
            Ok((answer, usage.into_verdicts()))
        });
        let Summed {
            result: (answer, verdicts),
            logs,
            amendments,
        } = summed.await?;
        let explaining = Explaining {
            logs,
            amendments,
            verdicts,
            prices,
            any: false,
            others: 0,
        };
        let mut head = answer.to_vec();
        head.pop();
        head.extend_from_slice(b",\"records\":[");
        Ok(explaining.stream(head))
    }
}

/// What an answer says besides the sums.
struct Answering {
    session: String,
    offset: u64,
    prices: Arc<Prices>,
}

impl Answering {
    fn json(&self, report: &Report) -> Bytes {
        to_json(&Answer {
            session_id: &self.session,
            offset: self.offset,
            report,
        })
    }
}

/// Sums the usage of the logs. Blocking.
pub(super) fn sum(
    logs: &mut [LogRecords; 2],
    amendments: &mut Amendments,
) -> Result<Usage, Refusal> {
    let mut usage = Usage::default();
    for log in logs.iter_mut() {
        while let Some(line) = log.next_line()? {
            if let Some((place, record)) = usage_record(&line, amendments)? {
                // The explanation says why a record counts for no request.
                let _request = usage.add(place, &record);
            }
        }
    }
    Ok(usage)
}

/// Sums the usage of the logs, for verdicts on their records. Blocking.
fn sum_in_order(
    logs: &mut [LogRecords; 2],
    amendments: &mut Amendments,
) -> Result<OrderedUsage, Refusal> {
    let mut usage = OrderedUsage::default();
    for log in logs.iter_mut() {
        while let Some(line) = log.next_line()? {
            if let Some((place, record)) = usage_record(&line, amendments)? {
                usage.add(place, &record);
            }
        }
    }
    Ok(usage)
}

impl Explaining {
    fn stream(self, head: Vec<u8>) -> ByteStream {
        Box::pin(futures_util::stream::unfold(
            Some((self, head)),
            |state| async move {
                let (mut explaining, mut out) = state?;
                let read = actix_web::web::block(move || {
                    let piece = explaining.piece();
                    (piece, explaining)
                });
                let (more, explaining) = match read.await {
                    Ok((Ok((piece, more)), explaining)) => {
                        out.extend_from_slice(&piece);
                        (more, explaining)
                    }
                    Ok((Err(refusal), _)) => return Some((Err(refusal), None)),
                    Err(_) => {
                        let refusal =
                            Refusal::new(Code::Internal, "the usage could not be explained");
                        return Some((Err(refusal), None));
                    }
                };
                if more {
                    return Some((Ok(Bytes::from(out)), Some((explaining, Vec::new()))));
                }
                let others = explaining.others;
                out.extend_from_slice(format!("],\"otherRecords\":{others}}}").as_bytes());
                Some((Ok(Bytes::from(out)), None))
            },
        ))
    }

    /// The next piece of the explanation, and whether there is more. Blocking.
    fn piece(&mut self) -> Result<(Vec<u8>, bool), Refusal> {
        let mut out = Vec::new();
        for at in 0..self.logs.len() {
            while let Some(line) = self.logs[at].next_line()? {
                let Some((place, record)) = usage_record(&line, &mut self.amendments)? else {
                    self.others += 1;
                    continue;
                };
                let verdict = self.verdicts.next(place, &record);
                if verdict == Verdict::NotUsage {
                    self.others += 1;
                    continue;
                }
                if std::mem::replace(&mut self.any, true) {
                    out.push(b',');
                }
                let explained = Explained::new(place, &record, &verdict, &self.prices);
                out.extend_from_slice(&to_json(&explained));
                if out.len() >= PIECE {
                    return Ok((out, true));
                }
            }
        }
        Ok((out, false))
    }
}
