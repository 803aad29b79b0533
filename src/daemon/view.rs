//! Domain values as the control socket shows them, and the sentences of the event log.

use jiff::Timestamp;

use super::again;
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::account::Account;
use crate::domain::attempt::Transition;
use crate::domain::cost::{Cost, parse_usd, usd};
use crate::domain::delivery::{Delivery, NOTHING, Reason, State};
use crate::domain::media::MediaItem;
use crate::domain::post::{Content, Intended, Post};
use crate::http::{redact, terminal};
use crate::platforms::{self, OptionSpec, Platform, Problem};
use crate::store::audit::Receipt;
use crate::store::journal::{Entry, Happening};
use crate::validate::{Checked, Verdict};

/// Most of a raw answer that is kept and shown.
const RAW_MAX: usize = 4096;

/// A network's raw answer, safe to keep and to print: no secrets, no control characters, capped.
pub(super) fn raw(body: &[u8]) -> String {
    terminal::clean(&redact::body(body, RAW_MAX))
}

pub(super) fn account(it: &Account) -> m::Account {
    m::Account {
        account: it.name.to_string(),
        platform: it.name.platform().to_string(),
        handle: it.name.handle().to_owned(),
        remote_id: it.remote_id.clone(),
        username: it.username.clone(),
        display_name: it.display_name.clone(),
        avatar_url: it.avatar_url.clone(),
        state: m::AccountState::from_word(it.state.as_str()).unwrap_or(m::AccountState::NeedsReconnect),
        reason: it.reason.clone(),
        scopes: it.scopes.clone(),
        missing_scopes: it.missing_scopes.clone(),
        expires_at: it.expires_at,
        can_refresh: it.can_refresh,
        connected_at: it.connected_at,
        server: it.server.clone(),
        tier: it.tier.clone(),
        grant_expires_at: it.grant_expires_at,
        spending: None,
        quotas: Vec::new(),
        held_back: Vec::new(),
    }
}

/// What each network of this build takes, as its own table says.
pub(super) fn networks() -> m::NetworkList {
    let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
    let one = |it: &&'static dyn Platform| {
        let able = it.capabilities(None);
        let option = |it: &OptionSpec| m::NetworkOption {
            key: it.key.to_owned(),
            values: it.values.iter().map(|it| (*it).to_owned()).collect(),
            help: it.help.to_owned(),
        };
        m::Network {
            platform: it.name().to_string(),
            title: it.name().title().to_owned(),
            text_max: count(able.text_max),
            unit: able.unit.as_str().to_owned(),
            parts_max: count(able.parts_max),
            images_max: count(able.images_max),
            comment: able.comment,
            can_delete: able.can_delete,
            options: able.options.iter().map(option).collect(),
        }
    };
    m::NetworkList { networks: platforms::ALL.iter().map(one).collect() }
}

/// A kept receipt. What it says of a person is a keyed hash, and stays here. `accounts` are those that are
/// connected.
pub(super) fn receipt(it: &Receipt, accounts: &[Account]) -> m::ReceiptEntry {
    let line = |(n, (step, result)): (usize, &(String, String))| {
        let told = it.told.get(n).cloned().unwrap_or_default();
        m::ReceiptLine {
            step: step.clone(),
            result: result.clone(),
            account: accounts.iter().find(|it| told.account == Some(it.id)).map(|it| it.name.to_string()),
            r#where: told.place,
            message: told.message,
            hint: told.hint,
        }
    };
    m::ReceiptEntry {
        id: it.id.to_string(),
        kind: it.kind.clone(),
        requested_at: it.requested_at,
        finished_at: it.finished_at,
        steps: it.outcome.iter().enumerate().map(line).collect(),
    }
}

fn intended(it: &Intended) -> r::When {
    match it {
        Intended::At(text) => r::When::At(text.clone()),
        Intended::Queue(name) => r::When::Queue(name.clone()),
        Intended::Now => r::When::Now,
    }
}

fn variant(content: &Content) -> m::Variant {
    m::Variant {
        body: content.parts.first().cloned(),
        parts: content.parts.clone(),
        comment: content.comment.clone(),
    }
}

fn media(item: &MediaItem) -> m::Media {
    m::Media {
        id: item.id.to_string(),
        name: item.name.clone(),
        kind: item.kind.word().to_owned(),
        bytes: item.bytes,
        alt: item.alt.clone(),
        part: u32::from(item.part) + 1,
    }
}

