//! What is done to the delivery or draft under the cursor. Everything that ends something asks first, and
//! names it.

use jiff::ToSpan as _;

use super::screens::{item, menu};
use super::{Effects, ask, go, thumbs};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, Screen, Tab, UNDO_SECONDS};
use crate::tui::editor::Editor;
use crate::tui::effect::{Deed, Effect, Load, Source};
use crate::tui::keys::Action;
use crate::tui::layer::{Ask, Confirm, Layer, Pick, Prompt, Then};
use crate::tui::look::Tone;
use crate::tui::pages::Row;
use crate::tui::{text, when};

/// False: not one of these.
pub(super) fn act(app: &mut App, action: Action, fx: &mut Effects) -> bool {
    let wanted = matches!(
        action,
        Action::Retry
            | Action::RetryAll
            | Action::Cancel
            | Action::CancelAll
            | Action::Move
            | Action::Delete
            | Action::Resolve
            | Action::Edit
            | Action::Look
            | Action::Earlier
            | Action::Later
    );
    if !wanted {
        return false;
    }
    let Some(row) = app.row() else {
        app.say(Tone::Dim, "nothing is under the cursor");
        return true;
    };
    match action {
        Action::Retry => fx.push(Effect::Do(Deed::Retry(row.id().to_owned()))),
        Action::RetryAll => fx.push(Effect::Do(Deed::Retry(row.post))),
        Action::Cancel => cancel(app, &row, false),
        Action::CancelAll => cancel(app, &row, true),
        Action::Move => moving(app, &row),
        Action::Delete => delete(app, &row),
        Action::Resolve => resolve(app, &row),
        Action::Edit => edit(app, &row, fx),
        Action::Look => look(app, fx),
        Action::Earlier => by_days(app, &row, -1, fx),
        Action::Later => by_days(app, &row, 1, fx),
        _ => {}
    }
    true
}

/// The pictures of the post that is shown, as far as the daemon still has them.
pub(super) fn look(app: &mut App, fx: &mut Effects) {
    let Some(post) = &app.post.post else { return };
    let over = !post.deliveries.is_empty()
        && post.deliveries.iter().all(|it| {
            use m::DeliveryState as D;
            matches!(it.state, D::Published | D::HandedOver | D::Cancelled)
        });
    let picture = |it: &m::Media| (it.name.clone(), it.id.clone());
    let mut all: Vec<_> = post.media.iter().filter(|it| it.kind == "image").map(picture).collect();
    if over || all.is_empty() {
        let why = if all.is_empty() {
            "this post has no pictures"
        } else {
            "its files went with its last delivery"
        };
        return app.say(Tone::Dim, why);
    }
    if all.len() == 1 {
        let (title, id) = all.remove(0);
        return thumbs::look(app, title, Source::Kept(id), fx);
    }
    let line = |(title, id): (String, String)| {
        let picture = Source::Kept(id.clone());
        item(&title.clone(), "", Pick::Look { title, id }).of(picture)
    };
    let items = all.into_iter().map(line);
    let items = items.collect();
    menu(app, "Look at", items);
}

/// Opens what is under the cursor: the post, or the draft to write on.
pub(super) fn open(app: &mut App, fx: &mut Effects) {
    let Some(row) = app.row() else { return };
    if row.delivery.is_none() {
        return edit(app, &row, fx);
    }
    if app.screen == Screen::Post {
        return;
    }
    show(app, row.post.clone(), fx);
    // Known as soon as the post is read.
    app.post.at = 0;
    app.post.wanted = row.delivery.map(|it| it.id);
}

/// The post's own screen.
pub(super) fn show(app: &mut App, id: String, fx: &mut Effects) {
    app.post = crate::tui::app::PostView { id, ..Default::default() };
    go(app, Screen::Post, fx);
}

/// A delivery in words: `the delivery of “Good morning” to x:acme`.
pub(super) fn named(row: &Row) -> String {
    let body = if row.body.is_empty() { "the post".to_owned() } else { text::named(&row.body) };
    match &row.delivery {
        Some(it) => format!("{body} for {}", it.account),
        None => format!("the draft {body}"),
    }
}

