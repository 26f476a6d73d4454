//! `/docs`: the description as one page. Made here, so that it needs no script, no font and no
//! other host: its policy allows a style sheet of the same origin and nothing else.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::json;

/// What the page may load: its style sheet.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";

/// The style sheet.
pub const STYLE: &str = include_str!("page.css");

static PAGE: LazyLock<String> =
    LazyLock::new(|| page(&serde_json::from_str(json()).expect("the description is JSON")));

/// The page.
pub fn html() -> &'static str {
    &PAGE
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Text with `code` in it, and paragraphs.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        out.push_str("<p>");
        for (n, part) in escaped(paragraph).split('`').enumerate() {
            out.push_str(match n {
                0 => "",
                n if n % 2 == 1 => "<code>",
                _ => "</code>",
            });
            out.push_str(part);
        }
        out.push_str("</p>");
    }
    out
}

fn fields<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value[key].as_object().into_iter().flatten()
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

macro_rules! put {
    ($out:expr, $($text:tt)+) => { write!($out, $($text)+).expect("writing to a String cannot fail") };
}

fn page(document: &Value) -> String {
    let title = text(&document["info"], "title");
    let version = text(&document["info"], "version");
    let mut out = String::new();
    put!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{0} API</title>\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>\
         <header><h1>{0} <small>{1}</small></h1>{2}<p><a href=\"/openapi.json\">openapi.json</a> · \
         <a href=\"/llms.txt\">llms.txt</a></p></header>",
        escaped(title),
        escaped(version),
        prose(text(&document["info"], "description"))
    );
    let operations = operations(document);
    navigation(&mut out, document, &operations);
    out.push_str("<main>");
    for tag in items(document, "tags") {
        let name = text(tag, "name");
        put!(
            out,
            "<section><h2>{}</h2>{}",
            escaped(name),
            prose(text(tag, "description"))
        );
        operations
            .iter()
            .filter(|o| o.2["tags"][0] == name)
            .for_each(|o| operation(&mut out, o));
        out.push_str("</section>");
    }
    out.push_str("<section><h2>shapes</h2>");
    fields(&document["components"], "schemas")
        .for_each(|(name, schema)| shape(&mut out, name, schema));
    out.push_str("</section></main></body></html>\n");
    out
}

/// Method, path and operation.
type Operation<'v> = (String, &'v str, &'v Value);

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let of_path = |(path, item): (&'_ String, &'_ Value)| {
        let operations: &Map<String, Value> = item.as_object()?;
        // The document outlives the iterator: names are taken from it again.
        Some((path.clone(), operations.keys().cloned().collect::<Vec<_>>()))
    };
    let named: Vec<(String, Vec<String>)> = fields(document, "paths").filter_map(of_path).collect();
    let paths = document["paths"].as_object();
    named
        .into_iter()
        .flat_map(|(path, methods)| {
            let (path, item) = paths
                .and_then(|paths| paths.get_key_value(&path))
                .expect("was listed above");
            methods
                .into_iter()
                .map(move |m| (m.to_ascii_uppercase(), path.as_str(), &item[&m]))
        })
        .collect()
}

