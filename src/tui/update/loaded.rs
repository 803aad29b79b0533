//! What the daemon answered.

use super::screens::{ask_page, read};
use super::{Effects, ask, complain, go, leaving, undo};
use crate::control::messages as m;
use crate::tui::app::{App, Brief, Screen, Tab};
use crate::tui::compose::Compose;
use crate::tui::effect::{Deed, Load, Loaded, Outcome, Trouble};
use crate::tui::layer::{Layer, Sheet};
use crate::tui::look::{Tone, tone_of};
use crate::tui::pages::{Row, rows_of};
use crate::tui::text;

/// Days of the chart.
const DAYS: usize = 28;

pub(super) fn loaded(app: &mut App, load: Load, result: Result<Loaded, Trouble>, fx: &mut Effects) {
    app.asked.retain(|it| *it != load);
    let answer = match result {
        Ok(answer) => answer,
        Err(trouble) => return failed(app, &load, trouble, fx),
    };
    match (load, answer) {
        (_, Loaded::Status(status)) => app.status = Some(*status),
        (_, Loaded::Accounts(list)) => {
            let here = app.account().map(|it| it.account.clone());
            app.accounts = list.accounts;
            let at = here.and_then(|name| app.accounts.iter().position(|it| it.account == name));
            app.account_at = at.unwrap_or(app.account_at).min(app.accounts.len().saturating_sub(1));
        }
        (_, Loaded::Account(account)) => {
            if let Some(it) = app.accounts.iter_mut().find(|it| it.account == account.account) {
                *it = (*account).clone();
            }
            app.shown.insert(account.account.clone(), *account);
        }
        (_, Loaded::Queues(list)) => app.queues = list.queues,
        (_, Loaded::Networks(list)) => app.networks = list.networks,
        (Load::Due, Loaded::Posts(list)) => {
            let waits = |it: &Row| {
                let state = it.delivery.as_ref().map(|it| (it.state, it.held));
                state == Some((m::DeliveryState::Scheduled, false))
            };
            let mut rows: Vec<Row> = rows_of(&list.posts).into_iter().filter(waits).collect();
            rows.sort_by_key(|it| it.delivery.as_ref().map(|it| it.due));
            brief(app, |it| &mut it.due, rows, list.next_cursor.is_some());
        }
        (Load::Attention, Loaded::Posts(list)) => {
            let mut rows = rows_of(&list.posts);
            rows.retain(|it| it.replaced_by.is_none() && it.delivery.as_ref().is_some_and(needs_somebody));
            brief(app, |it| &mut it.attention, rows, list.next_cursor.is_some());
        }
        (Load::Drafts, Loaded::Posts(list)) => {
            brief(app, |it| &mut it.drafts, rows_of(&list.posts), list.next_cursor.is_some());
        }
        (Load::Lately, Loaded::Posts(list)) => {
            let mut rows = rows_of(&list.posts);
            rows.retain(|it| it.delivery.as_ref().is_some_and(|it| it.published_at.is_some()));
            rows.sort_by_key(|it| std::cmp::Reverse(it.delivery.as_ref().and_then(|it| it.published_at)));
            brief(app, |it| &mut it.lately, rows, list.next_cursor.is_some());
        }
        (Load::Activity, Loaded::Posts(list)) => {
            app.overview.activity = per_day(app, &list);
            app.overview.activity_at = Some(app.now);
        }
        (Load::Page { list, index, .. }, Loaded::Posts(page)) if list == app.timeline.list => {
            app.timeline.error = None;
            app.timeline.pages.take(index, &page.posts, page.next_cursor);
            // A page may be short where a filter fits few: go on until the screen is full.
            let wanted = app.timeline.pages.wanted(super::screens::NEAR);
            // So does a move that is longer than what was there.
            let is_far = app.timeline.pages.wish != 0;
            if let Some(next) = wanted.filter(|it| *it > index || is_far) {
                ask_page(app, next, fx);
            }
        }
        (Load::Post(id), Loaded::Post(post)) if id == app.post.id => {
            let wanted = app.post.wanted.take();
            if let Some(at) = wanted.and_then(|it| post.deliveries.iter().position(|row| row.id == it)) {
                app.post.at = at;
            }
            app.post.at = app.post.at.min(post.deliveries.len().saturating_sub(1));
            app.timeline.pages.refresh(&post);
            app.post.post = Some(*post);
            app.post.error = None;
        }
        // Something was written while the answer was on its way.
        (Load::Open(_), Loaded::Post(_)) if !app.compose.is_at_rest() || app.compose.is_leaving() => {
            app.say(Tone::Warn, app.compose.not_yet());
        }
        (Load::Open(_), Loaded::Post(post)) if post.fixed.is_some() => {
            let why = super::rows::cannot_edit(&post);
            app.say(Tone::Warn, why);
        }
        (Load::Open(_), Loaded::Post(post)) => {
            let key = app.draft_key();
            app.compose = Compose::open(&post, key);
            go(app, Screen::Tab(Tab::Compose), fx);
        }
        (_, Loaded::Calendar(month)) if app.calendar.wanted.as_ref().is_none_or(|it| *it == month.month) => {
            let zone = jiff::tz::TimeZone::get(&month.zone).unwrap_or_else(|_| app.zone.clone());
            let today = app.now.to_zoned(zone).date();
            app.calendar.day.get_or_insert(today);
            app.calendar.month = Some(month);
            app.calendar.error = None;
            app.calendar.at = app.calendar.at.min(app.day_rows().len().saturating_sub(1));
            super::screens::read_day(app, fx);
        }
        (Load::Day { day, .. }, Loaded::Posts(list)) if app.calendar.day == Some(day) => {
            app.calendar.posts = list.posts;
        }
        (_, Loaded::Receipts(list)) => app.records.receipts = list.receipts,
        (Load::Audit { after }, Loaded::Audit(list)) => {
            if after.is_none() {
                app.records.audit.clear();
            }
            app.records.audit.extend(list.entries);
            // The trail is long; what is read is kept to some thousands.
            app.records.audit_next = list.next_cursor.filter(|_| app.records.audit.len() < 5_000);
        }
        (_, Loaded::Doctor(found)) => {
            app.doctor.found = Some(found);
            app.doctor.error = None;
        }
        _ => {}
    }
}

