//! What `post create --check` shows: a verdict for each target, its length, what it costs, what would be
//! sent.

use super::error::{CliError, Outcome};
use super::render::{Cell, Paint, Ui, clean, clean_line, table_width};
use crate::control::messages as m;

/// What each network would get; exit 1 when one would refuse it.
pub(super) fn show_check(check: &m::Check, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(check)?;
    } else {
        if check.targets.len() > 1 {
            table(check, ui)?;
        }
        for it in &check.targets {
            let head = if check.targets.len() > 1 {
                clean_line(&it.account)
            } else {
                let state = if it.ok { ui.paint(Paint::Green, "ok") } else { ui.paint(Paint::Red, "not ok") };
                format!("{}  {state}  {}", clean_line(&it.account), length(it))
            };
            ui.line(&head)?;
            if let Some(it) = &it.comment {
                let max = it.max.map_or_else(
                    || "; the network documents no limit".to_owned(),
                    |max| format!(" of {max} characters"),
                );
                let unit = if it.max.is_some() { "" } else { " characters" };
                ui.line(&format!("  first comment  {}{unit}{max}", it.used))?;
            }
            for problem in &it.problems {
                let field = clean_line(&problem.field);
                ui.line(&format!(
                    "  {} {field}: {}",
                    ui.paint(Paint::Red, "×"),
                    clean_line(&problem.message)
                ))?;
                if let Some(hint) = &problem.hint {
                    ui.line(&format!("    hint: {}", clean_line(hint)))?;
                }
            }
            for notice in &it.notices {
                ui.line(&format!("  {} {}", ui.paint(Paint::Dim, "·"), clean_line(notice)))?;
            }
            if let Some(usd) = &it.cost_usd {
                let of = |it: &m::Cost| format!("{} × {} {}", it.count, clean_line(&it.what), it.usd);
                let parts: Vec<String> = it.costs.iter().map(of).collect();
                ui.line(&format!("  cost  {usd} USD  ({})", parts.join(", ")))?;
            }
            for line in preview(&it.preview).lines() {
                ui.line(&format!("  │ {line}"))?;
            }
        }
        let costly = check.targets.iter().filter(|it| it.cost_usd.is_some()).count();
        if let (Some(usd), 2..) = (&check.cost_usd, costly) {
            ui.line(&format!("all together  {usd} USD"))?;
        }
    }
    Ok(u8::from(!check.ok))
}

fn length(it: &m::CheckTarget) -> String {
    if it.length.max == 0 {
        return "no text travels".to_owned();
    }
    format!("{} of {} {}", it.length.used, it.length.max, clean_line(&it.length.unit))
}

/// What a terminal of the usual size takes on a line.
const COLUMNS: usize = 80;