fn navigation(out: &mut String, document: &Value, operations: &[Operation<'_>]) {
    out.push_str("<nav>");
    for tag in items(document, "tags") {
        put!(out, "<h2>{}</h2><ul>", escaped(text(tag, "name")));
        for (method, path, operation) in operations.iter().filter(|o| o.2["tags"][0] == tag["name"])
        {
            let id = text(operation, "operationId");
            put!(
                out,
                "<li><a href=\"#{id}\"><b class=\"{method}\">{method}</b> {}</a></li>",
                escaped(path)
            );
        }
        out.push_str("</ul>");
    }
    out.push_str("</nav>");
}

fn operation(out: &mut String, (method, path, operation): &Operation<'_>) {
    let id = text(operation, "operationId");
    put!(
        out,
        "<article id=\"{id}\"><h3><b class=\"{method}\">{method}</b> <code>{}</code></h3>{}{}",
        escaped(path),
        prose(text(operation, "summary")),
        prose(text(operation, "description"))
    );
    if operation["parameters"].is_array() {
        out.push_str("<h4>Parameters</h4><table>");
        for parameter in items(operation, "parameters") {
            let name = escaped(text(parameter, "name"));
            let place = text(parameter, "in");
            let about = prose(text(parameter, "description"));
            let kind = kind(&parameter["schema"]);
            put!(
                out,
                "<tr><td><code>{name}</code></td><td>{place}</td><td>{kind}</td><td>{about}</td></tr>"
            );
        }
        out.push_str("</table>");
    }
    for (media, content) in fields(&operation["requestBody"], "content") {
        put!(
            out,
            "<h4>Body <code>{}</code>: {}</h4>",
            escaped(media),
            kind(&content["schema"])
        );
        if !content["example"].is_null() {
            put!(
                out,
                "<pre>{}</pre>",
                escaped(&content["example"].to_string())
            );
        }
    }
    out.push_str("<h4>Answers</h4><table>");
    fields(operation, "responses").for_each(|(status, answer)| response(out, status, answer));
    out.push_str("</table></article>");
}

fn response(out: &mut String, status: &str, response: &Value) {
    let kinds: Vec<String> = fields(response, "content")
        .map(|(media, content)| {
            format!(
                "<code>{}</code>: {}",
                escaped(media),
                kind(&content["schema"])
            )
        })
        .collect();
    let about = prose(text(response, "description"));
    put!(
        out,
        "<tr><td>{status}</td><td>{about}</td><td>{}</td></tr>",
        kinds.join("<br>")
    );
}

fn shape(out: &mut String, name: &str, schema: &Value) {
    put!(
        out,
        "<article id=\"{name}\"><h3>{name}</h3>{}",
        prose(text(schema, "description"))
    );
    if schema["enum"].is_array() {
        let words: Vec<String> = items(schema, "enum")
            .filter_map(Value::as_str)
            .map(|w| format!("<code>{w}</code>"))
            .collect();
        put!(out, "<p>{}</p>", words.join(" · "));
    }
    if schema["properties"]
        .as_object()
        .is_some_and(|properties| !properties.is_empty())
    {
        out.push_str("<table>");
        for (field, property) in fields(schema, "properties") {
            let needed = items(schema, "required").any(|required| required == field.as_str());
            let mark = if needed { "always" } else { "" };
            let about = prose(text(property, "description"));
            let field = escaped(field);
            let kind = kind(property);
            put!(
                out,
                "<tr><td><code>{field}</code></td><td>{kind}</td><td>{mark}</td><td>{about}</td></tr>"
            );
        }
        out.push_str("</table>");
    }
    out.push_str("</article>");
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    for several in ["allOf", "oneOf", "anyOf"] {
        if schema[several].is_array() {
            let kinds: Vec<String> = items(schema, several)
                .map(kind)
                .filter(|kind| kind != "object")
                .collect();
            return kinds.join(if several == "allOf" { " " } else { " or " });
        }
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => escaped(name),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::app::endpoints::ENDPOINTS;

    #[test]
    fn the_page_shows_every_route_and_its_links_lead_somewhere() {
        let page = html();
        for endpoint in ENDPOINTS {
            let method = endpoint.method;
            let path = endpoint.path;
            let head = format!("<h3><b class=\"{method}\">{method}</b> <code>{path}</code></h3>");
            assert!(page.contains(&head), "{method} {path}");
        }
        for anchor in page
            .split("href=\"#")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            assert!(page.contains(&format!("id=\"{anchor}\"")), "#{anchor}");
        }
    }

    #[test]
    fn the_page_needs_no_script_no_inline_style_and_no_other_host() {
        let page = html();
        for absent in ["<script", "style=", "onclick", "http:", "https:", "//"] {
            let without_doctype = &page["<!doctype html>".len()..];
            assert!(!without_doctype.contains(absent), "{absent}");
        }
        for absent in ["url(", "@import", "http"] {
            assert!(!STYLE.contains(absent), "{absent}");
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            prose("a <b> `x<y` & c"),
            "<p>a &lt;b&gt; <code>x&lt;y</code> &amp; c</p>"
        );
    }
}