/// Published per day of the last four weeks, today last. Of a list that goes on, the last day is not
/// known in full.
fn per_day(app: &App, list: &m::PostList) -> Vec<u64> {
    let day = |at: jiff::Timestamp| at.to_zoned(app.zone.clone()).date();
    let today = day(app.now);
    let age = |at: jiff::Timestamp| usize::try_from((today - day(at)).get_days()).ok();
    let ages: Vec<usize> =
        list.posts.iter().flat_map(|it| &it.deliveries).filter_map(|it| age(it.published_at?)).collect();
    let oldest = ages.iter().max().copied().unwrap_or(0);
    let known = if list.next_cursor.is_some() { oldest.min(DAYS) } else { DAYS };
    let count = |age: usize| u64::try_from(ages.iter().filter(|it| **it == age).count()).unwrap_or(u64::MAX);
    (0..known).rev().map(count).collect()
}

/// Whether a delivery waits for a person.
fn needs_somebody(it: &m::Delivery) -> bool {
    use m::DeliveryState as D;
    it.held || matches!(it.state, D::NeedsReconnect | D::Rejected | D::Missed)
}

/// Puts a fresh list on the overview; the cursor stays on its row.
fn brief(app: &mut App, which: fn(&mut crate::tui::app::Overview) -> &mut Brief, rows: Vec<Row>, more: bool) {
    let here = app.overview.rows().nth(app.overview.at).filter(|_| app.overview.is_moved);
    let here = here.map(|it| it.id().to_owned());
    *which(&mut app.overview) = Brief { rows, more };
    let at = here.and_then(|id| app.overview.rows().position(|it| it.id() == id));
    let last = app.overview.rows().count().saturating_sub(1);
    app.overview.at = at.unwrap_or(app.overview.at).min(last);
}

