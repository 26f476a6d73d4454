//! Usage: what counts, what it costs, and why.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use session_insight::usage::{
    Amendments, OrderedUsage, Prices, RecordRef, Report, Snapshot, Sums, Usage, Verdict, add_cost,
};
use session_model::LogKind;
use session_model::records::Record;
use session_model::usage::RunningSums;

fn place(seq: usize) -> RecordRef {
    RecordRef {
        log: LogKind::Actions,
        seq: seq as u64,
    }
}

fn record(fields: &Value) -> Record {
    Record::parse(&fields.to_string()).unwrap().record
}

/// A `usage` record of a request, with these counts.
fn usage(request: &str, model: &str, figures: Value) -> Record {
    let mut fields = json!({"type": "usage", "messageId": request, "model": model, "input": 0,
        "output": 0, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0});
    if let (Some(fields), Value::Object(figures)) = (fields.as_object_mut(), figures) {
        fields.extend(figures);
    }
    record(&fields)
}

fn fold(records: &[Record]) -> Usage {
    let mut usage = Usage::default();
    for (seq, record) in records.iter().enumerate() {
        let _request = usage.add(place(seq + 1), record);
    }
    usage
}

/// The sums of records that are read in an order, and the verdict on each of them.
fn explained(records: &[Record], order: &[usize]) -> (Report, BTreeMap<usize, Vec<Verdict>>) {
    let mut usage = OrderedUsage::default();
    for at in order {
        usage.add(place(at + 1), &records[*at]);
    }
    let report = usage.report(Prices::built_in());
    let mut verdicts = usage.into_verdicts();
    let mut by_record: BTreeMap<usize, Vec<Verdict>> = BTreeMap::new();
    for at in order {
        let verdict = verdicts.next(place(at + 1), &records[*at]);
        by_record.entry(*at).or_default().push(verdict);
    }
    (report, by_record)
}

/// The verdicts on records in their order.
fn verdicts_of(records: &[Record]) -> Vec<Verdict> {
    let order: Vec<usize> = (0..records.len()).collect();
    explained(records, &order)
        .1
        .into_values()
        .flatten()
        .collect()
}

fn report(records: &[Record]) -> Report {
    fold(records).report(Prices::built_in())
}

#[test]
fn a_streamed_request_counts_once_with_its_last_figures() {
    let snapshots: Vec<Record> = [1, 5, 900, 40]
        .into_iter()
        .map(|output| {
            usage(
                "m1",
                "claude-sonnet-4-5",
                json!({"input": 10, "output": output}),
            )
        })
        .collect();
    let report = report(&snapshots);
    assert_eq!(report.total.requests, 1);
    assert_eq!(report.total.input, 10);
    assert_eq!(report.total.output, 900);
}

#[test]
fn snapshots_with_the_same_output_are_ordered_by_all_their_tokens() {
    let report = report(&[
        usage(
            "m1",
            "claude-sonnet-4-5",
            json!({"output": 7, "cacheRead": 500}),
        ),
        usage(
            "m1",
            "claude-sonnet-4-5",
            json!({"output": 7, "cacheRead": 20}),
        ),
    ]);
    assert_eq!(report.total.cache_read, 500);
    assert_eq!(report.total.total, 507);
}

#[test]
fn the_same_message_in_two_requests_counts_twice() {
    let of = |request: &str| usage("m1", "gpt-5", json!({"requestId": request, "output": 3}));
    assert_eq!(report(&[of("r1"), of("r2"), of("r1")]).total.output, 6);
}

#[test]
fn ids_that_join_to_the_same_text_are_different_requests() {
    let one = usage("a", "gpt-5", json!({"requestId": "bc", "output": 1}));
    let other = usage("ab", "gpt-5", json!({"requestId": "c", "output": 1}));
    assert_eq!(report(&[one, other]).total.requests, 2);
}

