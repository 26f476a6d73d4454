use super::*;
use serde_json::json;

fn levels(n: usize) -> Value {
    (0..n).fold(json!(1), |inner, _| json!({ "d": inner }))
}

fn applied(mut whole: Value, patch: &Value) -> Result<Value, Refusal> {
    apply(&mut whole, patch, check_depth)?;
    Ok(whole)
}

#[test]
fn an_operation_may_nest_as_deep_as_a_body_and_no_deeper() {
    let path = |n: usize| "/d".repeat(n);
    for (patch, depth) in [
        (json!([{"op": "add", "path": path(60), "value": levels(67)}]), Some(127)),
        (json!([{"op": "add", "path": path(60), "value": levels(68)}]), None),
        (json!([{"op": "replace", "path": path(60), "value": levels(68)}]), None),
        (json!([{"op": "copy", "from": "", "path": path(60)}]), Some(120)),
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
        (json!([{"op": "test", "path": path(60), "value": 1}, {"op": "remove", "path": path(60)}]), Some(60)),
    ] {
        let result = applied(levels(60), &patch);
        if let Some(depth) = depth {
            assert_eq!(json::depth_of(&result.unwrap()), depth, "{patch}");
        } else {
            let refusal = result.unwrap_err();
            assert_eq!(refusal.code, Code::InvalidRequest, "{patch}");
            assert!(refusal.message.contains("127 levels"), "{}", refusal.message);
        }
    }
}

#[test]
fn the_operation_that_fails_is_named() {
    let patch = json!([{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}]);
    let refusal = applied(json!({}), &patch).unwrap_err();
    assert_eq!(refusal.code, Code::PatchConflict);
    assert!(refusal.message.contains("operation '/1' failed at path '/b'"), "{}", refusal.message);
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
