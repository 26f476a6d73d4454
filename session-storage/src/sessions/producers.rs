//! Idempotent producers: whether a request's numbers are the next, a repeat, a gap or of an old epoch.

use session_model::producer::{Answer, ProducerNumbers, Verdict};
use session_model::{Code, Refusal, View};

use super::Submitted;
use super::refused::Refused;
use crate::store::segment::ProducerCommit;

pub(super) fn commit_of(numbers: &ProducerNumbers, answer: &Submitted) -> ProducerCommit {
    let answer = Answer { status: answer.status, body: answer.body.clone() };
    ProducerCommit { numbers: numbers.clone(), answer }
}

/// Judges a request's numbers; `Some`: the answer to give without storing anything.
pub(super) fn check_producer(
    view: &View,
    numbers: Option<&ProducerNumbers>,
) -> Result<Option<Submitted>, Refused> {
    let Some(numbers) = numbers else { return Ok(None) };
    match view.producers.check(numbers) {
        Verdict::Accept => Ok(None),
        Verdict::Repeat(answer) => {
            Ok(Some(Submitted { status: answer.status, ..Submitted::ok(answer.body.clone()) }))
        }
        Verdict::Duplicate => Ok(Some(Submitted::ok("{\"success\":true,\"duplicate\":true}".to_owned()))),
        Verdict::Gap { expected } => Err(gap(numbers, expected)),
        Verdict::Stale { epoch } => Err(Refused {
            refusal: Refusal::new(
                Code::StaleProducerEpoch,
                format!("producer `{}` has epoch {epoch} by now", numbers.id),
            ),
            header: Some(("Producer-Epoch", epoch.to_string())),
        }),
    }
}

pub(super) fn check_unknown_producer(numbers: Option<&ProducerNumbers>) -> Result<(), Refused> {
    match numbers {
        Some(numbers) if numbers.seq != 0 => Err(gap(numbers, 0)),
        Some(_) | None => Ok(()),
    }
}

fn gap(numbers: &ProducerNumbers, expected: u64) -> Refused {
    let message = format!("producer `{}` sent {} but {expected} comes next", numbers.id, numbers.seq);
    Refused {
        refusal: Refusal::new(Code::ProducerGap, message),
        header: Some(("Producer-Expected-Seq", expected.to_string())),
    }
}
