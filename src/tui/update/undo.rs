//! Second thoughts: what the daemon has cancelled or moved and can still put back. What was done last goes
//! back first, and each has its own time.

use super::{Effects, soon};
use crate::tui::app::{App, Step, UNDO_SECONDS, Undo};
use crate::tui::effect::{Deed, Effect, Trouble};
use crate::tui::layer::Layer;
use crate::tui::look::Tone;

/// From now on `u` brings the ticket back to the daemon.
pub(super) fn offer(app: &mut App, post: String, ticket: String, word: &'static str, what: String) {
    let until = soon(app, UNDO_SECONDS);
    app.undo.push(Undo { post, ticket, word, what, until, step: Step::Open });
}

/// How many of them a key reaches, behind the words of what was just done.
pub(super) fn told(app: &App) -> String {
    match app.undo.iter().filter(|it| it.step == Step::Open).count() {
        0 => String::new(),
        1 => " (u takes it back)".to_owned(),
        n => format!(" (u takes it back, then {} more)", n - 1),
    }
}

/// Whether `u` means anything now.
pub(super) fn is_offered(app: &App) -> bool {
    app.undo.iter().any(|it| it.step == Step::Open) || !app.promised.is_empty() || app.moves > 0
}

pub(super) fn take_back(app: &mut App, fx: &mut Effects) {
    // Confirmed after whatever the daemon has done.
    if let Some(n) = app.promised.iter().rposition(|it| !it.sent) {
        let what = app.promised.remove(n).what;
        return app.say(Tone::Good, format!("taken back: {what}"));
    }
    // The way back comes with the answer, and it would be the first to go.
    if !app.promised.is_empty() || app.moves > 0 {
        return app.say(Tone::Dim, "it is on its way to the daemon; u once more, in a moment");
    }
    if app.undo.is_empty() {
        return app.say(Tone::Dim, "there is nothing to take back any more");
    }
    if let Some(it) = app.undo.iter_mut().rfind(|it| it.step == Step::Open) {
        it.step = Step::Wanted;
    }
    app.say(Tone::Dim, "at work…");
    send(app, fx);
}

/// One after the other, or an older one might overtake a newer one.
fn send(app: &mut App, fx: &mut Effects) {
    if app.undo.iter().any(|it| it.step == Step::Sent) {
        return;
    }
    if let Some(it) = app.undo.iter_mut().rfind(|it| it.step == Step::Wanted) {
        it.step = Step::Sent;
        fx.push(Effect::Do(Deed::Undo { id: it.post.clone(), ticket: it.ticket.clone() }));
    }
}

/// What the daemon said to a ticket. What is still open there is offered on.
pub(super) fn answered(app: &mut App, ticket: &str, result: Result<(), &Trouble>, fx: &mut Effects) {
    let Some(n) = app.undo.iter().position(|it| it.ticket == ticket) else { return };
    let is_shut = |it: &&Trouble| matches!(it.code.as_str(), "nothing_to_undo" | "changed_meanwhile");
    match result {
        Err(trouble) if !is_shut(&trouble) && trouble.code != "unknown_id" => {
            // Nobody knows what comes of the others either: each is asked for again by its own key.
            app.undo.iter_mut().for_each(|it| it.step = Step::Open);
        }
        _ => {
            app.undo.remove(n);
            send(app, fx);
        }
    }
}

/// Time passes.
pub(super) fn pass(app: &mut App) {
    let now = app.now;
    app.undo.retain(|it| it.until > now || it.step != Step::Open);
}

/// The key over something to read: that is closed, and what it may be about goes back.
pub(super) fn over_a_sheet(app: &mut App, fx: &mut Effects) {
    if is_offered(app) && matches!(app.layers.last(), Some(Layer::Sheet(_) | Layer::Picture(_))) {
        app.layers.pop();
    }
    take_back(app, fx);
}
