//! Properties of redaction for any document: JSON stays JSON, text that is not secret stays byte
//! for byte, redacting again changes nothing, and no document takes long.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use session_redact::{Key, Redactor, count};

use crate::cost::{assert_linear, cost_of};
use crate::redaction::{Draw, planted, redactor};
use crate::redaction_places::places;
use crate::redaction_providers::{TOKENS, drawn};

/// Texts that contain what detectors look for: whole, in parts and out of order.
fn text() -> impl Strategy<Value = String> {
    let draw = &mut Draw(9);
    let known = planted(draw)
        .into_iter()
        .chain(places(draw))
        .map(|planted| planted.text);
    let tokens: Vec<String> = TOKENS.iter().map(|(_, spec)| drawn(draw, spec)).collect();
    let hidden = tokens.iter().map(|token| {
        let (head, tail) = token.split_at(token.len() / 2);
        [head, tail].join(["\u{200b}", "\u{1b}[31m", "\u{ad}\u{feff}", "\\u200b"][token.len() % 4])
    });
    let planted: Vec<String> = known.chain(hidden).chain(tokens.iter().cloned()).collect();
    let parts = [
        "password=",
        "\"token\": \"",
        "Bearer ",
        "://u:",
        "@host",
        "-----BEGIN RSA PRIVATE KEY-----",
        "sk-",
        "eyJ",
        ".",
        "[redacted:jwt:01234567]",
        "[redacted:",
        "\\",
        "\\u0041",
        "\"",
        "\n",
        "ü😀",
        " ",
        "a1B2c3D4e5F6g7H8",
        "AKIA",
        ":AA",
        "\u{200b}",
        "\u{1b}[1;31m",
        "\\u001b[0m",
        "\\u200b",
        "Cookie: a=",
        "curl -u me:",
        " -p",
        "mysql ",
        "sshpass -p ",
        "machine h login u password ",
        "- name: DB_PASSWORD\n  value: ",
        "| password | ",
        "\n|---|---|\n",
        "'",
        " | ",
        ";",
    ];
    let part = prop_oneof![
        2 => proptest::sample::select(planted),
        5 => proptest::sample::select(parts.map(str::to_owned).to_vec()),
        2 => any::<String>(),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null)
    ];
    let message = [
        "name",
        "value",
        "key",
        "password",
        "cookie",
        "mysql",
        "--password",
        "-p",
        "curl",
        "-u",
    ];
    let word = prop_oneof![2 => text(), 3 => proptest::sample::select(message.map(str::to_owned).to_vec())];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(word.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((word.clone(), word.clone()), 0..4).prop_map(|fields| fields
                .into_iter()
                .map(|(key, value)| (key, Value::from(value)))
                .collect()),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same document with every character of every text escaped.
fn escaped(value: &Value) -> String {
    let quoted = |text: &str| {
        let units: Vec<String> = text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04X}"))
            .collect();
        format!("\"{}\"", units.concat())
    };
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(escaped).collect::<Vec<_>>().join(",")
        ),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), escaped(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn stored(document: &str) -> String {
    let after = redactor().json(document.as_bytes()).redacted;
    after.map_or_else(
        || document.to_owned(),
        |after| String::from_utf8(after).unwrap(),
    )
}

/// Whether the documents are equal except for strings that contain placeholders after redaction.
fn differ_only_by_tags(before: &Value, after: &Value) -> bool {
    let same = |before: &str, after: &str| before == after || count(after.as_bytes()) > 0;
    match (before, after) {
        (Value::String(before), Value::String(after)) => same(before, after),
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|(b, a)| differ_only_by_tags(b, a))
        }
        (Value::Object(before), Value::Object(after)) => {
            let pair = |((k, b), (l, a)): ((&String, &Value), (&String, &Value))| {
                same(k, l) && differ_only_by_tags(b, a)
            };
            // Two keys that contained the same secret are now one key.
            before.len() != after.len() || before.iter().zip(after).all(pair)
        }
        _ => before == after,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn json_stays_json_and_doing_it_again_changes_nothing(value in document(), escape in any::<bool>()) {
        let before = if escape { escaped(&value) } else { value.to_string() };
        let after = stored(&before);
        let read: Value = serde_json::from_str(&after).expect("still JSON");
        prop_assert!(differ_only_by_tags(&value, &read), "{} became {}", before, after);
        prop_assert_eq!(stored(&after), after);
    }

    #[test]
    fn a_batch_is_screened_as_its_lines_are(values in proptest::collection::vec(document(), 0..5)) {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        let batch = lines.join("\n");
        let screened = redactor().lines(batch.as_bytes()).redacted.unwrap_or_else(|| batch.clone().into_bytes());
        let each: Vec<String> = lines.iter().map(|line| stored(line)).collect();
        prop_assert_eq!(String::from_utf8(screened).unwrap(), each.join("\n"));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in text()) {
        let mixed = [&bytes[..], text.as_bytes(), &bytes[..]].concat();
        redactor().json(&mixed);
        redactor().lines(&mixed);
        redactor().text(&String::from_utf8_lossy(&mixed));
    }
}