fn failed(app: &mut App, load: &Load, trouble: Trouble, fx: &mut Effects) {
    // The way to the daemon is told of in one place.
    if trouble.lost {
        return;
    }
    match load {
        Load::Page { list, .. } if *list == app.timeline.list => {
            // A cursor of an older store: begin anew.
            if trouble.code == "bad_cursor" && app.timeline.pages.len() > 0 {
                app.timeline.pages = crate::tui::pages::Pages::new();
                ask_page(app, 0, fx);
            } else {
                app.timeline.pages.ended = true;
                app.timeline.error = Some(trouble);
            }
        }
        Load::Post(id) if *id == app.post.id => {
            app.post.post = None;
            app.post.error = Some(trouble);
        }
        Load::Calendar { .. } => app.calendar.error = Some(trouble),
        Load::Doctor => app.doctor.error = Some(trouble),
        Load::Open(_) => complain(app, &trouble),
        _ => app.say(Tone::Bad, trouble.message),
    }
}

/// How something that was asked for ended.
pub(super) fn done(app: &mut App, deed: Deed, result: Result<Outcome, Trouble>, fx: &mut Effects) {
    app.stale = crate::tui::app::Stale { status: true, accounts: true, deliveries: true };
    match &deed {
        Deed::Move { .. } => app.moves = app.moves.saturating_sub(1),
        Deed::Undo { ticket, .. } => undo::answered(app, ticket, result.as_ref().map(|_| ()), fx),
        _ => {}
    }
    if leaving::settled(app, &deed, result.as_ref().map(|_| ())) {
        return;
    }
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(mut trouble) => {
            if matches!(deed, Deed::Schedule { .. } | Deed::Amend { .. }) {
                app.compose.sending = false;
                app.compose.error = Some(trouble.clone());
                // The problems stand beside the text already.
                app.say(Tone::Bad, trouble.message);
                return;
            }
            if let Some(name) = about(app, &deed) {
                trouble.message = format!("{name}: {}", trouble.message);
            }
            return complain(app, &trouble);
        }
    };
    match (deed, outcome) {
        (Deed::Schedule { .. } | Deed::Amend { .. }, Outcome::Post(post)) => {
            let key = app.draft_key();
            app.compose = Compose::fresh(key);
            let said = if post.notices.is_empty() { "changed".to_owned() } else { post.notices.join("; ") };
            // A new time among the changes; the words stay.
            let mut back = String::new();
            if let Some(ticket) = &post.undo {
                let what = text::named(&post.body);
                undo::offer(app, post.id.clone(), ticket.clone(), "moved", what);
                back = undo::told(app).replacen("it", "the new time", 1);
            }
            super::rows::show(app, post.id.clone(), fx);
            app.back.retain(|it| *it != Screen::Tab(Tab::Compose));
            app.post.post = Some(*post);
            app.say(Tone::Good, format!("{said}{back}"));
            ask(app, Load::Drafts, fx);
        }
        (deed, Outcome::Post(post)) => {
            let said = match &deed {
                Deed::Retry(_) => "it will be tried again",
                Deed::Cancel(_) => "cancelled",
                Deed::Undo { .. } => "taken back",
                Deed::Resolve { .. } => "noted; it goes on by your word",
                _ => "done",
            };
            let told = if post.notices.is_empty() { said.to_owned() } else { post.notices.join("; ") };
            let word = if matches!(deed, Deed::Cancel(_)) { "cancelled" } else { "moved" };
            match &post.undo {
                Some(ticket) => {
                    let what = about(app, &deed).unwrap_or_else(|| text::named(&post.body));
                    undo::offer(app, post.id.clone(), ticket.clone(), word, what);
                    app.say(Tone::Good, format!("{told}{}", undo::told(app)));
                }
                // What comes next is said at once.
                None if matches!(deed, Deed::Undo { .. }) => {
                    let more = undo::told(app).replacen("it back", "back the one before", 1);
                    app.say(Tone::Good, format!("{told}{more}"));
                }
                None => app.say(Tone::Good, told),
            }
            app.timeline.pages.refresh(&post);
            if app.post.id == post.id {
                ask(app, Load::Post(post.id.clone()), fx);
            }
        }
        (Deed::AccountRename { .. }, Outcome::Account(account)) => {
            app.say(Tone::Good, format!("it is called {} now", account.account));
        }
        (_, Outcome::Account(account)) => {
            app.say(Tone::Good, format!("{} is {}", account.account, account.state));
        }
        (deed, Outcome::Receipt(receipt)) => {
            let mut is_draft = false;
            if let Deed::Delete { id, .. } = &deed {
                is_draft = app.overview.drafts.rows.iter().any(|it| it.post == *id);
                gone(app, id);
            }
            // Of a draft there is nothing to tell but that it is gone.
            if is_draft && receipt.items.iter().all(|it| it.result == m::Outcome::Done) {
                app.say(Tone::Good, "the draft is gone");
            } else {
                app.toast = None;
                show_receipt(app, &receipt);
            }
        }
        (Deed::Pause, Outcome::Nothing) => app.say(Tone::Warn, "paused: nothing new is sent"),
        (Deed::Resume, Outcome::Nothing) => app.say(Tone::Good, "sending again"),
        (_, Outcome::Nothing) => app.say(Tone::Good, "done"),
    }
    read(app, fx);
}

