//! Writing: the keys of a text, and the fields of a post with what becomes of them.

use std::path::Path;

use super::{Effects, ask, complain, go};
use super::{fields, leaving};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, Discarded, Screen, Tab};
use crate::tui::compose::{Attached, Compose, Field, Time, split};
use crate::tui::editor::Editor;
use crate::tui::effect::{Deed, Effect, Load, Trouble};
use crate::tui::keys::Action;
use crate::tui::layer::{Confirm, Layer, Sheet, Then};
use crate::tui::look::Tone;
use crate::tui::text;

/// The text that keys go to, and how wide it is drawn.
fn editor(app: &mut App) -> Option<(&mut Editor, usize, bool)> {
    match app.layers.last_mut() {
        Some(Layer::Prompt(it)) => return Some((&mut it.entry, usize::MAX, false)),
        Some(Layer::Palette(it)) => return Some((&mut it.entry, usize::MAX, false)),
        Some(Layer::Connect(it)) if it.pasting => return Some((&mut it.entry, usize::MAX, false)),
        Some(_) => return None,
        None => {}
    }
    if app.screen != Screen::Tab(Tab::Compose) {
        return None;
    }
    if app.compose.is_leaving() {
        return None;
    }
    let lines = app.compose.field == Field::Text;
    let cells = if lines { app.compose.cells.max(2) } else { usize::MAX };
    app.compose.editor_mut().map(|it| (it, cells, lines))
}

/// Notes a change of whatever is written.
fn changed(app: &mut App) {
    match app.layers.last_mut() {
        Some(Layer::Palette(it)) => it.at = 0,
        Some(_) => {}
        None => {
            let now = app.now;
            app.compose.touch(now);
        }
    }
}

pub(super) fn type_char(app: &mut App, c: char) {
    if let Some((editor, _, _)) = editor(app) {
        editor.type_char(c);
        changed(app);
    }
}

/// Text that came in one piece. Into one line, line breaks come as blanks.
pub(super) fn paste(app: &mut App, text: &str, _: &mut Effects) {
    if let Some((editor, _, lines)) = editor(app) {
        if lines {
            editor.insert(text);
        } else {
            editor.insert(text.replace(['\r', '\n'], " ").trim());
        }
        changed(app);
    }
}

/// A key that edits text; false: it is none, or there is no text.
pub(super) fn edit_key(app: &mut App, action: Action) -> bool {
    let Some((editor, cells, lines)) = editor(app) else { return false };
    let was = editor.text().len();
    let moved = match action {
        Action::Write(to) => {
            editor.go(to, cells);
            true
        }
        Action::Backspace => {
            editor.backspace();
            false
        }
        Action::DeleteNext => {
            editor.delete_next();
            false
        }
        Action::DeleteWord => {
            editor.delete_word();
            false
        }
        Action::DeleteToEnd => {
            editor.delete_to_end();
            false
        }
        Action::DeleteLine if lines => {
            editor.delete_to_start();
            false
        }
        Action::DeleteLine => {
            editor.clear();
            false
        }
        Action::UndoText => {
            editor.undo();
            false
        }
        Action::RedoText => {
            editor.redo();
            false
        }
        Action::Newline if lines => {
            editor.type_char('\n');
            false
        }
        _ => return false,
    };
    // An undo may leave the length as it was; that costs one save too many.
    if !moved && (was != editor.text().len() || matches!(action, Action::UndoText | Action::RedoText)) {
        changed(app);
    }
    true
}

