//! The sums of `usage` records in a session's metadata.

use serde_json::{Map, Value, json};
use session_model::metadata::Metadata;
use session_model::state::State;
use session_model::usage::RecordRef;
use session_model::{
    Change, EventKind, LogKind, RecordBody, SessionId, Stamp, Timestamp, View, documents,
};

fn id() -> SessionId {
    SessionId::parse("s").unwrap()
}

fn stamp(seq: u64, offset: u64) -> Stamp {
    Stamp {
        seq,
        offset,
        at: Timestamp::from_millis(0),
        bytes: 100,
        keyframe: false,
    }
}

fn new_view() -> View {
    let created = Change::new(
        EventKind::SessionCreated,
        json!({"sessionId": "s", "userId": "u"}),
    );
    View::at_creation(&id(), &created, stamp(1, 1))
}

/// Appends an action to a view.
fn append(view: &mut View, body: &Value) {
    let text = body.to_string();
    let body = RecordBody::parse(text.as_bytes()).unwrap();
    let stamp = stamp(view.next_seq(LogKind::Actions), view.offset + 1);
    view.apply_record(LogKind::Actions, body.tally(), body.indexed(), 0, stamp);
    view.apply_usage(LogKind::Actions, &body, stamp.seq);
}

fn usage(message: &str, output: u64) -> Value {
    json!({"type": "usage", "messageId": message, "model": "m", "input": 10, "output": output,
        "cacheRead": 5, "cacheWrite": 3, "reasoning": 1})
}

fn patch(view: &mut View, patch: Value) {
    let change = Change::new(EventKind::MetadataUpdated, patch);
    let stamp = stamp(view.next_seq(LogKind::Changes), view.offset + 1);
    view.apply(&change, stamp).unwrap();
}

fn token_usage(view: &View) -> &Value {
    &view.metadata.doc()["tokenUsage"]
}

/// Writes the documents and reads them again.
fn reopened(view: &View) -> View {
    reopened_as(view, documents::metadata_document(view))
}

fn reopened_as(view: &View, metadata: Map<String, Value>) -> View {
    let metadata = Metadata::from_value(Value::Object(metadata)).unwrap();
    let state = State::from_value(serde_json::to_value(&view.state).unwrap()).unwrap();
    documents::read(id(), metadata, state).unwrap()
}

#[test]
fn records_are_summed_by_request_and_model() {
    let mut view = new_view();
    for (message, output) in [("m1", 1), ("m1", 40), ("m2", 2), ("m1", 40)] {
        append(&mut view, &usage(message, output));
    }
    let sums = json!({"input": 20, "output": 42, "total": 78, "cacheRead": 10, "cacheWrite": 6,
        "reasoning": 2, "requests": 2});
    let mut expected = sums.clone();
    expected["byModel"] = json!({ "m": sums });
    assert_eq!(*token_usage(&view), expected);
}

#[test]
fn a_session_without_usage_records_keeps_what_clients_set() {
    let mut view = new_view();
    patch(
        &mut view,
        json!({"tokenUsage.input": 7, "tokenUsage.own": 1}),
    );
    append(&mut view, &json!({"type": "tool_call"}));
    assert_eq!(token_usage(&view)["input"], 7);
    // The sums of records replace it, and other fields stay.
    append(&mut view, &usage("m1", 2));
    assert_eq!(token_usage(&view)["input"], 10);
    assert_eq!(token_usage(&view)["own"], 1);
    patch(&mut view, json!({"tokenUsage.input": "+500"}));
    assert_eq!(token_usage(&view)["input"], 10);
}

#[test]
fn sums_go_on_after_the_documents_were_written_and_read() {
    let mut view = new_view();
    append(&mut view, &usage("m1", 1));
    let mut again = reopened(&view);
    assert_eq!(again.usage, view.usage);
    append(&mut again, &usage("m1", 30));
    assert_eq!(token_usage(&again)["output"], 30);
    assert_eq!(token_usage(&again)["requests"], 1);
}

#[test]
fn a_new_session_counts_from_its_first_record_even_if_it_was_written_before() {
    let mut again = reopened(&new_view());
    append(&mut again, &usage("m1", 3));
    assert_eq!(token_usage(&again)["output"], 3);
}

#[test]
fn sums_are_not_derived_where_earlier_records_were_not_counted() {
    let mut view = new_view();
    append(&mut view, &usage("m1", 1));
    let counted = documents::metadata_document(&view);
    // A version that does not count keeps the field and moves the offset.
    let mut stale = counted.clone();
    stale.insert("$offset".to_owned(), 99.into());
    let mut without = counted;
    without.shift_remove("$usage");
    for document in [stale, without] {
        let mut again = reopened_as(&view, document);
        assert_eq!(again.usage, None);
        append(&mut again, &usage("m2", 50));
        assert_eq!(token_usage(&again)["output"], 1);
    }
}

#[test]
fn the_sums_for_the_cost_are_in_the_document_and_not_in_answers() {
    let mut view = new_view();
    append(&mut view, &usage("m1", 1));
    let document = documents::metadata_document(&view);
    assert_eq!(documents::usage_of(&document), view.usage);
    assert!(!documents::metadata_answer(document).contains_key("$usage"));
}

#[test]
fn a_record_with_a_wrong_count_is_stored_and_not_summed() {
    let mut view = new_view();
    append(
        &mut view,
        &json!({"type": "usage", "messageId": "m1", "model": "m", "input": "10"}),
    );
    assert_eq!(view.next_seq(LogKind::Actions), 2);
    assert_eq!(
        *token_usage(&view),
        json!({"input": 0, "output": 0, "total": 0})
    );
    let body = RecordBody::parse(br#"{"type":"tool_call","input":5}"#).unwrap();
    let place = RecordRef {
        log: LogKind::Actions,
        seq: 1,
    };
    assert_eq!(body.usage(place), None);
}

#[test]
fn a_cost_that_a_client_wrote_is_replaced_by_that_of_the_records() {
    let mut view = new_view();
    let claimed = json!({"tokenUsage.costMicroUsd": 5, "tokenUsage.unpricedModels": ["x"], "tokenUsage.note": "n"});
    patch(&mut view, claimed.clone());
    assert_eq!(token_usage(&view)["costMicroUsd"], 5);
    append(&mut view, &usage("m1", 1));
    assert_eq!(token_usage(&view).get("costMicroUsd"), None);
    assert_eq!(token_usage(&view).get("unpricedModels"), None);
    assert_eq!(token_usage(&view)["note"], "n");
    patch(&mut view, claimed);
    assert_eq!(token_usage(&view).get("costMicroUsd"), None);
    assert_eq!(token_usage(&view).get("unpricedModels"), None);
}

#[test]
fn an_empty_name_of_a_model_is_no_model() {
    let mut view = new_view();
    let mut unnamed = usage("m1", 1);
    unnamed["model"] = "".into();
    append(&mut view, &unnamed);
    let by_model = token_usage(&view)["byModel"].as_object().unwrap();
    let names: Vec<&String> = by_model.keys().collect();
    assert_eq!(names, ["unknown"]);
}
