//! What would be sent, in words: for the command line and the console alike. Nothing is cleaned here: whoever
//! shows it does that.

use serde_json::{Map, Value};

/// What a line of a preview is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The request's own name: `POST /2/tweets`.
    Request,
    /// Words of the post, as they stand; they may be several lines.
    Text,
    /// What goes with them.
    Field,
}

/// Each request, its text as it stands, and whatever goes with it. `sent`: a check's `preview`.
pub fn lines(sent: &Value) -> Vec<(Part, String)> {
    let mut out = Vec::new();
    for request in sent.as_array().into_iter().flatten().filter_map(Value::as_object) {
        let body = request.get("body").and_then(Value::as_object);
        let fields = request.iter().filter(|it| it.0 != "body").chain(body.into_iter().flatten());
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("request", Value::String(text)) => out.push((Part::Request, text.clone())),
                ("text" | "commentary", Value::String(text)) => out.push((Part::Text, text.clone())),
                (name, value) => field(name, value, 0, &mut out),
            }
        }
    }
    if let Value::String(text) = sent {
        out.push((Part::Text, text.clone()));
    }
    out
}

/// A field on a line of its own; what has fields itself is a block under its name, however deep.
fn field(name: &str, value: &Value, depth: usize, out: &mut Vec<(Part, String)>) {
    let indent = "  ".repeat(depth);
    match value.as_object().filter(|it| head(it).is_none() && !is_one_word(it)) {
        Some(fields) => {
            out.push((Part::Field, format!("{indent}{}:", named(name))));
            for (name, value) in fields {
                field(name, value, depth + 1, out);
            }
        }
        None => out.push((Part::Field, format!("{indent}{}: {}", named(name), worded(value)))),
    }
}

/// What an object is called by: a file, a name or a text.
fn head(map: &Map<String, Value>) -> Option<(&String, &Value)> {
    ["file", "name", "text", "id"].iter().find_map(|it| map.get_key_value(*it))
}

/// One field alone, which has none itself.
fn is_one_word(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.values().all(|it| !it.is_object())
}

/// A field's name in words: `reply_settings` and `replySettings` are `reply settings`.
fn named(field: &str) -> String {
    let mut out = String::with_capacity(field.len() + 4);
    for it in field.chars() {
        match it {
            '_' => out.push(' '),
            it if it.is_ascii_uppercase() => {
                out.push(' ');
                out.push(it.to_ascii_lowercase());
            }
            it => out.push(it),
        }
    }
    out
}

/// A value in words: a text as it stands, a list with commas, a file by its name and what it shows.
fn worded(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "yes" } else { "no" }.to_owned(),
        Value::Array(all) => all.iter().map(worded).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let head = head(map);
            let is_said = |it: &Value| !it.is_null() && it.as_str() != Some("");
            let rest = map.iter().filter(|(key, value)| head.is_none_or(|it| it.0 != *key) && is_said(value));
            let rest: Vec<String> =
                rest.map(|(key, value)| format!("{} {}", named(key), worded(value))).collect();
            match (head, rest.is_empty()) {
                (Some((_, head)), true) => worded(head),
                (Some((_, head)), false) => format!("{} ({})", worded(head), rest.join(", ")),
                (None, _) => rest.join(", "),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_preview_shows_each_request_with_its_text_and_what_goes_with_it() {
        let sent = json!([
            { "request": "POST /2/tweets", "body": { "text": "one\ntwo", "reply_settings": "following" } },
            { "request": "POST /xrpc/put", "text": "three", "images": ["oven.jpg"] },
            { "request": "POST /rest/posts", "commentary": "four", "isReshareDisabledByAuthor": false },
            { "request": "POST /z", "made_with_ai": true,
              "media": [{ "file": "a.mp4", "alt": "" }, { "file": "b.jpg", "alt": "A loaf" }] },
            { "request": "POST /deep", "content": { "poll": { "question": "Which?",
              "options": [{ "text": "Rye" }, { "text": "Spelt" }], "settings": { "duration": "ONE_DAY" } } } },
        ]);
        let shown = "POST /2/tweets\none\ntwo\nreply settings: following\n\
                     POST /xrpc/put\nthree\nimages: oven.jpg\n\
                     POST /rest/posts\nfour\nis reshare disabled by author: no\n\
                     POST /z\nmade with ai: yes\nmedia: a.mp4, b.jpg (alt A loaf)\n\
                     POST /deep\ncontent:\n\x20 poll:\n\x20   question: Which?\n\
                     \x20   options: Rye, Spelt\n\x20   settings: duration ONE_DAY\n";
        let told = |sent: &Value| lines(sent).into_iter().map(|it| it.1 + "\n").collect::<String>();
        assert_eq!(told(&sent), shown);
        let parts: Vec<_> = lines(&sent).into_iter().take(3).map(|it| it.0).collect();
        assert_eq!(parts, [Part::Request, Part::Text, Part::Field]);
        assert_eq!(told(&"plain".into()), "plain\n");
        assert_eq!(told(&Value::Null), "");
    }
}