/// All targets at a glance; what is wrong, and what would be sent, stands below. What becomes of the files
/// and why a target would refuse the post are columns where the line has room for them, and otherwise
/// stand under each target.
fn table(check: &m::Check, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    let files = check.targets.iter().any(|it| !it.files.is_empty());
    let costs = check.targets.iter().any(|it| it.cost_usd.is_some());
    let refused = check.targets.iter().any(|it| !it.ok);
    let columns = [
        ("TARGET", true),
        ("", true),
        ("LENGTH", true),
        ("COST", costs),
        ("FILES", files),
        ("WHY NOT", refused),
    ];
    let rows = |columns: &[(&str, bool)]| -> Vec<Vec<Cell>> {
        let shown = |it: &m::CheckTarget| {
            cells(it).into_iter().zip(columns).filter(|it| it.1.1).map(|it| it.0).collect()
        };
        check.targets.iter().map(shown).collect()
    };
    let headings = |columns: &[(&'static str, bool)]| -> Vec<&str> {
        columns.iter().filter(|it| it.1).map(|it| it.0).collect()
    };
    let (wide, narrow) = (&columns[..], &columns[..4]);
    let at_once = rows(wide);
    if table_width(&headings(wide), &at_once) <= COLUMNS {
        ui.table(&headings(wide), &at_once)?;
    } else {
        let indent =
            check.targets.iter().map(|it| clean_line(&it.account).chars().count()).max().unwrap_or(0);
        let below: Vec<Vec<String>> =
            check.targets.iter().map(|it| below(it, COLUMNS.saturating_sub(indent + 2))).collect();
        ui.table_over(&headings(narrow), &rows(narrow), &below)?;
    }
    ui.line("")
}

/// A target's row of the table.
fn cells(it: &m::CheckTarget) -> [Cell; 6] {
    let verdict = if it.ok { Cell::painted("ok", Paint::Green) } else { Cell::painted("not ok", Paint::Red) };
    let long = it.length.used > it.length.max;
    let length = length(it);
    let length = if long { Cell::painted(length, Paint::Red) } else { Cell::new(length) };
    let cost = it.cost_usd.as_ref().map_or_else(|| "free".to_owned(), |usd| format!("{usd} USD"));
    [
        Cell::new(&it.account),
        verdict,
        length,
        Cell::new(cost),
        Cell::new(files_of(it)),
        Cell::new(why_not(it)),
    ]
}

/// What stands under a target where the line has no room for it, in lines of so many places.
fn below(it: &m::CheckTarget, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if !it.files.is_empty() {
        lines.extend(folded("files    ", &clean_line(&files_of(it)), "; ", width));
    }
    if !it.problems.is_empty() {
        lines.extend(folded("why not  ", &clean_line(&why_not(it)), ", ", width));
    }
    lines
}

/// A list behind its name, in as many lines as it needs, cut between its items alone.
fn folded(name: &str, list: &str, between: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = name.to_owned();
    for (n, item) in list.split(between).enumerate() {
        if n > 0 {
            line += between.trim_end();
            if line.chars().count() + 1 + item.chars().count() > width {
                lines.push(std::mem::replace(&mut line, " ".repeat(name.len())));
            } else {
                line.push(' ');
            }
        }
        line += item;
    }
    lines.push(line);
    lines
}

/// What is impossible, in the stable words of the problems: each once. The sentences stand below.
fn why_not(it: &m::CheckTarget) -> String {
    let mut words: Vec<String> = Vec::new();
    for problem in &it.problems {
        let word = clean_line(&problem.code).replace('_', " ");
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

/// What becomes of the files, in as few words as will do.
fn files_of(it: &m::CheckTarget) -> String {
    let words: Vec<String> = it
        .files
        .iter()
        .filter_map(|file| match (file.verdict.as_str(), &file.becomes) {
            ("as_it_is", _) => None,
            (_, Some(becomes)) => Some(format!("{} to {}", file.name, becomes)),
            _ => Some(format!("{} is not taken", file.name)),
        })
        .collect();
    match (it.files.len(), words.len()) {
        (0, _) => "-".into(),
        (1, 0) => "as it is".into(),
        (_, 0) => "as they are".into(),
        (all, some) if all > some => format!("{}; the rest as it is", words.join("; ")),
        _ => words.join("; "),
    }
}

/// What would be sent, for people: each request, its text as it stands, and whatever goes with it.
fn preview(sent: &serde_json::Value) -> String {
    use serde_json::Value;
    let mut out = String::new();
    let mut put = |line: &str| {
        out += &clean(line);
        out.push('\n');
    };
    for request in sent.as_array().into_iter().flatten().filter_map(Value::as_object) {
        let body = request.get("body").and_then(Value::as_object);
        let fields = request.iter().filter(|it| it.0 != "body").chain(body.into_iter().flatten());
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("request" | "text" | "commentary", Value::String(text)) => put(text),
                (name, value) => field(name, value, 0, &mut put),
            }
        }
    }
    if let Value::String(text) = sent {
        put(text);
    }
    out
}

/// A field on a line of its own; what has fields itself is a block under its name, however deep.
fn field(name: &str, value: &serde_json::Value, depth: usize, put: &mut impl FnMut(&str)) {
    let indent = "  ".repeat(depth);
    match value.as_object().filter(|it| head(it).is_none() && !is_one_word(it)) {
        Some(fields) => {
            put(&format!("{indent}{}:", named(name)));
            for (name, value) in fields {
                field(name, value, depth + 1, put);
            }
        }
        None => put(&format!("{indent}{}: {}", named(name), worded(value))),
    }
}

/// What an object is called by: a file, a name or a text.
fn head(map: &serde_json::Map<String, serde_json::Value>) -> Option<(&String, &serde_json::Value)> {
    ["file", "name", "text", "id"].iter().find_map(|it| map.get_key_value(*it))
}

/// One field alone, which has none itself.
fn is_one_word(map: &serde_json::Map<String, serde_json::Value>) -> bool {
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
fn worded(value: &serde_json::Value) -> String {
    use serde_json::Value;
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
    use super::*;

    #[test]
    fn a_list_is_cut_between_its_items_alone() {
        let list = "a.png to JPEG, 10×10; b.png is not taken; the rest as it is";
        assert_eq!(
            folded("files  ", list, "; ", 40),
            ["files  a.png to JPEG, 10×10;", "       b.png is not taken;", "       the rest as it is",]
        );
        assert_eq!(folded("files  ", list, "; ", 80), [format!("files  {list}")]);
        assert_eq!(folded("why  ", "media missing", ", ", 10), ["why  media missing"]);
    }

    #[test]
    fn a_preview_shows_each_request_with_its_text_and_what_goes_with_it() {
        let sent = serde_json::json!([
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
        assert_eq!(preview(&sent), shown);
        assert_eq!(preview(&"plain\u{1b}[2J".into()), "plain[2J\n");
        assert_eq!(preview(&serde_json::Value::Null), "");
    }
}
