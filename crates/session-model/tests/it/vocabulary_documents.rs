//! The documents that are made from the table of record types: the JSON Schema and the tables of
//! `docs/RECORDS.md`. `UPDATE_RECORDS=1` writes them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;
use session_model::records::{Common, Field, Kind, Log, RecordType, schema};
use session_model::tools;

fn document(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

/// Compares a document with what it should be, or writes it.
fn check(name: &str, expected: &str) {
    let path = document(name);
    if std::env::var_os("UPDATE_RECORDS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == expected,
        "docs/{name} is not what the table says: run `UPDATE_RECORDS=1 cargo test -p session-model --test it vocabulary`"
    );
}

#[test]
fn the_committed_schema_is_that_of_the_table() {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap();
    text.push('\n');
    check("records.schema.json", &text);
}

#[test]
fn the_tables_of_the_document_are_those_of_the_code() {
    let mut text = std::fs::read_to_string(document("RECORDS.md")).unwrap();
    for (name, table) in [
        ("common", fields(Common::fields(), &[])),
        ("types", types()),
        ("fields", all_fields()),
        ("tools", tool_table()),
    ] {
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let start = text.find(&open).unwrap() + open.len();
        let end = text.find(&close).unwrap();
        text.replace_range(start..end, &format!("\n{table}\n"));
    }
    check("RECORDS.md", &text);
}

fn fields(fields: &[Field], common: &[&str]) -> String {
    let mut table = "| Field | Kind | Meaning |\n|---|---|---|\n".to_owned();
    for name in common {
        let field = Common::fields()
            .iter()
            .find(|field| field.name == *name)
            .unwrap();
        writeln!(
            table,
            "| `{name}` | {} | {} |",
            kind(field.kind),
            field.about
        )
        .unwrap();
    }
    for field in fields {
        let mark = if field.is_required || common.contains(&field.name) {
            ""
        } else {
            "?"
        };
        writeln!(
            table,
            "| `{}`{mark} | {} | {} |",
            field.name,
            kind(field.kind),
            field.about
        )
        .unwrap();
    }
    table
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::OneOf(names) => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
        kind => kind.to_string(),
    }
}

fn types() -> String {
    let mut table = "| Type | Log | Counter | Meaning |\n|---|---|---|---|\n".to_owned();
    for kind in RecordType::ALL {
        let log = match kind.log() {
            Log::Said => "responses",
            Log::Done => "actions",
            Log::Either => "either",
        };
        let counter = kind.metric().map_or("", |metric| metric.as_str());
        writeln!(
            table,
            "| `{}` | {log} | {counter} | {} |",
            kind.name(),
            kind.about()
        )
        .unwrap();
    }
    table
}

fn all_fields() -> String {
    let mut text = String::new();
    for kind in RecordType::ALL {
        let table = fields(kind.fields(), kind.required_common());
        writeln!(text, "### `{}`\n\n{table}", kind.name()).unwrap();
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn tool_table() -> String {
    let mut table = "| Agents | Type | Tools |\n|---|---|---|\n".to_owned();
    for (agents, names) in tools::rows() {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut shown = list(agents);
        for kind in RecordType::ALL.iter().filter_map(|kind| kind.call_type()) {
            let of_kind: Vec<_> = names
                .iter()
                .copied()
                .filter(|tool| tools::call_type(agents[0], tool) == kind)
                .collect();
            if !of_kind.is_empty() {
                writeln!(
                    table,
                    "| {shown} | `{}` | {} |",
                    kind.name(),
                    list(&of_kind)
                )
                .unwrap();
                shown.clear();
            }
        }
    }
    table
}

#[test]
fn every_reference_of_the_schema_leads_to_a_definition() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(
                    fields
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                fields.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let schema = schema();
    let mut references = Vec::new();
    walk(&schema, &mut references);
    assert!(references.len() > RecordType::ALL.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(pointer).is_some(), "{reference}");
    }
}