/// A post with its deliveries: by target as the user named them, then in the order they were made.
/// Ids made in one millisecond have no order of their own.
pub(super) fn post(post: &Post, deliveries: &[Delivery]) -> m::Post {
    // One that ended and was taken up by another says nothing of the post any more.
    let counted = deliveries.iter().filter(|it| again::is_last(deliveries, it));
    let (left, rest): (Vec<_>, Vec<_>) = counted.partition(|it| it.is_left());
    let rest: Vec<_> = rest.into_iter().map(|it| (state(it.state), it.held)).collect();
    let mut ordered: Vec<_> = deliveries.iter().collect();
    ordered.sort_by_key(|it| (post.to.iter().position(|to| to.account == it.account), it.id));
    m::Post {
        id: post.id.to_string(),
        status: if left.is_empty() { m::PostStatus::of(&rest) } else { m::PostStatus::beside_left(&rest) },
        to: post.to.iter().map(|it| it.name.to_string()).collect(),
        body: post.content.parts.first().cloned().unwrap_or_default(),
        parts: post.content.parts.clone(),
        comment: post.content.comment.clone(),
        variants: post.variants.iter().map(|(name, content)| (name.clone(), variant(content))).collect(),
        media: post.media.iter().map(media).collect(),
        created_at: post.created_at,
        source: m::Source::from_word(post.source.as_str()).unwrap_or(m::Source::Api),
        deliveries: ordered.into_iter().map(delivery).collect(),
        options: post.options.iter().map(|(name, set)| (name.to_string(), set.clone())).collect(),
        version: post.version,
        existing: false,
        notices: Vec::new(),
        intended: post.intended.as_ref().filter(|_| post.due.is_none()).map(intended),
        undo: None,
        fixed: None,
    }
}

fn state(state: State) -> m::DeliveryState {
    // Both enums have the same words; the test below holds them together.
    m::DeliveryState::from_word(state.as_str()).unwrap_or(m::DeliveryState::Unknown)
}

pub(super) fn delivery(it: &Delivery) -> m::Delivery {
    let steps = it.steps.iter().enumerate().map(|(n, step)| {
        let word = if step.is_live() {
            "published"
        } else if it.state == State::Published {
            // A comment that the network would not have.
            "rejected"
        } else if n == usize::from(it.step) || it.state.is_terminal() {
            it.state.as_str()
        } else {
            "scheduled"
        };
        m::Step {
            n: u32::try_from(n + 1).unwrap_or(u32::MAX),
            kind: step.kind.as_str().to_owned(),
            state: word.to_owned(),
            remote_id: step.remote_id.clone(),
            permalink: step.permalink.clone(),
            publish_id: step.extra.get("publish_id").cloned(),
        }
    });
    let first = it.steps.first();
    m::Delivery {
        id: it.id.to_string(),
        post: it.post.to_string(),
        account: it.name.to_string(),
        state: state(it.state),
        held: it.waits_for_word(),
        due: it.due.instant,
        zone: it.due.zone.clone(),
        attempts: u32::from(it.attempts).max(u32::from(it.sent_at.is_some())),
        next_try: it.next_try,
        sent_at: it.sent_at,
        published_at: it.published_at,
        lateness_ms: it.lateness_ms(),
        remote_id: first.and_then(|step| step.remote_id.clone()),
        permalink: first.and_then(|step| step.permalink.clone()),
        verified: it.verified,
        reason: it.reason.as_ref().map(reason),
        steps: steps.collect(),
        progress: None,
        why: Vec::new(),
        fetches: Vec::new(),
    }
}

fn reason(it: &Reason) -> m::Reason {
    m::Reason {
        class: it.class.clone(),
        message: it.message.clone(),
        hint: it.hint.clone(),
        raw: it.raw.clone(),
    }
}

/// What validation says of one target. `name` is an account or a bare platform name.
pub(crate) fn target(name: &str, checked: &Checked) -> m::CheckTarget {
    let problems = checked.problems.iter().map(|it| m::Problem {
        account: Some(name.to_owned()),
        field: it.field.clone(),
        code: it.code.to_owned(),
        message: it.message.clone(),
        hint: hint(checked, it),
    });
    m::CheckTarget {
        account: name.to_owned(),
        ok: checked.ok(),
        length: m::Length {
            used: checked.used as u64,
            max: checked.max as u64,
            unit: checked.unit.as_str().to_owned(),
        },
        comment: checked
            .comment
            .map(|(used, max)| m::CommentLength { used: used as u64, max: max.map(|it| it as u64) }),
        problems: problems.collect(),
        preview: checked.preview.clone(),
        files: checked.files.iter().map(|(name, verdict)| file(name, *verdict)).collect(),
        notices: checked.notices.clone(),
        cost_usd: (!checked.costs.is_empty()).then(|| usd(micros(&checked.costs))),
        costs: checked.costs.iter().map(cost).collect(),
    }
}

