//! What each network says of what is written: lines for the compose screen, and for a sheet of their own
//! where that has too little room.

use super::app::App;
use super::effect::Trouble;
use super::look::Tone;
use super::text;
use crate::control::messages as m;
use crate::control::preview::{self, Part};

/// A line, not wrapped yet; `indent` stands before what goes on in a next one.
pub(crate) struct Line {
    pub(crate) tone: Tone,
    pub(crate) text: String,
    pub(crate) indent: &'static str,
}

fn line(tone: Tone, text: impl Into<String>, indent: &'static str) -> Line {
    Line { tone, text: text.into(), indent }
}

/// Length, problems with what mends them, what becomes of files, what it costs; with `previews` also what
/// would be sent. `cells` wide.
pub(crate) fn lines(app: &App, cells: usize, previews: bool) -> Vec<Line> {
    let it = &app.compose;
    let mut out = Vec::new();
    if let Some(trouble) = &it.error {
        out.push(line(Tone::Bad, format!("× {}", trouble.message), "  "));
        if trouble.problems.len() <= 1 {
            out.extend(remedy(trouble));
        }
    }
    if let Some((_, trouble)) = &it.unsaved
        && it.error.is_none()
    {
        out.push(line(Tone::Bad, format!("× not kept: {}", trouble.message), "  "));
    }
    if let Some(trouble) = it.bad_time() {
        out.push(line(Tone::Bad, format!("× When: {}", trouble.message), "  "));
        out.extend(remedy(trouble));
    }
    match &it.checked {
        None if it.to.is_empty() => {
            let said = "Choose who gets it, and every network says here what it makes of it.";
            out.push(line(Tone::Dim, said, ""));
        }
        None => {}
        Some((_, Err(trouble))) => {
            out.push(line(Tone::Bad, trouble.message.clone(), "  "));
            out.extend(remedy(trouble));
        }
        Some((_, Ok(check))) => {
            // All verdicts first: what is wrong must not push a network out of sight.
            out.extend(check.targets.iter().map(|it| verdict(it, cells)));
            for target in &check.targets {
                problems(&mut out, target);
            }
            if let Some(usd) = &check.cost_usd {
                out.push(line(Tone::Plain, format!("costs about {usd} USD"), ""));
            }
            if previews {
                for target in &check.targets {
                    preview(&mut out, target);
                }
            }
        }
    }
    out
}

/// What mends it.
fn remedy(trouble: &Trouble) -> Option<Line> {
    let told = |it: &String| line(Tone::Accent, format!("  {}", text::in_fields(it)), "  ");
    trouble.hint.as_ref().map(told)
}

fn verdict(it: &m::CheckTarget, cells: usize) -> Line {
    let (sign, tone) = if it.ok { ("✓", Tone::Good) } else { ("×", Tone::Bad) };
    let account = text::pad(&it.account, 24.min(cells / 3));
    let told = match it.length.max {
        0 => format!("{sign} {account} no text travels"),
        max => format!("{sign} {account} {} of {max} {}", it.length.used, it.length.unit),
    };
    line(tone, text::fit(&told, cells), "    ")
}

fn problems(out: &mut Vec<Line>, it: &m::CheckTarget) {
    for problem in &it.problems {
        let told = format!("× {}: {}: {}", it.account, problem.field, problem.message);
        out.push(line(Tone::Bad, told, "    "));
        if let Some(hint) = &problem.hint {
            out.push(line(Tone::Dim, format!("    {}", text::in_fields(hint)), "    "));
        }
    }
    for notice in &it.notices {
        out.push(line(Tone::Dim, format!("· {}: {notice}", it.account), "    "));
    }
}

/// What would be sent, in the words of `post create --check`.
fn preview(out: &mut Vec<Line>, it: &m::CheckTarget) {
    out.push(line(Tone::Plain, "", ""));
    out.push(line(Tone::Accent, format!("{} would get", it.account), ""));
    if let Some(usd) = &it.cost_usd {
        out.push(line(Tone::Plain, format!("for about {usd} USD"), ""));
    }
    for (part, text) in preview::lines(&it.preview) {
        let tone = if part == Part::Request { Tone::Dim } else { Tone::Plain };
        out.push(line(tone, text, "  "));
    }
}