#[test]
fn records_without_ids_are_requests_of_their_own() {
    let fields = json!({"type": "usage", "model": "gpt-5", "input": 2, "output": 3});
    let report = report(&[record(&fields), record(&fields)]);
    assert_eq!(report.total.requests, 2);
    assert_eq!(report.total.input, 4);
}

#[test]
fn subagents_count_and_the_own_part_is_shown() {
    let report = report(&[
        usage("m1", "claude-opus-4-5", json!({"input": 100})),
        usage(
            "m2",
            "claude-haiku-4-5",
            json!({"input": 40, "agentId": "a1"}),
        ),
        usage(
            "m3",
            "claude-haiku-4-5",
            json!({"input": 5, "agentId": "a2"}),
        ),
    ]);
    assert_eq!(report.total.input, 145);
    assert_eq!(report.own.input, 100);
    assert_eq!(report.agents["a1"].input, 40);
    assert_eq!(report.agents["a2"].input, 5);
    assert_eq!(report.by_model["claude-haiku-4-5"].requests, 2);
    assert_eq!(report.by_model["claude-opus-4-5"].input, 100);
}

#[test]
fn a_cost_is_exact_and_counts_each_kind_of_token_once() {
    let report = report(&[usage(
        "m1",
        "claude-sonnet-4-5",
        json!({"input": 1, "output": 1_000, "reasoning": 400, "cacheRead": 3, "cacheWrite": 30, "cacheWrite1h": 10}),
    )]);
    // In dollars per million: 1 × 3 + 1,000 × 15 + 3 × 0.30 + 20 × 3.75 + 10 × 6.
    assert_eq!(report.total.cost_micro_usd, Some(15_139));
    assert_eq!(report.total.reasoning, 400);
    assert_eq!(report.total.total, 1_034);
}

#[test]
fn costs_are_rounded_once_and_not_per_request() {
    let records: Vec<Record> = (0..1_000)
        .map(|n| {
            usage(
                &format!("m{n}"),
                "claude-haiku-4-5",
                json!({"cacheRead": 4}),
            )
        })
        .collect();
    // 4 tokens at 0.10 dollars per million are 0.4 micro-dollars.
    assert_eq!(report(&records).total.cost_micro_usd, Some(400));
}

#[test]
fn a_long_prompt_has_the_price_of_long_prompts() {
    let one = |tokens: u64| {
        report(&[usage(
            "m",
            "gemini-2.5-pro",
            json!({"input": tokens, "cacheRead": 100_000}),
        )])
        .total
        .cost_micro_usd
    };
    assert_eq!(one(100_000), Some(125_000 + 12_500));
    // One token more: the whole prompt is long.
    assert_eq!(one(100_001), Some(250_003 + 25_000));
}

#[test]
fn a_model_without_a_price_is_listed_and_costs_nothing_known() {
    let report = report(&[
        usage("m1", "claude-sonnet-4-5-preview", json!({"input": 5})),
        usage(
            "m2",
            "claude-sonnet-4-5",
            json!({"input": 5, "provider": "aws.bedrock"}),
        ),
        usage("m3", "gpt-5", json!({"cacheWrite": 5})),
    ]);
    assert_eq!(report.total.cost_micro_usd, None);
    assert_eq!(report.total.unpriced_requests, 3);
    let listed: Vec<(&str, &str)> = report
        .unpriced
        .iter()
        .map(|unpriced| (unpriced.model.as_str(), unpriced.reason))
        .collect();
    assert_eq!(
        listed,
        [
            (
                "claude-sonnet-4-5",
                "no price of this model at this provider"
            ),
            ("claude-sonnet-4-5-preview", "no price of this model"),
            ("gpt-5", "no price of writing to the cache"),
        ]
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["total"].get("costMicroUsd"), None);
}

#[test]
fn other_names_of_a_provider_have_its_prices() {
    for provider in ["google", "Gemini", "gcp.gen_ai"] {
        let figures = json!({"input": 1_000_000, "provider": provider});
        let report = report(&[usage("m", "gemini-2.5-flash", figures)]);
        assert_eq!(report.total.cost_micro_usd, Some(300_000), "{provider}");
    }
}