/// A key on the compose screen.
pub(super) fn act(app: &mut App, action: Action, fx: &mut Effects) {
    if edit_key(app, action) {
        return;
    }
    if app.compose.is_leaving() {
        app.say(Tone::Dim, "it is on its way; one moment");
        return;
    }
    match action {
        Action::PreviousField | Action::Up | Action::Top | Action::PageUp => {
            app.compose.field = app.compose.field.next(-1);
        }
        Action::NextField | Action::Down | Action::Bottom | Action::PageDown => {
            app.compose.field = app.compose.field.next(1);
        }
        Action::Enter => fields::enter(app),
        Action::Submit => submit(app),
        Action::New => new_page(app),
        Action::Voice => fields::voice_menu(app),
        Action::NextVoice | Action::PreviousVoice if app.compose.voices.is_empty() => {
            app.say(Tone::Dim, "there is the common text alone; Alt-V begins an own one");
        }
        Action::NextVoice => app.compose.next_voice(1),
        Action::PreviousVoice => app.compose.next_voice(-1),
        Action::AddPart => {
            let at = app.compose.part + 1;
            app.compose.parts_mut().insert(at, Editor::default());
            app.compose.part = at;
            app.compose.field = Field::Text;
            app.compose.touch(app.now);
        }
        Action::DropPart => drop_part(app),
        Action::NextPart => {
            app.compose.part = (app.compose.part + 1).min(app.compose.parts().len().saturating_sub(1));
        }
        Action::PreviousPart => app.compose.part = app.compose.part.saturating_sub(1),
        Action::SplitParts => split_parts(app),
        Action::External => {
            app.compose.field = Field::Text;
            let text = app.compose.editor().map(|it| it.text().to_owned()).unwrap_or_default();
            fx.push(Effect::Editor(text));
        }
        Action::Verdicts => verdicts(app),
        Action::Remove if app.compose.field == Field::Media => {
            if let Some(gone) = app.compose.media.pop() {
                app.say(Tone::Plain, format!("{} is taken out", gone.name));
                app.compose.touch(app.now);
            }
        }
        Action::Discard => {
            let name = text::named(app.compose.common.parts.first().map_or("", Editor::text));
            let lines = vec![format!("Throw {name} away, with everything written on this page.")];
            let title = "Throw this draft away?".to_owned();
            app.layers.push(Layer::Confirm(Confirm { title, lines, then: Then::Discard }));
        }
        _ => {}
    }
}

/// Everything the networks say, on a sheet that can be scrolled.
fn verdicts(app: &mut App) {
    let cells = usize::from(app.size.0).saturating_sub(8).clamp(8, 96);
    let told = crate::tui::verdicts::lines(app, cells, true);
    let lines = told.into_iter().map(|it| (it.tone, it.text)).collect();
    let title = "What the networks say, and what each would get".to_owned();
    app.layers.push(Layer::Sheet(Sheet { title, lines, indent: "    ", top: 0 }));
}

fn new_page(app: &mut App) {
    if app.compose.is_blank() && app.compose.uploads.is_empty() {
        app.say(Tone::Dim, "this page is empty already");
    } else if app.compose.is_at_rest() {
        let key = app.draft_key();
        app.compose = Compose::fresh(key);
        app.say(Tone::Good, "a new page; the other one is kept as a draft");
    } else {
        app.say(Tone::Warn, app.compose.not_yet());
    }
}

fn drop_part(app: &mut App) {
    let part = app.compose.part;
    let parts = app.compose.parts_mut();
    if parts.len() == 1 {
        app.say(Tone::Dim, "this is the only part");
        return;
    }
    parts.remove(part);
    app.compose.part = part.saturating_sub(1);
    app.compose.touch(app.now);
    app.say(Tone::Plain, format!("part {} is gone", part + 1));
}

/// Cuts the text under the cursor into parts that every network with threads takes.
fn split_parts(app: &mut App) {
    let concerned = app.compose.networks();
    let longest = app
        .networks
        .iter()
        .filter(|it| it.parts_max > 1 && (concerned.is_empty() || concerned.contains(&it.platform)))
        .map(|it| it.text_max)
        .min();
    let Some(longest) = longest.and_then(|it| usize::try_from(it).ok()) else {
        app.say(Tone::Warn, "none of the chosen networks has threads");
        return;
    };
    let part = app.compose.part;
    let Some(text) = app.compose.editor().map(|it| it.text().to_owned()) else { return };
    let pieces = split(&text, longest);
    if pieces.len() < 2 {
        app.say(Tone::Dim, "it fits one part already");
        return;
    }
    let said = format!("split into {} parts", pieces.len());
    app.compose.parts_mut().splice(part..=part, pieces.into_iter().map(Editor::new));
    app.compose.touch(app.now);
    app.say(Tone::Good, said);
}

