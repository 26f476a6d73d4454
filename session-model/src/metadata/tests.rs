use super::*;

fn metadata() -> Metadata {
    let birth = Birth {
        initial: into_map(json!({"config": {"model": "m-1", "dangerouslySkipPermissions": true}})),
        parent: None,
    };
    Metadata::at_birth(
        &SessionId::parse("s").unwrap(),
        &UserId::stored("u"),
        &birth,
        Timestamp::from_millis(1000),
    )
}

#[test]
fn birth_reads_model_and_permissions_from_the_config() {
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
    metadata.patch(&into_map(json!({"tokenUsage.total": "+1", "cost": "+0.25"}))).unwrap();
    assert_eq!(metadata.doc()["tokenUsage"], json!({"input": 5, "output": 0, "total": 8}));
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
        assert_eq!(metadata.patch(&into_map(patch.clone())).unwrap_err().code, code, "{patch}");
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
        assert!(refusal.message.contains("127 levels") && refusal.message.len() < 150, "{}", refusal.message);
    }
    metadata().patch(&nested(130, 0)).unwrap();
}