#[test]
fn the_cost_that_a_source_reports_stands_beside_the_computed_one() {
    let text = r#"{"type":"usage","messageId":"m1","model":"gpt-5","input":1000,"output":0,"costUsd":0.10000000000000000000001}"#;
    let second =
        r#"{"type":"usage","messageId":"m2","model":"gpt-5","input":0,"output":0,"costUsd":2e-1}"#;
    let records = [text, second].map(|text| Record::parse(text).unwrap().record);
    let report = report(&records);
    assert_eq!(report.total.reported_cost_micro_usd, Some(300_000));
    assert_eq!(report.total.cost_micro_usd, Some(1_250));
}

#[test]
fn each_record_is_explained() {
    let records = [
        usage("m1", "gpt-5", json!({"output": 4})),
        usage("m1", "gpt-5", json!({"output": 9})),
        usage("m1", "gpt-5", json!({"output": 9})),
        usage("m2", "gpt-5", json!({"output": "9"})),
        usage("m3", "gpt-5", json!({"input": -1})),
        usage("m4", "gpt-5", json!({"cacheRead": 1.5})),
        usage("m5", "gpt-5", json!({"input": 1_000_000_000_001_u64})),
        usage("m6", "gpt-5", json!({"cacheWrite": 1, "cacheWrite1h": 2})),
        usage("m7", "gpt-5", json!({"costUsd": "1"})),
        record(&json!({"type": "tool_call", "tool": "x", "input": {}})),
    ];
    let verdicts = verdicts_of(&records);
    let wrong = |verdict: &Verdict| match verdict {
        Verdict::WrongField { field, .. } => *field,
        other => panic!("{other:?}"),
    };
    assert_eq!(verdicts[0], Verdict::Superseded { by: place(2) });
    assert_eq!(verdicts[1], Verdict::Counted);
    assert_eq!(verdicts[2], Verdict::Repeat { of: place(2) });
    assert_eq!(wrong(&verdicts[3]), "output");
    assert_eq!(wrong(&verdicts[4]), "input");
    assert_eq!(wrong(&verdicts[5]), "cacheRead");
    assert_eq!(wrong(&verdicts[6]), "input");
    assert_eq!(wrong(&verdicts[7]), "cacheWrite1h");
    assert_eq!(wrong(&verdicts[8]), "costUsd");
    assert_eq!(verdicts[9], Verdict::NotUsage);
    assert_eq!(report(&records).total.output, 9);
}

#[test]
fn a_record_of_one_log_may_count_instead_of_one_of_the_other() {
    let records = [
        usage("m1", "gpt-5", json!({"output": 4})),
        usage("m1", "gpt-5", json!({"output": 9})),
    ];
    let places = [LogKind::Responses, LogKind::Actions].map(|log| RecordRef { log, seq: 1 << 40 });
    let mut usage = OrderedUsage::default();
    for (place, record) in places.iter().zip(&records) {
        usage.add(*place, record);
    }
    let mut verdicts = usage.into_verdicts();
    assert_eq!(verdicts.next(places[1], &records[1]), Verdict::Counted);
    let superseded = Verdict::Superseded { by: places[1] };
    assert_eq!(verdicts.next(places[0], &records[0]), superseded);
    assert_eq!(verdicts.next(places[0], &records[0]), Verdict::NotAdded);
}

#[test]
fn an_empty_or_long_name_of_a_model_is_none() {
    let report = report(&[
        usage("m1", "", json!({"input": 5, "provider": "", "agentId": ""})),
        usage("m2", &"x".repeat(129), json!({"input": 5})),
        usage("m3", &"x".repeat(128), json!({"input": 5})),
    ]);
    let models: Vec<&str> = report.by_model.keys().map(String::as_str).collect();
    assert_eq!(models, ["unknown", &"x".repeat(128)]);
    assert_eq!(report.own.requests, 3);
    let unpriced = &report.unpriced[0];
    assert_eq!((unpriced.model.as_str(), unpriced.requests), ("unknown", 2));
    assert_eq!(unpriced.reason, "the record names no model");
}

