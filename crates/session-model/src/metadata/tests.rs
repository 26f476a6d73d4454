use super::*;

fn metadata() -> Metadata {
    let creation = Creation {
        initial: into_map(json!({"config": {"model": "m-1", "dangerouslySkipPermissions": true}})),
        ..Creation::default()
    };
    Metadata::at_creation(
        &SessionId::parse("s").unwrap(),
        &UserId::stored("u"),
        &creation,
        Timestamp::from_millis(1000),
    )
}

#[test]
fn creation_reads_model_and_permissions_from_the_config() {
    let metadata = metadata();
    assert_eq!(metadata.doc()["model"], "m-1");
    assert_eq!(metadata.doc()["yoloMode"], true);
    assert_eq!(metadata.doc()["created"], "1970-01-01T00:00:01.000Z");
    assert_eq!(metadata.doc()["duration"], Value::Null);
}

#[test]
fn a_patch_sets_dotted_keys_and_adds_to_numbers() {
    let mut metadata = metadata();
    let patch = json!({"tokenUsage.input": 5, "tokenUsage.total": "+7", "metrics.new": "+2", "note": "+1 for you",
                       "tags": ["a"], "cost": 1.5});
    metadata.patch(&into_map(patch)).unwrap();
    metadata
        .patch(&into_map(
            json!({"tokenUsage.total": "+1", "cost": "+0.25"}),
        ))
        .unwrap();
    assert_eq!(
        metadata.doc()["tokenUsage"],
        json!({"input": 5, "output": 0, "total": 8})
    );
    assert_eq!(metadata.doc()["metrics"]["new"], 2);
    assert_eq!(metadata.doc()["note"], "+1 for you");
    assert_eq!(metadata.doc()["cost"], 1.75);
}

#[test]
fn identity_and_types_are_defended_and_nothing_is_half_changed() {
    let before = metadata();
    for (patch, code) in [
        (json!({"note": 1, "userId": "x"}), Code::ImmutableField),
        (json!({"created.x": 1}), Code::ImmutableField),
        (json!({"$schema": 1}), Code::ImmutableField),
        (json!({"note": 1, "tags": "x"}), Code::InvalidState),
        (json!({"status": "gone"}), Code::InvalidState),
        (json!({"model.name": "x"}), Code::InvalidState),
    ] {
        let mut metadata = before.clone();
        assert_eq!(
            metadata.patch(&into_map(patch.clone())).unwrap_err().code,
            code,
            "{patch}"
        );
        assert_eq!(metadata, before);
    }
}

#[test]
fn a_dotted_key_may_nest_as_deep_as_a_body_and_no_deeper() {
    let nested = |path: usize, value: usize| {
        let value = (0..value).fold(json!(1), |inner, _| json!([inner]));
        into_map(json!({ vec!["a"; path].join("."): value }))
    };
    for (path, value) in [(1, 0), (127, 0), (1, 126), (100, 27)] {
        assert_eq!(check_depth(&nested(path, value)), Ok(()), "{path} {value}");
        metadata().patch(&nested(path, value)).unwrap();
    }
    for (path, value) in [(128, 0), (1, 127), (100, 28), (1_000_000, 0)] {
        let refusal = check_depth(&nested(path, value)).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidRequest);
        assert!(
            refusal.message.contains("127 levels") && refusal.message.len() < 150,
            "{}",
            refusal.message
        );
    }
    metadata().patch(&nested(130, 0)).unwrap();
}

fn patched(metadata: &Metadata, patch: Value) -> Result<Metadata, Code> {
    let patch = into_map(patch);
    metadata.check(&patch).map_err(|refusal| refusal.code)?;
    let mut patched = metadata.clone();
    patched.patch(&patch).map_err(|refusal| refusal.code)?;
    Ok(patched)
}