fn submit(app: &mut App) {
    if let Some(lack) = app.compose.lacks() {
        app.say(Tone::Warn, lack);
        app.compose.field = match lack {
            it if it.contains("“To”") => Field::To,
            it if it.contains("“When”") => Field::When,
            _ => app.compose.field,
        };
        return;
    }
    if !app.is_up() {
        app.say(Tone::Warn, "the daemon cannot be reached; your text is kept here until it can");
        return;
    }
    app.compose.unsaved = None;
    app.compose.error = None;
    app.compose.submit = true;
}

/// What should go to the daemon after whatever happened: a check, the text to keep, the post itself.
pub(super) fn go_on(app: &mut App, fx: &mut Effects) {
    if !app.is_up() {
        return;
    }
    let now = app.now;
    for it in &mut app.discarded {
        if let Some(ask) = it.again.take() {
            it.sent = Some(ask.clone());
            fx.push(Effect::Create(ask));
        }
    }
    let it = &mut app.compose;
    fx.extend(it.wishes(now));
    if !it.submit || it.saving.is_some() || it.sending {
        return;
    }
    if let Some((_, trouble)) = it.unsaved.as_ref().filter(|at| at.0 == it.revision) {
        it.error = Some(trouble.clone());
        it.submit = false;
        return;
    }
    if !it.is_kept() {
        return;
    }
    it.submit = false;
    let to = match it.time.clone() {
        Some(Time::Now) => Some(r::Move::At("now".to_owned())),
        Some(Time::At(when)) => Some(r::Move::At(when)),
        Some(Time::Queue(queue)) => Some(r::Move::Queue(queue)),
        Some(Time::Draft) | None => None,
    };
    let deed = match (&it.original, it.id.clone(), to) {
        (Some(original), copy, to) => {
            let ask = Box::new(it.amended(original));
            Deed::Amend { id: original.id.clone(), ask, to, copy }
        }
        (None, Some(id), Some(to)) => Deed::Schedule { id, to, tz: None },
        _ => {
            let key = app.draft_key();
            app.compose = Compose::fresh(key);
            app.say(Tone::Good, "kept as a draft");
            go(app, Screen::Tab(Tab::Overview), fx);
            return;
        }
    };
    it.sending = true;
    fx.push(Effect::Do(deed));
}

/// The daemon has what was written, or would not take it.
pub(super) fn saved(app: &mut App, key: &str, result: Result<m::Post, Trouble>, fx: &mut Effects) {
    if key != app.compose.key {
        let Some(n) = app.discarded.iter().position(|it| it.key == key) else { return };
        match result {
            Ok(post) => {
                app.discarded.remove(n);
                fx.push(Effect::Do(Deed::Delete { id: post.id, local_only: true, open: false }));
            }
            // Asked for again as soon as there is a daemon.
            Err(trouble) if trouble.lost => app.discarded[n].again = app.discarded[n].sent.take(),
            Err(_) => drop(app.discarded.remove(n)),
        }
        return;
    }
    let revision = app.compose.saving.take();
    let creating = app.compose.creating.take();
    match result {
        Ok(post) => {
            app.compose.unsure = false;
            app.compose.id = Some(post.id);
            app.compose.version = post.version;
            app.compose.saved = revision.unwrap_or(app.compose.saved);
            app.compose.saved_at = Some(app.now);
            app.compose.unsaved = None;
            if app.compose.is_kept() {
                leaving::forget(&mut app.compose, fx);
            }
        }
        // Tried again with the next change or tick; what is here is newer anyway.
        Err(trouble) if trouble.lost => {
            app.compose.changed_at = Some(app.now);
            app.compose.unsure = creating.is_none();
            app.compose.lost = creating;
        }
        Err(trouble)
            if matches!(trouble.code.as_str(), "unknown_id" | "changed_meanwhile" | "not_a_draft") =>
        {
            // Somebody else changed or deleted the draft. Nothing written here may be lost: it becomes one
            // of its own.
            let key = app.draft_key();
            let first = app.compose.id.take();
            app.compose.key = key;
            app.compose.saved = 0;
            app.compose.revision += 1;
            app.compose.changed_at = Some(app.now);
            // It must not go out beside the first one, unasked.
            let was_sent = std::mem::take(&mut app.compose.submit);
            if let (Some(id), true) = (first, was_sent && trouble.code == "not_a_draft") {
                return may_be_out(app, id);
            }
            let said = if was_sent { "; it was not sent" } else { "" };
            app.say(
                Tone::Warn,
                format!("the draft was changed elsewhere; yours is kept as one of its own{said}"),
            );
        }
        Err(trouble) => {
            app.say(Tone::Bad, format!("not kept yet: {}", trouble.message));
            app.compose.unsaved = revision.map(|it| (it, trouble));
        }
    }
}