#[test]
fn an_amendment_adds_the_fields_that_a_usage_record_lacks() {
    let fields = |value: Value| match value {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    };
    let mut amendments = Amendments::default();
    for amendment in [
        json!({"type": "amend", "of": "usage:m1", "key": "k", "agentId": "a", "output": 50, "cacheRead": 9}),
        json!({"type": "amend", "of": "usage:m1", "cacheRead": 1, "model": "gpt-5"}),
        json!({"type": "amend", "of": "call:c", "exitCode": 1}),
        json!({"type": "usage", "of": "usage:m1", "input": 3}),
        json!({"type": "amend", "of": "", "input": 3}),
    ] {
        amendments.note(LogKind::Actions, &fields(amendment));
    }
    let lacking =
        json!({"type": "usage", "key": "usage:m1", "messageId": "m1", "input": 2, "output": 3});
    let mut folded = fields(lacking.clone());
    amendments.fold(LogKind::Actions, &mut folded);
    let mut expected = lacking.clone();
    expected["cacheRead"] = 9.into();
    expected["model"] = "gpt-5".into();
    assert_eq!(Value::Object(folded), expected);

    let mut of_other_log = fields(lacking.clone());
    amendments.fold(LogKind::Responses, &mut of_other_log);
    assert_eq!(Value::Object(of_other_log), lacking);
    let mut of_other_type = fields(json!({"type": "mine", "key": "usage:m1"}));
    amendments.fold(LogKind::Actions, &mut of_other_type);
    assert_eq!(of_other_type.len(), 2);
    // A text that is no record key names no record.
    let mut without_key = fields(json!({"type": "usage", "key": ""}));
    amendments.fold(LogKind::Actions, &mut without_key);
    assert_eq!(without_key.len(), 2);

    amendments.drop_unused();
    assert!(!amendments.is_empty());
    let mut unused = Amendments::default();
    unused.note(
        LogKind::Actions,
        &fields(json!({"type": "amend", "of": "k", "model": "m"})),
    );
    unused.drop_unused();
    assert!(unused.is_empty());
}

const MODELS: [&str; 4] = ["claude-sonnet-4-5", "gpt-5", "gemini-2.5-pro", "not-listed"];

