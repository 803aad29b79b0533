//! Everything that is known of one thing: a post as one account gets it, an account, a deletion, a finding, a
//! line of a list. Lines for the place below or beside a list, and for a sheet of their own where that has
//! too little room.

use super::app::{App, title_of};
use super::look::{Tone, tone_of};
use super::{text, when};
use crate::control::{messages as m, words};

/// Lines that are not wrapped yet.
pub(crate) type Lines = Vec<(Tone, String)>;

/// Where what follows a name begins: [`fact`] writes it there, and what goes on in a next line stands there.
pub(crate) const INDENT: &str = "             ";

/// `name         value`; nothing without a value.
fn fact(out: &mut Lines, tone: Tone, name: &str, value: &str) {
    if !value.is_empty() {
        out.push((tone, format!("{name:<13}{value}")));
    }
}

/// What one account gets of a post: the text that is its own or everybody's, part by part, first comment,
/// files with their descriptions, options.
pub(crate) fn content(post: &m::Post, it: &m::Delivery) -> Lines {
    let platform = it.account.split(':').next().unwrap_or_default();
    let title = title_of(platform);
    let (whose, own) = match (post.variants.get(&it.account), post.variants.get(platform)) {
        (Some(own), _) => (format!("own text of {}", it.account), Some(own)),
        (None, Some(own)) => (format!("own text for {title}"), Some(own)),
        (None, None) => ("text".to_owned(), None),
    };
    let (parts, comment) = match own {
        Some(own) => own.over(&post.parts, post.comment.as_deref()),
        None => (post.parts.clone(), post.comment.clone()),
    };
    let many = parts.len();
    let mut out = Lines::new();
    if many > 1 {
        out.push((Tone::Accent, format!("{whose}, a thread of {many} parts")));
    } else {
        out.push((Tone::Accent, whose));
    }
    for (n, part) in parts.iter().enumerate() {
        let part = if part.trim().is_empty() { "(no text)" } else { part };
        let before = if many > 1 { format!("{}/{many} ", n + 1) } else { String::new() };
        out.push((Tone::Plain, format!("{before}{part}")));
    }
    if let Some(comment) = comment {
        out.push((Tone::Accent, "first comment".to_owned()));
        out.push((Tone::Plain, comment));
    }
    if !post.media.is_empty() {
        let last = u32::try_from(many).unwrap_or(u32::MAX).max(1);
        out.push((Tone::Accent, format!("{} file(s)", post.media.len())));
        for file in &post.media {
            // What is for a part that this text has not goes with its last one.
            let part = if many > 1 { format!(", part {}", file.part.min(last)) } else { String::new() };
            out.push((
                Tone::Plain,
                format!("{}: {}, {}{part}", file.name, file.kind, when::size(file.bytes)),
            ));
            match &file.alt {
                Some(alt) => out.push((Tone::Plain, format!("  described as: {alt}"))),
                None => out.push((Tone::Dim, "  not described".to_owned())),
            }
        }
    }
    if let Some(options) = post.options.get(platform).filter(|it| !it.is_empty()) {
        out.push((Tone::Accent, format!("options for {title}")));
        out.extend(options.iter().map(|(key, value)| (Tone::Plain, format!("{key}: {value}"))));
    }
    out
}

/// One account: how it stands, what it may, what it has left, what it has cost.
pub(crate) fn account(app: &App, account: &m::Account) -> Lines {
    let it = account;
    let mut out = Lines::new();
    if let Some(reason) = &it.reason {
        fact(&mut out, tone_of(it.state.as_str()), "reason", reason);
    }
    if it.state == m::AccountState::NeedsReconnect {
        fact(&mut out, Tone::Accent, "to mend it", "R connects it again; what waits goes on by itself");
    }
    let token = it.expires_at.map(|at| {
        let how = if it.can_refresh { "; renewed by itself" } else { "; cannot be renewed by itself" };
        format!("ends {}{how}", when::relative(at, app.now))
    });
    fact(&mut out, Tone::Plain, "token", token.as_deref().unwrap_or("does not end"));
    if let Some(at) = it.grant_expires_at {
        fact(
            &mut out,
            Tone::Plain,
            "connection",
            &format!("ends {}", when::day_time(at, app.now, &app.zone)),
        );
    }
    let shown = app.shown.get(&it.account);
    for held in shown.iter().flat_map(|it| &it.held_back) {
        let told = format!("until {}: {}", when::day_time(held.until, app.now, &app.zone), held.message);
        fact(&mut out, Tone::Warn, "held back", &told);
        out.extend(held.hint.as_ref().map(|it| (Tone::Accent, format!("{INDENT}→ {}", text::in_fields(it)))));
        let said = |it: &String| (Tone::Dim, format!("{INDENT}{} said: {it}", title_of(&account.platform)));
        out.extend(held.raw.as_ref().map(said));
    }
    for (n, quota) in shown.iter().flat_map(|it| &it.quotas).enumerate() {
        let (tone, told) = of_quota(app, quota);
        fact(&mut out, tone, if n == 0 { "quota" } else { "" }, &told);
    }
    costs(app, it, &mut out);
    fact(&mut out, Tone::Warn, "not granted", &it.missing_scopes.join(", "));
    fact(&mut out, Tone::Plain, "granted", &it.scopes.join(", "));
    fact(&mut out, Tone::Plain, "name", &it.display_name);
    fact(&mut out, Tone::Plain, "network", &title_of(&it.platform));
    fact(&mut out, Tone::Plain, "server", it.server.as_deref().unwrap_or(""));
    fact(&mut out, Tone::Plain, "tier", it.tier.as_deref().map_or("", words::tier));
    fact(&mut out, Tone::Plain, "connected", &when::day_time(it.connected_at, app.now, &app.zone));
    fact(&mut out, Tone::Plain, "remote id", &it.remote_id);
    out
}

