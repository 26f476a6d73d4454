//! The table of prices and its override file.

use serde_json::json;
use session_insight::usage::{Names, Prices, PricesError, RecordRef, Snapshot, Tokens, Usd};
use session_model::LogKind;
use session_model::records::Record;
use session_model::usage::{PROMPT_CLASSES, class_bounds};

fn cost(prices: &Prices, model: &str) -> Result<u64, &'static str> {
    let record = json!({"type": "usage", "messageId": "m", "model": model, "input": 1_000_000,
        "output": 0, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0});
    let record = Record::parse(&record.to_string()).unwrap().record;
    let place = RecordRef {
        log: LogKind::Actions,
        seq: 1,
    };
    let snapshot = Snapshot::of(place, &record).unwrap();
    prices
        .cost(&snapshot.names, &snapshot.tokens)
        .map(Usd::micro_dollars)
}

fn table(models: &serde_json::Value) -> Vec<u8> {
    json!({"source": {"name": "contract", "date": "2026-11-01"},
        "unit": "micro-dollars per million tokens", "models": models})
    .to_string()
    .into_bytes()
}

#[test]
fn the_table_has_a_source_a_date_and_a_digest() {
    let [table] = Prices::built_in().tables() else {
        panic!("one table")
    };
    assert!(table.source.name.starts_with("LiteLLM "));
    assert!(
        table
            .source
            .address
            .as_deref()
            .unwrap()
            .starts_with("https://")
    );
    assert_eq!(table.source.date.len(), "2026-11-30".len());
    assert_eq!(table.digest.len(), "sha256:".len() + 64);
}

#[test]
fn a_model_matches_by_its_whole_name() {
    let prices = Prices::built_in();
    assert_eq!(cost(prices, "claude-sonnet-4-5"), Ok(3_000_000));
    for other in [
        "claude-sonnet-4",
        "claude-sonnet-4-5 ",
        "Claude-Sonnet-4-5",
        "sonnet",
    ] {
        assert_eq!(
            cost(prices, other),
            Err("no price of this model"),
            "{other}"
        );
    }
}

#[test]
fn an_override_replaces_and_adds_models_and_is_named_in_reports() {
    let own = Prices::parse(&table(&json!({
        "claude-sonnet-4-5": {"input": 7, "output": 8},
        "our-model": {"input": 9, "output": 10},
    })))
    .unwrap();
    let prices = Prices::built_in().clone().overridden_by(own);
    assert_eq!(cost(&prices, "claude-sonnet-4-5"), Ok(7));
    assert_eq!(cost(&prices, "our-model"), Ok(9));
    assert_eq!(cost(&prices, "gpt-5"), Ok(1_250_000));
    assert_eq!(prices.tables().len(), 2);
    assert_eq!(prices.tables()[1].source.name, "contract");
    assert_ne!(prices.tables()[0].digest, prices.tables()[1].digest);
}

#[test]
fn a_file_that_is_no_table_is_refused_with_what_to_do() {
    let typing_error = Prices::parse(&table(
        &json!({"m": {"input": 1, "output": 1, "cacheread": 1}}),
    ));
    let message = typing_error.unwrap_err().to_string();
    assert!(message.contains("cacheread"), "{message}");
    assert!(message.contains("prices.json"), "{message}");

    let fraction = Prices::parse(&table(&json!({"m": {"input": 1.5, "output": 1}})));
    assert!(matches!(fraction, Err(PricesError::Form(_))));

    let high = Prices::parse(&table(
        &json!({"m": {"input": 1_000_000_000_001_u64, "output": 1}}),
    ));
    assert!(matches!(high, Err(PricesError::TooHigh { .. })));

    let unit = br#"{"source":{"name":"x","date":"y"},"unit":"dollars","models":{}}"#;
    let message = Prices::parse(unit).unwrap_err().to_string();
    assert!(
        message.contains("micro-dollars per million tokens"),
        "{message}"
    );
}

#[test]
fn the_names_of_a_provider_in_an_override_are_added_to_those_of_the_table() {
    let own = json!({"source": {"name": "contract", "date": "2026-11-01"},
        "unit": "micro-dollars per million tokens",
        "providers": {"google": ["our-gateway"], "own": ["ours"]}, "models": {}});
    let own = Prices::parse(own.to_string().as_bytes()).unwrap();
    let prices = Prices::built_in().clone().overridden_by(own);
    for provider in ["google", "gemini", "gcp.gen_ai", "our-gateway"] {
        let names = Names {
            model: Some("gemini-2.5-flash".to_owned()),
            provider: Some(provider.to_owned()),
            agent: None,
        };
        let tokens = Tokens {
            input: 1_000_000,
            ..Tokens::default()
        };
        let cost = prices.cost(&names, &tokens).map(Usd::micro_dollars);
        assert_eq!(cost, Ok(300_000), "{provider}");
    }
}

#[test]
fn prices_change_only_at_the_lengths_at_which_sums_are_kept_apart() {
    let tier = |tokens: u64| json!({"inputTokens": tokens, "input": 2});
    let parse = |tiers: serde_json::Value| {
        let model = json!({"m": {"input": 1, "output": 1, "above": tiers}});
        Prices::parse(&table(&model))
    };
    for tokens in [0, 32_000, 199_999] {
        let refused = parse(json!([tier(200_000), tier(tokens)])).unwrap_err();
        assert!(matches!(refused, PricesError::Threshold { .. }), "{tokens}");
        let message = refused.to_string();
        assert!(
            message.contains(&format!("`m`: prices change at {tokens} tokens")),
            "{message}"
        );
        assert!(message.contains("128000"), "{message}");
    }
    let twice = parse(json!([tier(200_000), tier(200_000)]));
    assert!(matches!(twice, Err(PricesError::Threshold { .. })));
    let prices = parse(json!([tier(1_000_000), tier(128_000)])).unwrap();
    assert_eq!(cost(&prices, "m"), Ok(2));
}

#[test]
fn a_price_of_a_long_prompt_is_the_same_in_a_report_and_in_the_sums() {
    let tiers = PROMPT_CLASSES.map(|tokens| json!({"inputTokens": tokens, "input": tokens * 10}));
    let model = json!({"m": {"input": 5, "output": 1, "above": tiers}});
    let prices = Prices::parse(&table(&model)).unwrap();
    let names = Names {
        model: Some("m".to_owned()),
        ..Names::default()
    };
    for class in 0..=PROMPT_CLASSES.len() {
        let (shortest, longest) = class_bounds(class);
        for input in [shortest, longest.min(2_000_000)] {
            let tokens = Tokens {
                input,
                ..Tokens::default()
            };
            assert_eq!(
                prices.cost(&names, &tokens),
                prices.cost_of_class(Some("m"), None, class, &tokens)
            );
        }
    }
}

#[test]
fn a_null_in_a_table_is_nothing() {
    let model =
        json!({"m": {"input": 1, "output": 1, "cacheRead": null, "provider": null, "above": null}});
    let prices = Prices::parse(&table(&model)).unwrap();
    assert_eq!(cost(&prices, "m"), Ok(1));
    let missing = Prices::parse(&table(&json!({"m": {"input": 1, "output": null}})));
    let message = missing.unwrap_err().to_string();
    assert!(message.contains("missing field `output`"), "{message}");
}