fn any_record() -> impl Strategy<Value = Record> {
    let figure = || prop_oneof![0_u64..4, 0_u64..300_000];
    (
        0_usize..12,
        prop::option::of(0_usize..2),
        0_usize..MODELS.len(),
        [figure(), figure(), figure(), figure(), figure()],
        prop::option::of(0_usize..3),
        prop::option::of(0_u32..5),
    )
        .prop_map(
            |(message, request, model, [input, output, read, write, reasoning], agent, cost)| {
                let mut fields = json!({"input": input, "output": output, "cacheRead": read,
                "cacheWrite": write, "reasoning": reasoning});
                if let Some(request) = request {
                    fields["requestId"] = format!("r{request}").into();
                }
                if let Some(agent) = agent {
                    fields["agentId"] = format!("a{agent}").into();
                }
                if let Some(cost) = cost {
                    fields["costUsd"] = cost.into();
                }
                usage(&format!("m{message}"), MODELS[model], fields)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_order_and_any_repeat_gives_the_same_usage(
        (records, order) in prop::collection::vec(any_record(), 1..40).prop_flat_map(|records| {
            let places: Vec<usize> = (0..records.len()).collect();
            let repeats = prop::collection::vec(0..records.len(), 0..20);
            let order = (Just(places).prop_shuffle(), repeats, any::<prop::sample::Index>())
                .prop_map(|(mut places, repeats, at)| {
                    let at = at.index(places.len());
                    places.splice(at..at, repeats);
                    places
                });
            (Just(records), order)
        }),
    ) {
        let whole: Vec<usize> = (0..records.len()).collect();
        let (expected, counted) = explained(&records, &whole);
        let (report, verdicts) = explained(&records, &order);
        prop_assert_eq!(&report, &expected);
        prop_assert_eq!(fold(&records).report(Prices::built_in()), expected);
        for (at, verdicts) in verdicts {
            for verdict in verdicts {
                prop_assert_eq!(&verdict, &counted[&at][0]);
            }
        }
    }

}

/// Prices of which some models lack some, and thinking has another price than other output.
fn no_price_of_reading() -> Prices {
    let table = json!({"source": {"name": "test", "date": "2026-11-01"},
        "unit": "micro-dollars per million tokens",
        "models": {
            "gpt-5": {"input": 1_250_000, "output": 10_000_000, "reasoning": 7_000_000},
            "gemini-2.5-pro": {"input": 1, "output": 2, "cacheRead": 3,
                "above": [{"inputTokens": 200_000, "input": 2, "cacheWrite": 9}]}}});
    let table = Prices::parse(table.to_string().as_bytes()).unwrap();
    Prices::default().overridden_by(table)
}

/// The `tokenUsage` that says the same as a report.
fn in_metadata(report: &Report) -> Value {
    let shown = |sums: &Sums| {
        let mut fields = serde_json::to_value(sums).unwrap();
        for only_in_reports in ["unpricedRequests", "reportedCostMicroUsd"] {
            fields
                .as_object_mut()
                .unwrap()
                .shift_remove(only_in_reports);
        }
        fields
    };
    let mut usage = shown(&report.total);
    let models = report.by_model.iter();
    usage["byModel"] = models
        .map(|(model, sums)| (model.clone(), shown(sums)))
        .collect();
    let unpriced: BTreeSet<&str> = report.unpriced.iter().map(|one| &*one.model).collect();
    if !unpriced.is_empty() {
        usage["unpricedModels"] = json!(unpriced);
    }
    usage
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sums_in_metadata_are_those_of_the_report(
        records in prop::collection::vec(any_record(), 1..40),
    ) {
        let mut kept = RunningSums::default();
        for (seq, record) in records.iter().enumerate() {
            kept.count(&Snapshot::of(place(seq + 1), record).unwrap());
        }
        prop_assert!(kept.is_exact());
        let usage = fold(&records);
        let prices = no_price_of_reading();
        let expected = usage.report(&prices);
        for sums in [kept.sums(), &usage.model_sums()] {
            let mut shown = Map::new();
            shown.insert("costMicroUsd".to_owned(), 1.into());
            shown.insert("unpricedModels".to_owned(), json!(["claimed"]));
            sums.write(&mut shown);
            add_cost(&mut shown, sums, &prices);
            prop_assert_eq!(Value::Object(shown), in_metadata(&expected));
        }
    }

    #[test]
    fn each_request_counts_once_and_every_sum_agrees(
        records in prop::collection::vec(any_record(), 1..40),
    ) {
        let usage = fold(&records);
        let report = usage.report(Prices::built_in());
        let verdicts = verdicts_of(&records);
        let counted = verdicts.iter().filter(|verdict| **verdict == Verdict::Counted).count();
        prop_assert_eq!(counted as u64, report.total.requests);
        prop_assert_eq!(counted, usage.len());
        let models: u64 = report.by_model.values().map(|sums| sums.total).sum();
        prop_assert_eq!(models, report.total.total);
        let agents: u64 = report.agents.values().map(|sums| sums.total).sum();
        prop_assert_eq!(agents + report.own.total, report.total.total);
        let unpriced: u64 = report.unpriced.iter().map(|unpriced| unpriced.requests).sum();
        prop_assert_eq!(unpriced, report.total.unpriced_requests);
    }
}
