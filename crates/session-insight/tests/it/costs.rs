//! What requests cost, by the table that the dashboard's tests read too.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};
use session_insight::usage::{Prices, RecordRef, Snapshot, Usage, Usd};
use session_model::LogKind;
use session_model::records::Record;

#[derive(Deserialize)]
struct Table {
    prices: Value,
    /// What a request shows, its fields, and its cost in 10^-12 dollars.
    requests: Vec<(String, Value, Option<String>)>,
    rates: Value,
    wrong: Vec<Value>,
    ascending: Vec<Value>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let text = include_str!("../../../session-model/tests/fixtures/costs.json");
    serde_json::from_str(text).unwrap()
});

fn prices() -> Prices {
    Prices::parse(TABLE.prices.to_string().as_bytes()).unwrap()
}

fn place(seq: usize) -> RecordRef {
    RecordRef {
        log: LogKind::Actions,
        seq: seq as u64,
    }
}

/// A `usage` record with these fields.
fn usage(fields: &Value) -> Record {
    let mut record = fields.clone();
    record["type"] = "usage".into();
    Record::parse(&record.to_string()).unwrap().record
}

#[test]
fn each_request_costs_what_the_table_says() {
    for (about, fields, cost) in &TABLE.requests {
        let snapshot = Snapshot::of(place(1), &usage(fields)).unwrap();
        let expected = cost
            .as_ref()
            .map(|cost| Usd::parse(&format!("{cost}e-12")).unwrap());
        let found = prices().cost(&snapshot.names, &snapshot.tokens);
        assert_eq!(found.ok(), expected, "{about}");
    }
}

#[test]
fn a_record_with_a_number_that_no_request_has_does_not_count() {
    for fields in &TABLE.wrong {
        assert!(
            Snapshot::of(place(1), &usage(fields)).is_err(),
            "{fields} counts"
        );
    }
}

#[test]
fn each_snapshot_of_a_request_counts_instead_of_those_before_it() {
    let snapshots = TABLE
        .ascending
        .iter()
        .map(|fields| Snapshot::of(place(1), &usage(fields)).unwrap());
    let snapshots: Vec<Snapshot> = snapshots.collect();
    for (at, pair) in snapshots.windows(2).enumerate() {
        assert!(pair[0].rank() < pair[1].rank(), "number {at}");
    }
}

#[test]
fn a_report_has_the_prices_of_the_models_and_providers_that_requests_name() {
    let mut usage_of_all = Usage::default();
    for (seq, (_, fields, _)) in TABLE.requests.iter().enumerate() {
        usage_of_all.add(place(seq + 1), &usage(fields)).unwrap();
    }
    let report = usage_of_all.report(&prices());
    assert_eq!(serde_json::to_value(&report.rates).unwrap(), TABLE.rates);
}

#[test]
fn a_report_has_no_prices_of_a_model_that_only_a_superseded_snapshot_names() {
    let mut usage_of_one = Usage::default();
    for (seq, (model, output)) in [("plain", 1), ("thinker", 2)].into_iter().enumerate() {
        let fields = json!({"messageId": "m", "model": model, "output": output});
        usage_of_one.add(place(seq + 1), &usage(&fields)).unwrap();
    }
    let report = usage_of_one.report(&prices());
    let models: Vec<&str> = report.rates.iter().map(|rates| &*rates.model).collect();
    assert_eq!(models, ["thinker"]);
    assert!(Usage::default().report(&prices()).rates.is_empty());
}