/// A draft that was to be sent is none any more: an earlier order to send it has arrived after all.
fn may_be_out(app: &mut App, id: String) {
    let name = text::named(app.compose.common.parts.first().map_or("", Editor::text));
    let lines = vec![
        format!("{name} has its time already, or is out: an earlier Ctrl-S has arrived, its answer has not."),
        "What stands here now is kept as a draft of its own, and was not sent.".to_owned(),
        "y opens the one that was sent.".to_owned(),
    ];
    let title = "It may be out already".to_owned();
    app.layers.push(Layer::Confirm(Confirm { title, lines, then: Then::Show(id) }));
}

/// The daemon looked at what was written.
pub(super) fn checked(app: &mut App, revision: u64, result: Result<m::Check, Trouble>) {
    app.compose.checking = None;
    let time = app.compose.checking_time.take();
    match result {
        Err(trouble) if trouble.lost => app.compose.check_lost_at = Some(app.now),
        // Perhaps the time alone: the next round asks without it.
        Err(trouble) if time.is_some() && matches!(trouble.code.as_str(), "bad_time" | "past_time") => {
            app.compose.time_refused = time.map(|it| (it, trouble));
        }
        other => app.compose.checked = Some((revision, other)),
    }
}

/// A file is there, for the page and the part that it was chosen for.
pub(super) fn uploaded(app: &mut App, ticket: u64, path: &Path, result: Result<m::Uploaded, Trouble>) {
    let Some(n) = app.compose.uploads.iter().position(|it| it.ticket == ticket) else {
        // Only a page that was thrown away is left while one is on its way.
        if result.is_ok() {
            app.say(Tone::Dim, format!("{} came for a page that is gone; no post has it", path.display()));
        }
        return;
    };
    let part = app.compose.uploads.remove(n).part;
    match result {
        Ok(it) => {
            app.say(Tone::Good, format!("{} is there; describe it for those who cannot see it", it.name));
            app.compose.media.push(Attached {
                id: it.id,
                name: it.name,
                kind: it.kind,
                bytes: it.bytes,
                alt: String::new(),
                part,
            });
            app.compose.touch(app.now);
        }
        Err(mut trouble) => {
            trouble.message = format!("{}: {}", path.display(), trouble.message);
            complain(app, &trouble);
        }
    }
}

/// The text came back from `$EDITOR`.
pub(super) fn edited(app: &mut App, result: Result<String, String>) {
    match result {
        Ok(text) => {
            // Editors end a file with a line feed that nobody wrote.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let part = app.compose.part;
            if let Some(editor) = app.compose.parts_mut().get_mut(part)
                && editor.text() != text
            {
                editor.set(text);
                app.compose.touch(app.now);
            }
        }
        Err(why) => app.say(Tone::Bad, why),
    }
}

/// The page is thrown away, here and in the daemon.
pub(super) fn discard(app: &mut App, fx: &mut Effects) {
    let it = &mut app.compose;
    if it.id.is_none() && (it.saving.is_some() || it.lost.is_some()) {
        let (again, sent) = (it.lost.take(), it.creating.take());
        app.discarded.push(Discarded { key: it.key.clone(), again, sent });
    }
    if let Some(id) = app.compose.id.take() {
        fx.push(Effect::Do(Deed::Delete { id, local_only: true, open: false }));
    }
    leaving::forget(&mut app.compose, fx);
    let key = app.draft_key();
    app.compose = Compose::fresh(key);
    ask(app, Load::Drafts, fx);
}
