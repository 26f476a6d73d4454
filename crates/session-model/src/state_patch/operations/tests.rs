use super::*;
use serde_json::json;

fn levels(n: usize) -> Value {
    (0..n).fold(json!(1), |inner, _| json!({ "d": inner }))
}

fn applied(mut whole: Value, patch: &Value) -> Result<Value, Refusal> {
    let mut cost = PatchCost::default();
    apply(&mut whole, patch, |whole, operation| {
        cost.admit(whole, operation)
    })?;
    Ok(whole)
}

#[test]
fn an_operation_may_nest_as_deep_as_a_body_and_no_deeper() {
    let path = |n: usize| "/d".repeat(n);
    for (patch, depth) in [
        (
            json!([{"op": "add", "path": path(60), "value": levels(67)}]),
            Some(127),
        ),
        (
            json!([{"op": "add", "path": path(60), "value": levels(68)}]),
            None,
        ),
        (
            json!([{"op": "replace", "path": path(60), "value": levels(68)}]),
            None,
        ),
        (
            json!([{"op": "copy", "from": "", "path": path(60)}]),
            Some(120),
        ),
        (
            json!([{"op": "copy", "from": "", "path": path(60)}, {"op": "copy", "from": "", "path": "/x"},
                {"op": "copy", "from": "", "path": path(8)}]),
            None,
        ),
        (
            json!([{"op": "copy", "from": "/d", "path": "/e"}, {"op": "move", "from": "/e", "path": path(60)}]),
            Some(119),
        ),
        (
            json!([{"op": "add", "path": "/e", "value": levels(68)}, {"op": "move", "from": "/e", "path": path(60)}]),
            None,
        ),
        (
            json!([{"op": "test", "path": path(60), "value": 1}, {"op": "remove", "path": path(60)}]),
            Some(60),
        ),
    ] {
        let result = applied(levels(60), &patch);
        if let Some(depth) = depth {
            assert_eq!(json::depth_of(&result.unwrap()), depth, "{patch}");
        } else {
            let refusal = result.unwrap_err();
            assert_eq!(refusal.code, Code::InvalidRequest, "{patch}");
            assert!(
                refusal.message.contains("127 levels"),
                "{}",
                refusal.message
            );
        }
    }
}

#[test]
fn the_operation_that_fails_is_named() {
    let patch = json!([{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}]);
    let refusal = applied(json!({}), &patch).unwrap_err();
    assert_eq!(refusal.code, Code::PatchConflict);
    assert!(
        refusal
            .message
            .contains("operation '/1' failed at path '/b'"),
        "{}",
        refusal.message
    );
}

#[test]
fn what_is_stored_already_is_applied_however_deep() {
    let mut whole = json!({});
    let patch = vec![json!({"op": "copy", "from": "", "path": "/x"}); 12];
    apply(&mut whole, &json!(patch), |_, _| Ok(())).unwrap();
    assert_eq!(json::depth_of(&whole), 13);
    let deep = json!([{"op": "add", "path": "/y", "value": levels(140)}]);
    apply(&mut whole, &deep, |_, _| Ok(())).unwrap();
    assert_eq!(json::depth_of(&whole), 141);
}

#[test]
fn a_patch_may_not_make_or_move_more_than_it_may() {
    let list = |n: usize| json!({"l": vec![1; n], "t": "x".repeat(6 << 20)});
    let copy = |from: &str, to: &str| json!({"op": "copy", "from": from, "path": to});
    let insert = json!({"op": "add", "path": "/l/0", "value": 1});
    let shift = json!({"op": "move", "from": "/l/0", "path": "/l/1"});
    for (patch, fails_at) in [
        (json!([copy("/t", "/a")]), None),
        (
            json!([copy("/t", "/a"), copy("/l", "/b"), copy("/t", "/c")]),
            Some(2),
        ),
        (json!([copy("", "/a"), copy("/a", "/b")]), Some(1)),
        (
            json!([{"op": "move", "from": "/t", "path": "/a"}, {"op": "move", "from": "/a", "path": "/t"}]),
            None,
        ),
        (json!(vec![insert.clone(); 500]), None),
        (json!(vec![insert; 1_100]), Some(995)),
        (json!(vec![shift; 600]), Some(500)),
        (
            json!(vec![
                json!({"op": "test", "path": "/u", "value": 1});
                10_001
            ]),
            Some(0),
        ),
        (
            json!(vec![
                json!({"op": "test", "path": "/l/0", "value": 1});
                10_001
            ]),
            Some(10_000),
        ),
    ] {
        let result = applied(list(100_000), &patch);
        let refusal = result.err().map(|refusal| refusal.message);
        let at = fails_at.map(|index| format!("operation '/{index}' "));
        assert_eq!(refusal.is_some(), at.is_some(), "{refusal:?}");
        assert!(
            refusal
                .iter()
                .zip(&at)
                .all(|(refusal, at)| refusal.contains(at)),
            "{refusal:?} {at:?}"
        );
    }
}

#[test]
fn the_size_of_a_value_is_about_that_of_its_json() {
    let value = json!({"a": [1_234_567, null, true, "text"], "b": {"c": [], "d": {}}});
    let about = json::size_of(&value);
    let exactly = value.to_string().len();
    assert!(about.abs_diff(exactly) < 10, "{about} {exactly}");
}

#[test]
fn a_test_compares_numbers_by_value() {
    let whole = || json::value(br#"{"n":25000000000000000001,"f":1.50,"l":[{"x":1}]}"#).unwrap();
    for (test, holds) in [
        (r#"{"path":"/n","value":25000000000000000001}"#, true),
        (r#"{"path":"/n","value":25000000000000000002}"#, false),
        (r#"{"path":"/n","value":2.5e19}"#, false),
        (r#"{"path":"/f","value":1.5}"#, true),
        (r#"{"path":"/f","value":15E-1}"#, true),
        (r#"{"path":"/f","value":"1.5"}"#, false),
        (r#"{"path":"/l","value":[{"x":1.0}]}"#, true),
        (r#"{"path":"/gone","value":1}"#, false),
    ] {
        let mut operation = json::value(test.as_bytes()).unwrap();
        operation["op"] = "test".into();
        let result = applied(whole(), &Value::Array(vec![operation]));
        assert_eq!(
            result.map_err(|refusal| refusal.code),
            if holds {
                Ok(whole())
            } else {
                Err(Code::PatchConflict)
            }
        );
    }
}

#[test]
fn the_values_of_operations_keep_their_digits() {
    let patch = r#"[{"op":"add","path":"/a","value":1E5},{"op":"replace","path":"/b","value":[1e400,-0]},
        {"op":"copy","from":"/b","path":"/c"}]"#;
    let applied = applied(json!({"b": 1}), &json::value(patch.as_bytes()).unwrap()).unwrap();
    assert_eq!(
        applied.to_string(),
        r#"{"b":[1e400,-0],"a":1E5,"c":[1e400,-0]}"#
    );
}

#[test]
fn a_long_number_is_counted_with_all_its_digits() {
    let long = json::value("1".repeat(6 << 20).as_bytes()).unwrap();
    let copy = |to: &str| json!({"op": "copy", "from": "/n", "path": to});
    let mut whole = json!({});
    whole["n"] = long;
    let refusal = applied(whole, &json!([copy("/a"), copy("/b")])).unwrap_err();
    assert_eq!(refusal.code, Code::PayloadTooLarge);
}