fn cancel(app: &mut App, row: &Row, all: bool) {
    let Some(delivery) = &row.delivery else {
        app.say(Tone::Warn, "a draft has nothing to cancel; x deletes it");
        return;
    };
    if let Some(why) = nothing_to_cancel(app, row, all) {
        return app.say(Tone::Warn, why);
    }
    let (id, what) = if all {
        (row.post.clone(), format!("every delivery of {}", text::named(&row.body)))
    } else {
        (delivery.id.clone(), named(row))
    };
    let due = when::full(delivery.due, &delivery.zone, &app.zone);
    let lines = vec![
        format!("Do not send {what}, due {due}."),
        "Whatever is live already stays; x deletes it.".to_owned(),
        format!("It is cancelled at once; for {UNDO_SECONDS} seconds u puts it back to its time and place."),
    ];
    let then = Then::Promise { deed: Deed::Cancel(id), what: format!("cancelling {what}") };
    app.layers.push(Layer::Confirm(Confirm { title: "Cancel?".to_owned(), lines, then }));
}

/// Why a cancel would come too late, and what can be done instead.
fn nothing_to_cancel(app: &App, row: &Row, all: bool) -> Option<String> {
    use m::DeliveryState as D;
    let it = row.delivery.as_ref()?;
    let name = named(row);
    if all {
        let shown = app.post.post.as_ref().filter(|it| it.id == row.post)?;
        let is_over = shown.deliveries.iter().all(|it| is_over(it.state));
        let body = text::named(&row.body);
        return is_over
            .then(|| format!("nothing of {body} waits any more; x deletes it, where it is live too"));
    }
    if row.replaced_by.is_some() {
        return Some(format!("{name} ended, and another delivery stands in its place: choose that one"));
    }
    Some(match it.state {
        D::Published => format!("{name} is published; x deletes it there"),
        D::HandedOver => format!("{name} is in the inbox of the network; x deletes it as far as that goes"),
        D::Cancelled => format!("{name} is cancelled already"),
        D::Missed => format!("{name} missed its time and is not sent; r sends it after all, x deletes it"),
        D::Rejected => format!("{name} was refused and is not sent; r tries it again, x deletes it"),
        _ => return None,
    })
}

/// Nothing more comes of it by itself.
fn is_over(state: m::DeliveryState) -> bool {
    use m::DeliveryState as D;
    matches!(state, D::Published | D::HandedOver | D::Rejected | D::Cancelled | D::Missed)
}

fn moving(app: &mut App, row: &Row) {
    let id = row.post.clone();
    let about =
        "A time such as `tomorrow 9am`, `2026-12-01 09:00`, `monday 17:30`, `+2h` or `now`.".to_owned();
    let then = Ask::Move { id: id.clone() };
    let name = text::named(&row.body);
    let title = format!("Move {name} to");
    if app.queues.is_empty() {
        app.layers.push(Layer::Prompt(Prompt { title, about, entry: Editor::default(), then }));
        return;
    }
    let mut items = vec![item("at a time…", "", Pick::Ask(then, title.clone(), about, String::new()))];
    for it in &app.queues {
        let pick = Pick::MoveToQueue { id: id.clone(), queue: it.name.clone() };
        items.push(item(&format!("queue {}", it.name), "its next free slot", pick));
    }
    menu(app, &title, items);
}

/// The same time of another day, on the clock of the zone it was meant in: a day on which that clock
/// changes has not 24 hours. A time that this day has not becomes the one an hour later.
fn by_days(app: &mut App, row: &Row, days: i64, fx: &mut Effects) {
    let to = row.delivery.as_ref().and_then(|it| {
        let zone = jiff::tz::TimeZone::get(&it.zone).ok()?;
        let to = it.due.to_zoned(zone).checked_add(days.days()).ok()?;
        Some((when::wall(to.timestamp(), &it.zone)?, it.zone.clone()))
    });
    let Some((at, zone)) = to else {
        return app.say(Tone::Warn, "it has no time that could be moved by a day; m gives it one");
    };
    let deed = Deed::Move { id: row.post.clone(), to: r::Move::At(at), tz: Some(zone) };
    fx.push(Effect::Do(deed));
}