fn file(name: &str, verdict: Verdict) -> m::FileVerdict {
    let (word, becomes) = match verdict {
        Verdict::AsItIs => ("as_it_is", None),
        Verdict::Converted(fit) => ("converted", Some(fit.to_string())),
        Verdict::Refused => ("refused", None),
    };
    m::FileVerdict { name: name.to_owned(), verdict: word.to_owned(), becomes }
}

fn cost(it: &Cost) -> m::Cost {
    m::Cost { what: it.what.to_owned(), count: it.count, usd: usd(it.micros()) }
}

/// All of it, in millionths of a dollar.
fn micros(costs: &[Cost]) -> u64 {
    costs.iter().map(Cost::micros).sum()
}

/// What all targets cost together, in US dollars; `None` where nothing costs anything.
pub(super) fn cost_of(targets: &[m::CheckTarget]) -> Option<String> {
    let micros = |it: &m::CheckTarget| it.cost_usd.as_deref().and_then(parse_usd);
    let all: Vec<u64> = targets.iter().filter_map(micros).collect();
    (!all.is_empty()).then(|| usd(all.iter().sum()))
}

/// What a post will cost in sentences that name the accounts, and the sum where there are several.
pub(super) fn costs_told(targets: &[m::CheckTarget]) -> Vec<String> {
    let of = |it: &m::CheckTarget| {
        it.cost_usd.as_ref().map(|usd| format!("{}: will cost about {usd} USD", it.account))
    };
    let mut all: Vec<String> = targets.iter().filter_map(of).collect();
    if all.len() > 1 {
        all.extend(cost_of(targets).map(|usd| format!("all together it will cost about {usd} USD")));
    }
    all
}

/// The check of a whole post.
pub(crate) fn check(targets: Vec<m::CheckTarget>) -> m::Check {
    let cost_usd = cost_of(&targets);
    m::Check { ok: targets.iter().all(|it| it.ok), targets, cost_usd }
}

/// The hint, with the command that would do it, where the program for it is at hand.
fn hint(checked: &Checked, problem: &Problem) -> Option<String> {
    let command = checked.commands.iter().find(|(field, _)| *field == problem.field);
    let is_there = || crate::media::has_ffmpeg(std::env::var_os("PATH").as_deref());
    match (&problem.hint, command) {
        (Some(hint), Some((_, command))) if problem.code.starts_with("video_") && is_there() => {
            Some(format!("{hint}: `{command}`"))
        }
        (hint, _) => hint.clone(),
    }
}

/// One line of the event log about a delivery.
pub(super) fn delivery_event(at: Timestamp, it: &Delivery, event: &str) -> m::LogEvent {
    move_line(it, &Transition { at, ..Transition::between(it, it, event, at) }, 0)
}

/// The line of a move, out of the delivery's history.
fn move_line(it: &Delivery, row: &Transition, seq: u64) -> m::LogEvent {
    let told = match &row.note {
        Some(note) => note.clone(),
        None => it.tell(),
    };
    let class = row.reason.as_ref().map_or("", |it| it.class.as_str());
    m::LogEvent {
        at: row.at,
        level: row.to.level(&row.event, class).to_owned(),
        event: match row.event.as_str() {
            word @ ("created" | "at_risk") => format!("delivery.{word}"),
            _ if row.to == State::Published && class == NOTHING => format!("delivery.{NOTHING}"),
            _ => format!("delivery.{}", row.to.as_str()),
        },
        message: terminal::clean_line(&format!("{}: {told}", it.name)),
        post: Some(it.post.to_string()),
        delivery: Some(it.id.to_string()),
        account: Some(it.name.to_string()),
        seq,
        progress: None,
    }
}

/// A line of the log as it is kept.
pub(super) fn log_line(seq: u64, entry: &Entry) -> m::LogEvent {
    match entry {
        Entry::Move(it, row) => move_line(it, row, seq),
        Entry::Beside(it) => beside(seq, it.clone()),
    }
}

/// The line of what happened beside the deliveries.
pub(super) fn beside(seq: u64, it: Happening) -> m::LogEvent {
    let Happening { at, level, event, message, account } = it;
    m::LogEvent { at, level, event, message, post: None, delivery: None, account, seq, progress: None }
}

/// What happened to an account, for the log.
pub(super) fn of_account(at: Timestamp, it: &Account, level: &str, event: &str, text: &str) -> Happening {
    let account = Some(it.name.to_string());
    Happening { account, ..happening(at, level, event, &format!("{}: {text}", it.name)) }
}

/// What happened beside the deliveries, for the log. `text` may hold words from outside.
pub(super) fn happening(at: Timestamp, level: &str, event: &str, text: &str) -> Happening {
    Happening {
        at,
        level: level.to_owned(),
        event: event.to_owned(),
        message: terminal::clean_line(text),
        account: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_word_on_the_wire() {
        for it in State::ALL {
            assert_eq!(state(it).as_str(), it.as_str());
        }
    }
}
