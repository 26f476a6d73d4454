//! Idempotent producers: checks whether a request's numbers are the next ones, a repeat, a gap or
//! from an old epoch.

use session_model::producer::{self, ProducerNumbers, Verdict};
use session_model::{Code, ProducerHint, Refusal};

use super::attempt::Attempt;
use super::submitted::{Answer, Submitted};
use session_store::engine::{CommitTicket, LoadedSession, ProducerCommit};

/// Returns what is stored with the events of a request: its numbers, and the answer for repeats.
pub(super) fn commit_of(numbers: &ProducerNumbers, submitted: &Submitted) -> ProducerCommit {
    ProducerCommit {
        numbers: numbers.clone(),
        answer: submitted.answer.to_stored(),
    }
}

/// Checks a request's producer numbers. Returns `Some` if the request is a repeat, which stores
/// nothing. The original may not be durable yet; the repeat is then answered no earlier, and with
/// no better result, than the original.
pub(super) fn check_producer(
    loaded: &LoadedSession,
    numbers: Option<&ProducerNumbers>,
) -> Result<Option<Attempt>, Refusal> {
    let Some(numbers) = numbers else {
        return Ok(None);
    };
    let repeat = |answer| {
        let ticket = loaded.commit_of(&numbers.id).map(CommitTicket::new);
        let answer = Submitted::new(answer).repeated();
        Ok(Some(Attempt::Answered { ticket, answer }))
    };
    match loaded.view.producers.check(numbers) {
        Verdict::Accept => Ok(None),
        Verdict::Repeat(answer) => repeat(Answer::Stored(producer::Answer {
            part: None,
            ..answer.clone()
        })),
        Verdict::Duplicate => repeat(Answer::Duplicate),
        Verdict::Begun => {
            let message = format!(
                "producer `{}` has sent {} with a batch that is stored in part: send the same batch again",
                numbers.id, numbers.seq
            );
            let hint = ProducerHint::ExpectedSeq(numbers.seq);
            Err(Refusal::new(Code::ProducerGap, message).with_hint(hint))
        }
        Verdict::Gap { expected } => Err(gap(numbers, expected)),
        Verdict::Stale { epoch } => {
            let message = format!("producer `{}` has epoch {epoch} by now", numbers.id);
            let hint = ProducerHint::Epoch(epoch);
            Err(Refusal::new(Code::StaleProducerEpoch, message).with_hint(hint))
        }
    }
}

pub(super) fn check_unknown_producer(numbers: Option<&ProducerNumbers>) -> Result<(), Refusal> {
    match numbers {
        Some(numbers) if numbers.seq != 0 => Err(gap(numbers, 0)),
        Some(_) | None => Ok(()),
    }
}

fn gap(numbers: &ProducerNumbers, expected: u64) -> Refusal {
    let message = format!(
        "producer `{}` sent {} but {expected} comes next",
        numbers.id, numbers.seq
    );
    Refusal::new(Code::ProducerGap, message).with_hint(ProducerHint::ExpectedSeq(expected))
}
