//! What `post create --check` shows: a verdict for each target, its length, what it costs, what would be
//! sent.

use super::error::{CliError, Outcome};
use super::render::{Cell, Paint, Ui, clean, clean_line, table_width};
use crate::control::messages as m;
use crate::control::preview;

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
            for (_, text) in preview::lines(&it.preview) {
                for line in clean(&text).lines() {
                    ui.line(&format!("  │ {line}"))?;
                }
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
}