/// The post that a deed is about, in words, as far as it is on a screen.
fn about(app: &App, deed: &Deed) -> Option<String> {
    let (Deed::Retry(id)
    | Deed::Cancel(id)
    | Deed::Delete { id, .. }
    | Deed::Resolve { id, .. }
    | Deed::Undo { id, .. }
    | Deed::Move { id, .. }) = deed
    else {
        return None;
    };
    let shown = app.post.post.iter().flat_map(crate::tui::pages::rows_of_post);
    let rows = app.overview.rows().chain(app.timeline.pages.rows()).cloned();
    let row = rows.chain(shown).chain(app.day_rows()).find(|it| it.post == *id || it.id() == id)?;
    // A deed on the whole post is not about the one account whose row was found.
    Some(if row.post == *id { text::named(&row.body) } else { super::rows::named(&row) })
}

/// A post is no more.
fn gone(app: &mut App, id: &str) {
    if app.screen == Screen::Post && app.post.id == id {
        app.screen = app.back.pop().unwrap_or(Screen::Tab(Tab::Overview));
        app.post = crate::tui::app::PostView::default();
    }
    if app.compose.id.as_deref() == Some(id) {
        let key = app.draft_key();
        app.compose = Compose::fresh(key);
    }
}

/// What was deleted, and what was not possible.
fn show_receipt(app: &mut App, receipt: &m::Receipt) {
    let mut lines = vec![(Tone::Strong, receipt.subject.clone()), (Tone::Plain, String::new())];
    for it in &receipt.items {
        let word = it.result.as_str();
        let said = it.message.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        let line = format!("{:<12} {} at {}{said}", word.replace('_', " "), it.what, it.r#where);
        lines.push((tone_of(word), line));
        lines.extend(it.hint.iter().map(|it| (Tone::Dim, format!("             {it}"))));
    }
    lines.push((Tone::Plain, String::new()));
    lines.push((Tone::Dim, format!("receipt {}", receipt.id)));
    app.layers.push(Layer::Sheet(Sheet {
        title: "Receipt".to_owned(),
        lines,
        indent: "             ",
        top: 0,
    }));
}