fn delete(app: &mut App, row: &Row) {
    let name = text::named(&row.body);
    let to = row.to.join(", ");
    let open = row.delivery.as_ref().is_some_and(|_| has_open(app, row));
    let gone = |local_only| Deed::Delete { id: row.post.clone(), local_only, open };
    if row.delivery.is_none() {
        let lines = vec![format!("The draft {name} goes for good.")];
        let then = Then::Do(gone(true));
        let title = "Delete the draft?".to_owned();
        app.layers.push(Layer::Confirm(Confirm { title, lines, then }));
        return;
    }
    let mut everywhere = vec![
        format!("Delete {name} here and on the networks ({to})."),
        "Where a network does not allow it, the receipt says so. This cannot be undone.".to_owned(),
    ];
    let mut here = vec![
        format!("Delete {name} from Sendoff only."),
        format!("What is live on {to} stays there. This cannot be undone."),
    ];
    if open {
        let first = "What of it waits to be sent is cancelled first, at once.".to_owned();
        everywhere.insert(1, first.clone());
        here.insert(1, first);
    }
    let pick = |lines, local| Pick::Confirm("Delete the post?".to_owned(), lines, gone(local));
    menu(
        app,
        &format!("Delete {name}"),
        vec![
            item("everywhere", "here, and on the networks where they allow it", pick(everywhere, false)),
            item("here only", "what is live stays live", pick(here, true)),
        ],
    );
}

/// Whether something of the row's post has not come to its end, as far as is on the screen.
fn has_open(app: &App, row: &Row) -> bool {
    let is_open = |it: &m::Delivery| !is_over(it.state);
    let shown = app.post.post.iter().filter(|it| it.id == row.post).flat_map(|it| &it.deliveries);
    let others = app.timeline.pages.rows().chain(app.overview.rows()).filter(|it| it.post == row.post);
    row.delivery.iter().chain(shown).chain(others.filter_map(|it| it.delivery.as_ref())).any(is_open)
}

fn resolve(app: &mut App, row: &Row) {
    let Some(it) = row.delivery.as_ref().filter(|it| it.held || it.state == m::DeliveryState::Unknown) else {
        app.say(Tone::Dim, "the fate of this delivery is known");
        return;
    };
    let id = it.id.clone();
    let word =
        |resend, leave| Deed::Resolve { id: id.clone(), word: r::Resolve { published: None, resend, leave } };
    let name = named(row);
    let again = vec![
        format!("You say that {name} is not live. It is sent again."),
        "If it is live after all, it will be there twice.".to_owned(),
    ];
    let leave = vec![
        format!("Leave {name} as it is."),
        "Nobody looks for it any more, and it is not sent.".to_owned(),
    ];
    let ask = Ask::Published { id: id.clone() };
    let about = "The address under which it can be seen.".to_owned();
    menu(
        app,
        &format!("Is {name} live?"),
        vec![
            item(
                "yes, at this address…",
                "",
                Pick::Ask(ask, "It is live at".to_owned(), about, String::new()),
            ),
            item(
                "no: send it again",
                "",
                Pick::Confirm("Send it again?".to_owned(), again, word(true, false)),
            ),
            item("leave it", "", Pick::Confirm("Leave it?".to_owned(), leave, word(false, true))),
        ],
    );
}

fn edit(app: &mut App, row: &Row, fx: &mut Effects) {
    if app.compose.id.as_ref() == Some(&row.post) {
        return go(app, Screen::Tab(Tab::Compose), fx);
    }
    if let Some(post) = app.post.post.as_ref().filter(|it| it.id == row.post && it.fixed.is_some()) {
        let why = cannot_edit(post);
        return app.say(Tone::Warn, why);
    }
    // What is being written stays in the daemon as a draft; the other one is opened beside it.
    if !app.compose.is_at_rest() {
        app.say(Tone::Warn, app.compose.not_yet());
        return;
    }
    ask(app, Load::Open(row.post.clone()), fx);
}

/// Why a post keeps its text, and what can be done instead.
pub(super) fn cannot_edit(post: &m::Post) -> String {
    let why = post.fixed.as_deref().unwrap_or("nobody can change it any more");
    format!("{} cannot be edited: {why}; x deletes it, n begins a new one", text::named(&post.body))
}
