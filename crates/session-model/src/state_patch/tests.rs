//! Merges are checked and applied in place: results equal those of building and checking the whole
//! document.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::merge;
use crate::timestamp::Timestamp;

/// Builds the next state as a whole, then checks it.
fn whole(state: &State, format: PatchFormat, data: &Map<String, Value>) -> Result<State, Refusal> {
    let mut next = state.doc().clone();
    match format {
        PatchFormat::DeepMerge => merge::deep_merge(&mut next, &without_own_keys(data.clone())),
        PatchFormat::MergePatch => {
            let patch = data["patch"].as_object().cloned().unwrap();
            merge::merge_patch(&mut next, &without_own_keys(patch));
        }
        PatchFormat::JsonPatch => unreachable!("no merge"),
    }
    state.check_successor(&next)?;
    Ok(State::with_doc(next))
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(1)),
        Just(json!("text")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"id": "g"}])),
        Just(json!([{"agentId": "a"}])),
        Just(json!(["a"])),
        Just(json!({"spawned": [{"agentId": "a"}], "active": [], "completed": ["a"]})),
    ];
    let key = prop_oneof![
        Just("spawned".to_owned()),
        Just("active".to_owned()),
        Just("completed".to_owned()),
        "[ab]",
    ];
    leaf.prop_recursive(2, 6, 3, move |inner| {
        prop::collection::vec((key.clone(), inner), 0..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    })
}

fn any_document() -> impl Strategy<Value = Map<String, Value>> {
    let keys = [
        "phase",
        "goals",
        "priorities",
        "agents",
        "mcp",
        "workspace",
        "errors",
        "version",
        "$schema",
        "own",
    ];
    prop::collection::vec((prop::sample::select(keys.to_vec()), any_value()), 0..6).prop_map(
        |fields| {
            fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_in_place_is_the_merge_of_the_whole(
        odd in any_document(), patch in any_document(), born in any::<bool>(), deep in any::<bool>(),
    ) {
        let mut doc =
            if born { State::at_creation(Timestamp::from_millis(0)).doc().clone() } else { Map::new() };
        doc.extend(odd);
        let mut state = State::with_doc(doc);
        let (format, data) = if deep {
            (PatchFormat::DeepMerge, patch)
        } else {
            (PatchFormat::MergePatch, Map::from_iter([("patch".to_owned(), Value::Object(patch))]))
        };
        let expected = whole(&state, format, &data);
        prop_assert_eq!(check(&state, format, &data), expected.clone().map(drop));
        let before = state.clone();
        prop_assert_eq!(apply(&mut state, format, &data), expected.clone().map(drop));
        let expected = expected.unwrap_or(before);
        prop_assert_eq!(serde_json::to_string(&state).unwrap(), serde_json::to_string(&expected).unwrap());
    }
}
