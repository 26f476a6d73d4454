//! Batches with their longer events clamped, for subscribers with a limit.
//!
//! Clamping reads an event twice, which takes long for a large one. So it is done on a thread that
//! may block, once per batch and limit, and the result is shared like the batch itself.
//!
//! The clamped forms that a batch keeps take at most as much memory as the batch. A subscriber whose
//! form has no space there gets one of its own.

use std::sync::Arc;

use actix_web::{rt, web};
use session_model::clamp::{Form, clamp};
use session_model::{Code, Refusal};
use tokio::task::JoinHandle;

use super::event_batch::{EventBatch, EventBatchBuilder};
use super::hub::Hub;
use super::kept_forms::KeptForm;

/// Returns the form of a batch that has events longer than `most`; `None` if no more are kept.
fn form(batch: &EventBatch, most: usize) -> Option<KeptForm<EventBatch>> {
    batch
        .clamped_forms()
        .get(most, batch.clamped_weight(most), batch.weight())
}

/// Returns a batch with events of at most `most` bytes, if it is known already: it has no longer
/// event, or was clamped for another subscriber.
pub fn known(batch: &EventBatch, most: usize) -> Option<EventBatch> {
    if batch.longest() <= most {
        return Some(batch.clone());
    }
    form(batch, most)?.get().cloned()
}

/// Clamps a batch, unless another subscriber does.
///
/// This is a task because it waits for others and holds a reader permit: it must go on even if the
/// subscriber is not polled.
pub fn spawn(hub: Hub, batch: EventBatch, most: usize) -> JoinHandle<Result<EventBatch, Refusal>> {
    rt::spawn(async move {
        let Some(form) = form(&batch, most) else {
            return make(hub, batch, most).await;
        };
        form.get_or_try_init(|| make(hub, batch, most))
            .await
            .cloned()
    })
}

async fn make(hub: Hub, batch: EventBatch, most: usize) -> Result<EventBatch, Refusal> {
    let readers = Arc::clone(hub.readers());
    let turn = readers.acquire_owned().await.map_err(|_| interrupted())?;
    hub.metrics().clampings.increment();
    let make = move || {
        let _turn = turn;
        clamped(&batch, most)
    };
    web::block(make).await.map_err(|_| interrupted())
}

fn clamped(batch: &EventBatch, most: usize) -> EventBatch {
    let mut builder = EventBatchBuilder::default();
    for (offset, json) in batch.events() {
        let clamped = clamp(json, Form::Event, most);
        builder.push(offset, clamped.as_deref().unwrap_or(json));
    }
    builder.finish()
}

fn interrupted() -> Refusal {
    Refusal::new(
        Code::StorageUnavailable,
        "clamping events was interrupted: try again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lengths: &[usize]) -> EventBatch {
        let mut builder = EventBatchBuilder::default();
        for (offset, length) in (1..).zip(lengths) {
            let event = serde_json::json!({"data": {"output": "x".repeat(*length)}});
            builder.push(offset, event.to_string().as_bytes());
        }
        builder.finish()
    }

    #[test]
    fn a_longer_event_is_clamped_and_the_others_are_copied() {
        let whole = batch(&[10, 9000, 20]);
        let clamped = clamped(&whole, 2000);
        let pairs: Vec<_> = clamped.events().zip(whole.events()).collect();
        assert_eq!(pairs.len(), 3);
        assert_eq!(pairs[0].0, pairs[0].1);
        assert_eq!(pairs[1].0.0, 2);
        assert!(pairs[1].0.1.len() <= 2000);
        assert_eq!(pairs[2].0, pairs[2].1);
        assert!(clamped.weight() <= whole.clamped_weight(2000));
    }

    #[test]
    fn a_batch_without_a_longer_event_is_shared() {
        let whole = batch(&[10, 9000]);
        let same = known(&whole, 10_000).unwrap();
        assert_eq!(
            same.frames_after(0).as_ptr(),
            whole.frames_after(0).as_ptr()
        );
        assert!(known(&whole, 2000).is_none());
    }

    #[test]
    fn the_forms_of_a_batch_take_no_more_than_the_batch() {
        let whole = batch(&[100_000]);
        let kept = (0..1000).filter(|more| form(&whole, 2000 + more).is_some());
        let kept = kept.count();
        assert!((20..50).contains(&kept), "{kept}");
        assert!(form(&whole, 2000).is_some(), "a form that is kept stays");
    }
}
