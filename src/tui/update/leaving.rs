//! Leaving: nothing that was written is lost on the way, and what was confirmed is done.

use std::path::PathBuf;

use super::{Effects, go};
use crate::tui::app::{App, Promise, Screen, Tab};
use crate::tui::compose::Compose;
use crate::tui::effect::{Deed, Effect, Trouble};
use crate::tui::layer::{Confirm, Layer, Sheet, Then};
use crate::tui::look::Tone;
use crate::tui::remains::Remains;
use crate::tui::text;

/// How long a daemon that is there may take to keep the last words before somebody is asked, in seconds.
const PATIENCE: i64 = 2;

/// Leaves as soon as everything is kept and done; asks where that cannot be.
pub(super) fn quit(app: &mut App, fx: &mut Effects) {
    if app.compose.is_at_rest() && (app.is_up() || waiting(app).is_empty()) {
        return leave(app, fx);
    }
    if app.leaving.is_none() && can_wait(app) {
        app.leaving = Some(app.now);
        app.compose.hurry();
        app.say(Tone::Dim, "keeping what you wrote…");
        return;
    }
    ask(app);
}

/// Whether the daemon may have everything in a moment.
fn can_wait(app: &App) -> bool {
    app.is_up() && app.compose.uploads.is_empty() && !app.compose.is_refused()
}

/// What is left of a wish to leave, after whatever happened.
pub(super) fn go_on(app: &mut App, fx: &mut Effects) {
    let Some(since) = app.leaving else { return };
    if app.compose.is_at_rest() && app.is_up() {
        leave(app, fx);
    } else if !can_wait(app) || app.now.as_second() - since.as_second() >= PATIENCE {
        ask(app);
    }
}

/// Names what would not be kept or done.
fn ask(app: &mut App) {
    app.leaving = None;
    app.toast = None;
    // A tick alone draws nothing, and it may be one that asks.
    app.dirty = true;
    let mut lines = Vec::new();
    let it = &app.compose;
    if !it.is_at_rest() {
        let name = text::named(it.common.parts.first().map_or("", |it| it.text()));
        let why = match (&it.unsaved, it.uploads.first()) {
            (Some((_, trouble)), _) if it.is_refused() => format!("the daemon says: {}", trouble.message),
            (_, Some(upload)) if app.is_up() => format!("{} is still on its way up", upload.path.display()),
            _ if app.is_up() => "the daemon does not answer".to_owned(),
            _ => "there is no daemon".to_owned(),
        };
        lines.push(format!("{name} is not kept yet: {why}."));
        lines.push(
            "If you leave, it goes into a file of this machine, and the next start of the console offers it."
                .to_owned(),
        );
    }
    for what in waiting(app) {
        lines.push(format!("Not done, and not done if you leave: {what}."));
    }
    let title = "Leave now?".to_owned();
    app.layers.push(Layer::Confirm(Confirm { title, lines, then: Then::Leave }));
}

/// What was confirmed and is not with the daemon.
pub(super) fn waiting(app: &App) -> Vec<String> {
    app.promised.iter().filter(|it| !it.sent).map(|it| it.what.clone()).collect()
}

/// The end, however it comes: what was promised is tried once more.
pub(super) fn leave(app: &mut App, fx: &mut Effects) {
    send(app, true, fx);
    while let Some(layer) = app.layers.pop() {
        if let Layer::Connect(it) = layer
            && let Some(id) = it.id
        {
            fx.push(Effect::Leave(id));
        }
    }
    app.leaving = None;
    app.quit = true;
}

/// Sends what was promised; `anyway`: even to a daemon that does not seem to be there.
pub(super) fn send(app: &mut App, anyway: bool, fx: &mut Effects) {
    if !app.is_up() && !anyway {
        return;
    }
    for it in app.promised.iter_mut().filter(|it| !it.sent) {
        it.sent = true;
        fx.push(Effect::Do(it.deed.clone()));
    }
}

/// A deed that must be done, whatever becomes of the line: it is on its way at once, or as soon as there is
/// a daemon.
pub(super) fn promise(app: &mut App, deed: Deed, what: String, fx: &mut Effects) {
    app.say(Tone::Dim, "at work…");
    app.promised.push(Promise { deed, what, sent: false });
    send(app, false, fx);
}

/// A promise was kept, or not: one that the daemon never heard of stays a promise, and one that it would
/// not keep is told of until somebody has read it. True: there is no more to say.
pub(super) fn settled(app: &mut App, deed: &Deed, result: Result<(), &Trouble>) -> bool {
    let Some(n) = app.promised.iter().position(|it| it.sent && it.deed == *deed) else { return false };
    match result {
        Ok(()) => {
            app.promised.remove(n);
            false
        }
        Err(trouble) if trouble.lost => {
            app.promised[n].sent = false;
            true
        }
        Err(trouble) => {
            let it = app.promised.remove(n);
            let mut lines = vec![(Tone::Bad, it.what), (Tone::Plain, trouble.message.clone())];
            lines.extend(trouble.hint.iter().map(|it| (Tone::Accent, text::in_fields(it))));
            // A cancel whose answer was lost and that was said again has been done.
            let title = if trouble.code == "already_over" { "Already over" } else { "Not done" };
            app.layers.push(Layer::Sheet(Sheet { title: title.to_owned(), lines, indent: "", top: 0 }));
            true
        }
    }
}

/// An earlier run left a page: whoever comes next is asked.
pub(super) fn found(app: &mut App, path: PathBuf, remains: Box<Remains>, more: usize) {
    let first = remains.parts.iter().chain(remains.voices.values().flat_map(|it| &it.parts));
    let name = text::named(first.map(String::as_str).find(|it| !it.trim().is_empty()).unwrap_or_default());
    let mut lines = vec![
        format!("{name} was written here when there was no daemon to keep it."),
        "With a yes it is on Compose again and is kept; n leaves it for the next start.".to_owned(),
    ];
    if more > 0 {
        lines.push(format!("{more} more will be offered after it, one at each start."));
    }
    let title = "Go on with what was not kept?".to_owned();
    app.layers.push(Layer::Confirm(Confirm { title, lines, then: Then::TakeUp { path, remains } }));
}

pub(super) fn take_up(app: &mut App, path: PathBuf, remains: Remains, fx: &mut Effects) {
    if !app.compose.is_at_rest() {
        return app.say(Tone::Warn, app.compose.not_yet());
    }
    let again: Vec<String> = remains.uploads.iter().map(|it| it.display().to_string()).collect();
    app.compose = remains.open(path, app.now);
    go(app, Screen::Tab(Tab::Compose), fx);
    if !again.is_empty() {
        app.say(Tone::Warn, format!("was still on its way up; add it again: {}", again.join(", ")));
    }
}

/// What is written is with the daemon: the file of an earlier run has done its service.
pub(super) fn forget(compose: &mut Compose, fx: &mut Effects) {
    if let Some(path) = compose.file.take() {
        fx.push(Effect::Forget(path));
    }
}
