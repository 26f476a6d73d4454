//! Idempotent producers: checks whether a request's numbers are the next ones, a repeat, a gap or
//! from an old epoch.

use session_model::producer::{Answer, ProducerNumbers, Verdict};
use session_model::{Code, Refusal};

use super::Submitted;
use super::refused::Refused;
use super::write::Attempt;
use crate::store::cells::Loaded;
use crate::store::segment::ProducerCommit;
use crate::store::ticket::Ticket;

pub(super) fn commit_of(numbers: &ProducerNumbers, answer: &Submitted) -> ProducerCommit {
    let answer = Answer { status: answer.status, body: answer.body.clone(), part: None };
    ProducerCommit { numbers: numbers.clone(), answer }
}

/// Checks a request's producer numbers. Returns `Some` if the request is a repeat, which stores
/// nothing. The original may not be durable yet; the repeat is then answered no earlier, and with
/// no better result, than the original.
pub(super) fn check_producer(
    loaded: &Loaded,
    numbers: Option<&ProducerNumbers>,
) -> Result<Option<Attempt>, Refused> {
    let Some(numbers) = numbers else { return Ok(None) };
    let repeat = |answer| {
        let ticket = loaded.commit_of(&numbers.id).map(Ticket::new);
        Ok(Some(Attempt::Answered { ticket, answer }))
    };
    match loaded.view.producers.check(numbers) {
        Verdict::Accept => Ok(None),
        Verdict::Repeat(answer) => {
            repeat(Submitted { status: answer.status, ..Submitted::ok(answer.body.clone()).repeated() })
        }
        Verdict::Duplicate => {
            repeat(Submitted::ok("{\"success\":true,\"duplicate\":true}".to_owned()).repeated())
        }
        Verdict::Begun => {
            let message = format!(
                "producer `{}` has sent {} with a batch that is stored in part: send the same batch again",
                numbers.id, numbers.seq
            );
            let header = Some(("Producer-Expected-Seq", numbers.seq.to_string()));
            Err(Refused { refusal: Refusal::new(Code::ProducerGap, message), header })
        }
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