#[test]
fn digits_as_text_are_numbers_in_numeric_fields_and_text_elsewhere() {
    let creation = metadata();
    for (patch, path, value) in [
        (json!({"tokenUsage.input": "12"}), "tokenUsage.input", "12"),
        (
            json!({"tokenUsage.input": "-1.50"}),
            "tokenUsage.input",
            "-1.50",
        ),
        (
            json!({"tokenUsage.cacheRead": "12"}),
            "tokenUsage.cacheRead",
            "12",
        ),
        (
            json!({"tokenUsage.cacheRead": "+12"}),
            "tokenUsage.cacheRead",
            "12",
        ),
        (
            json!({"metrics.label": "twelve"}),
            "metrics.label",
            "\"twelve\"",
        ),
        (json!({"metrics.own.deep": "+3"}), "metrics.own.deep", "3"),
        (
            json!({"tokenUsage": {"input": "25000000000000000001"}}),
            "tokenUsage.input",
            "25000000000000000001",
        ),
        (json!({"duration": "+1.5"}), "duration", "1.5"),
        (json!({"duration": null}), "duration", "null"),
        (
            json!({"phone": "+4366412345678"}),
            "phone",
            "\"+4366412345678\"",
        ),
        (json!({"tokenUsages": "12"}), "tokenUsages", "\"12\""),
        (json!({"model": "+1"}), "model", "\"+1\""),
        (
            json!({"note": {"tokenUsage": "12"}}),
            "note.tokenUsage",
            "\"12\"",
        ),
    ] {
        let patched = patched(&creation, patch.clone()).unwrap();
        assert_eq!(
            merge::get_dotted(patched.doc(), path).unwrap().to_string(),
            value,
            "{patch}"
        );
    }
    let text = patched(&creation, json!({"phone": "+1"})).unwrap();
    assert_eq!(
        patched(&text, json!({"phone": "+2"})).unwrap().doc()["phone"],
        "+2"
    );
}

#[test]
fn a_known_number_takes_no_other_value() {
    let creation = metadata();
    for patch in [
        json!({"tokenUsage.input": "twelve"}),
        json!({"tokenUsage.input": "+twelve"}),
        json!({"tokenUsage.input": true}),
        json!({"tokenUsage.input": {}}),
        json!({"tokenUsage.input.deep": 1}),
        json!({"tokenUsage": {"input": "x"}}),
        json!({"tokenUsage": {"input": "+7"}}),
        json!({"metrics.toolCalls": [1]}),
        json!({"metrics": {"bashCommands": false}}),
        json!({"duration": "long"}),
        json!({"tokenUsage": "12"}),
    ] {
        assert_eq!(
            patched(&creation, patch.clone()),
            Err(Code::InvalidState),
            "{patch}"
        );
    }
}

#[test]
fn increments_are_exact_or_refused() {
    let numbers =
        r#"{"big":25000000000000000001,"sum":9223372036854775807,"cost":0.1,"far":1e999999999}"#;
    let creation = patched(&metadata(), model::value(numbers.as_bytes()).unwrap()).unwrap();
    for (patch, field, value) in [
        (json!({"big": "+1"}), "big", "25000000000000000002"),
        (json!({"big": "+-1"}), "big", "25000000000000000000"),
        (json!({"sum": "+1"}), "sum", "9223372036854775808"),
        (json!({"cost": "+0.2"}), "cost", "0.3"),
    ] {
        assert_eq!(
            patched(&creation, patch.clone()).unwrap().doc()[field].to_string(),
            value,
            "{patch}"
        );
    }
    assert_eq!(
        patched(&creation, json!({"far": "+1"})),
        Err(Code::InvalidRequest)
    );
    assert_eq!(
        patched(&creation, json!({"cost": "+1e5000"})),
        Err(Code::InvalidRequest)
    );
    let stored = into_map(json!({"far": "+1", "note": 1}));
    let mut replayed = creation.clone();
    replayed.patch(&stored).unwrap();
    assert_eq!(replayed.doc()["far"].to_string(), "1e999999999");
    assert_eq!(replayed.doc()["note"], 1);
}

#[test]
fn counters_count_on_from_whatever_number_they_were_set_to() {
    for (set, counted) in [
        ("18446744073709551615", "18446744073709551616"),
        ("\"12\"", "13"),
        ("1.5", "2.5"),
        ("-1", "0"),
        ("1e999999999", "1e999999999"),
        ("null", "1"),
    ] {
        let patch = format!(r#"{{"metrics.toolCalls":{set}}}"#);
        let mut metadata = patched(&metadata(), model::value(patch.as_bytes()).unwrap()).unwrap();
        metadata.bump(Metric::ToolCalls);
        assert_eq!(
            metadata.doc()["metrics"]["toolCalls"].to_string(),
            counted,
            "{set}"
        );
    }
}

#[test]
fn what_an_earlier_version_let_pass_is_applied_again() {
    let mut metadata = metadata();
    metadata
        .patch(&into_map(json!({"tokenUsage.input": "many", "note": 1})))
        .unwrap();
    assert_eq!(metadata.doc()["tokenUsage"]["input"], "many");
    assert_eq!(metadata.doc()["note"], 1);
    assert_eq!(
        patched(&metadata, json!({"other": 1})).unwrap().doc()["other"],
        1,
        "it is not in the way of others"
    );
}