/// The placeholder stands behind what is judged of a value.
#[test]
fn what_the_redaction_of_a_long_value_left_stays() {
    let drawn = "5aIrLmB50l9haJeLacg0".repeat(7);
    for before in [
        format!(r#"{{"password":"{drawn}[redacted:private_key:2939ebe0]"}}"#),
        format!(r#"{{"text":"password={drawn}[redacted:private_key:2939ebe0]"}}"#),
    ] {
        assert_eq!(stored(&before), before);
    }
    let before = format!(r#"{{"password":"{drawn}"}}"#);
    assert!(stored(&before).starts_with(r#"{"password":"[redacted:"#));
}

#[test]
fn every_byte_around_a_secret_stays_as_it_was_written() {
    let secret = format!("gh{}_{}", "p", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let before =
        format!(r#"{{ "a" : "é\u00e9\/ {secret} \ud83d\ude00\n", "b":1.50e+3 , "c":"\u0041"}}"#);
    let after = stored(&before);
    let (head, tail) = before.split_once(&secret).unwrap();
    assert!(after.starts_with(head) && after.ends_with(tail), "{after}");
    assert!(
        after[head.len()..].starts_with("[redacted:github_token:"),
        "{after}"
    );
}

/// The detectors stop at limits of their own, even if these are within a character.
#[test]
fn what_is_longer_than_any_detector_reads_stays_text() {
    let drawn = "aZ3kd92mXq0Lw8Rt".repeat(9);
    for before in [
        "curl -u me:",
        "password='",
        "Cookie: a=",
        "sshpass -p ",
        "mysql -p'",
        "postgres://u:",
        "| password | ",
    ] {
        for (shift, letter) in [
            (0, "ü"),
            (1, "ü"),
            (0, "€"),
            (1, "€"),
            (2, "€"),
            (3, "\u{1f600}"),
            (2, "\u{1f600}"),
        ] {
            let text = format!(
                "{before}{drawn}{}{}'",
                "x".repeat(shift),
                letter.repeat(40_000)
            );
            for text in [
                text.clone(),
                text.replace(' ', "  "),
                format!("{}{text}", "y ".repeat(7)),
            ] {
                let after = stored(&json!([text]).to_string());
                serde_json::from_str::<Value>(&after).expect("still JSON");
                assert_eq!(stored(&after), after, "{before}");
            }
        }
    }
}

#[test]
fn the_same_secret_has_the_same_tag_under_one_key_and_another_under_another() {
    let document = json!({"password": "hunter2hunter2"}).to_string();
    let with = |key| {
        Redactor::new(Key::new([key; 16]))
            .json(document.as_bytes())
            .redacted
            .unwrap()
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
    let path = redactor()
        .text("sk-ant-api03-aZ3kd92mXq0Lw8Rt5Yb7Nc1Vh4Jf6Gs")
        .into_owned();
    let body = stored(&json!(["sk-ant-api03-aZ3kd92mXq0Lw8Rt5Yb7Nc1Vh4Jf6Gs"]).to_string());
    assert_eq!(format!("[\"{path}\"]"), body);
}

#[test]
fn the_lines_of_a_key_block_in_an_array_go_one_by_one() {
    let line = "MIIEowIBAAKCAQEA".repeat(4);
    let document = json!([
        "-----BEGIN PRIVATE KEY-----",
        line,
        line[..20],
        "-----END PRIVATE KEY-----",
        "after"
    ]);
    let after: Value = serde_json::from_str(&stored(&document.to_string())).unwrap();
    assert!(
        after[1]
            .as_str()
            .unwrap()
            .starts_with("[redacted:private_key:"),
        "{after}"
    );
    assert!(
        after[2]
            .as_str()
            .unwrap()
            .starts_with("[redacted:private_key:"),
        "{after}"
    );
    assert_eq!(after[0], document[0]);
    assert_eq!(after[4], document[4]);
}

#[test]
fn the_cost_grows_with_a_document_no_faster_than_its_length() {
    let parts = [
        "sk-",
        "sk-ant-",
        "eyJ",
        "eyJ.",
        ".eyJa",
        "password=",
        "token:",
        "://a:",
        "://",
        "@",
        "\\u0041",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "MIIEMIIEMIIEMIIEMIIEMIIEMIIEMIIEMIIEMIIEMIIEMIIE",
        "[redacted:",
        "[redacted:jwt:01234567]",
        "Bearer ",
        "basic ",
        "A",
        "_key",
        "AKIA",
        "ghp_",
        "123456789:AA",
        "\\\\",
        "password=hunter2hunter2 ",
        "\"password\":\"hunter2hunter2\",",
        "hooks.slack.com/services/T",
        "xoxb-1",
        "\\u001b[31m",
        "\\\\u001b[31ma",
        "a\u{200b}",
        "a\\u200b",
        "Cookie: a=b; ",
        "Cookie",
        "curl -u ",
        "curl '",
        "mysql -p",
        "login ",
        "docker login -p x",
        "machine a login b password ",
        "name: DB_PASSWORD ",
        "\"name\":\"DB_PASSWORD\",",
        "\"value\":\"a\",",
        "{\"value\":\"a\",\"name\":\"password\"},",
        "\"-u\",",
        "| password ",
        "| a | b |\\n",
        "a.b-c_",
        "x2Yz+/",
        "1|2:3$",
    ];
    let mut draw = Draw(3);
    let pairs = (0..150).map(|n| {
        (
            parts[n % parts.len()],
            if n < parts.len() {
                ""
            } else {
                parts[draw.below(parts.len())]
            },
        )
    });
    for (first, second) in pairs {
        let cost = |bytes: usize| {
            let text = [first, second]
                .concat()
                .repeat(bytes / (first.len() + second.len()));
            let document = format!("{{\"x\":\"{text}\"}}");
            cost_of(|| {
                redactor().json(document.as_bytes());
                redactor().lines(document.as_bytes());
            })
        };
        assert_linear(&format!("{first} {second}"), || (cost(8_000), cost(64_000)));
    }
}

#[test]
fn a_batch_costs_what_its_lines_cost() {
    // Each line has a sign of a secret, and most contain none.
    for line in [
        "{\"x\":\"docker login -p x\"}",
        "{\"x\":\"password=hunter2hunter2\"}",
        "{\"x\":\"a\\u0041b\"}",
        "{\"name\":\"DB_PASSWORD\",\"x\":1}",
        "{\"x\":\"Cookie: a=b; c=d\"}",
        "{\"x\":\"a\u{200b}b\"}",
    ] {
        let cost = |lines: usize| {
            let batch = [line, "\n"].concat().repeat(lines);
            cost_of(|| drop(redactor().lines(batch.as_bytes())))
        };
        assert_linear(line, || (cost(400), cost(3200)));
    }
}

#[cfg(feature = "custom-rules")]
mod custom {
    use super::*;
    use session_redact::Rules;

    fn rules(written: Value) -> Result<Rules, String> {
        Rules::read(written).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_of_ones_own_are_applied_beside_the_built_in_ones() {
        let written = json!({"rules": [
            {"name": "acme_key", "pattern": "acme-(?<secret>[0-9a-f]{8})", "keywords": ["ACME-"]},
            {"name": "badge", "pattern": "\\bB[0-9]{6}\\b", "keywords": ["b1", "b2"]},
        ]});
        let redactor = Redactor::with_rules(Key::new([7; 16]), rules(written).unwrap().into());
        let lines = "{\"a\":\"acme-0011aabb\"}\n{\"b\":\"nothing\"}\n{\"c\":\"\\u0042123456 password=hunter2hunter2\"}\n";
        let after = String::from_utf8(redactor.lines(lines.as_bytes()).redacted.unwrap()).unwrap();
        assert!(
            after.starts_with("{\"a\":\"acme-[redacted:acme_key:"),
            "{after}"
        );
        assert!(
            after.contains("\n{\"b\":\"nothing\"}\n{\"c\":\"[redacted:badge:"),
            "{after}"
        );
        assert!(after.contains(" password=[redacted:password:"), "{after}");
        assert_eq!(redactor.lines(after.as_bytes()).redacted, None);
    }

    #[test]
    fn a_rule_without_keywords_is_tried_on_everything() {
        let written = json!({"rules": [{"name": "pin", "pattern": "PIN [0-9]{4}"}]});
        let redactor = Redactor::with_rules(Key::new([7; 16]), rules(written).unwrap().into());
        let after = redactor.json(br#"{"x":"PIN 1234"}"#).redacted.unwrap();
        assert!(
            String::from_utf8(after)
                .unwrap()
                .starts_with("{\"x\":\"[redacted:pin:")
        );
        assert_eq!(redactor.json(br#"{"x":"PIN"}"#).redacted, None);
    }

    #[test]
    fn a_rule_that_cannot_be_used_is_named() {
        for (rule, named) in [
            (json!({"name": "Bad Name", "pattern": "x"}), "`Bad Name`"),
            (json!({"name": "open", "pattern": "("}), "`open`"),
            (json!({"name": "nothing", "pattern": "x*"}), "`nothing`"),
            (
                json!({"name": "blank", "pattern": "x", "keywords": [""]}),
                "`blank`",
            ),
            (
                json!({"name": "huge", "pattern": "[\\w]{1,5000}{5000}"}),
                "`huge`",
            ),
            (json!({"name": "a"}), "pattern"),
            (json!({"name": "a", "pattern": "x", "more": 1}), "more"),
        ] {
            let error = rules(json!({"rules": [rule]})).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        assert!(rules(json!({"rule": []})).unwrap_err().contains("rule"));
    }
}