/// `24 of 25 used: posts, in a day; free again in 3 h (as of 2 min ago)`.
fn of_quota(app: &App, it: &m::Quota) -> (Tone, String) {
    let of = it.limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    let is_out = it.limit.is_some_and(|limit| it.used >= limit);
    let mut told = format!("{}{of} used: {}", it.used, it.what);
    if let Some(at) = it.free_at.filter(|at| *at > app.now) {
        let word = if is_out { "free again" } else { "counted anew" };
        told = format!("{told}; {word} {}", when::relative(at, app.now));
    }
    if app.now.as_second() - it.as_of.as_second() >= 60 {
        told = format!("{told} (as of {})", when::relative(it.as_of, app.now));
    }
    (if is_out { Tone::Warn } else { Tone::Plain }, told)
}

/// What calls have cost: this account's, and its network's with what may be spent in a month.
fn costs(app: &App, it: &m::Account, out: &mut Lines) {
    let line = |cost: &m::Spending| {
        let of = cost.budget_usd.as_ref().map_or_else(String::new, |it| format!(" of {it}"));
        format!("{}{of} USD in {}; {} in the month before", cost.usd, cost.month, cost.last_month_usd)
    };
    if let Some(cost) = app.shown.get(&it.account).and_then(|it| it.spending.as_ref()) {
        fact(out, Tone::Plain, "spent", &line(cost));
        for on in &cost.calls {
            fact(out, Tone::Dim, "", &format!("{} × {}: {} USD", on.count, on.words(), on.usd));
        }
    }
    let all = app.status.iter().flat_map(|it| &it.spending);
    for cost in all.filter(|cost| cost.platform.as_deref() == Some(it.platform.as_str())) {
        let none = if cost.budget_usd.is_none() { "; no budget is set" } else { "" };
        fact(out, Tone::Plain, &format!("all {}", title_of(&it.platform)), &format!("{}{none}", line(cost)));
    }
}

/// One deletion: every step, what came of it, and what the network said.
pub(crate) fn receipt(it: &m::ReceiptEntry) -> Lines {
    let mut out = Lines::new();
    for step in &it.steps {
        let whose = step.account.as_ref().map_or_else(String::new, |it| format!(" for {it}"));
        let word = step.result.replace('_', " ");
        out.push((tone_of(&step.result), format!("{word:<13}{}{whose}", step.step.replace('_', " "))));
        let place = step.r#where.as_ref().filter(|it| !it.is_empty() && *it != "this installation");
        out.extend(place.map(|it| (Tone::Plain, format!("{INDENT}{it}"))));
        let tone = tone_of(&step.result);
        out.extend(step.message.as_ref().map(|it| (tone, format!("{INDENT}{it}"))));
        out.extend(step.hint.as_ref().map(|it| (Tone::Accent, format!("{INDENT}→ {}", text::in_fields(it)))));
    }
    out
}

/// What doctor found.
pub(crate) fn finding(it: &m::Finding) -> Lines {
    let mut out = vec![(Tone::Plain, it.message.clone())];
    out.extend(it.hint.as_ref().map(|it| (Tone::Accent, format!("→ {it}"))));
    out
}

/// One line of the log.
pub(crate) fn event(it: &m::LogEvent) -> Lines {
    let ids: Vec<&str> = [&it.post, &it.delivery].into_iter().flatten().map(String::as_str).collect();
    vec![(Tone::Dim, format!("{} {}", it.event, ids.join(" "))), (Tone::Plain, it.message.clone())]
}

/// One line of the audit trail.
pub(crate) fn audit(app: &App, it: &m::AuditEntry) -> Lines {
    let who = it.who.as_ref().map_or_else(
        || "by the daemon itself".to_owned(),
        |it| {
            let pid = it.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
            format!("by user {} of group {}{pid}", it.uid, it.gid)
        },
    );
    let at = it.at.to_zoned(app.zone.clone()).strftime("%a %-d %b %Y %H:%M:%S");
    let tone = if it.result == "ok" { Tone::Plain } else { Tone::Warn };
    vec![
        (Tone::Strong, format!("{} {}", it.action, it.subject)),
        (tone, it.result.clone()),
        (Tone::Dim, format!("{who}, {at}")),
    ]
}
