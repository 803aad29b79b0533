//! Writing: the keys of a text, and the fields of a post with what becomes of them.

use std::path::{Path, PathBuf};

use super::screens::{item, menu};
use super::{Effects, ask, complain, go};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, Screen, Tab};
use crate::tui::compose::{Attached, Compose, Field, Time, Voice, split};
use crate::tui::editor::Editor;
use crate::tui::effect::{Deed, Effect, Load, Trouble};
use crate::tui::keys::Action;
use crate::tui::layer::{Ask, Confirm, Layer, Marks, Pick, Prompt, Then};
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
    match action {
        Action::PreviousField | Action::Up | Action::Top | Action::PageUp => {
            app.compose.field = app.compose.field.next(-1);
        }
        Action::NextField | Action::Down | Action::Bottom | Action::PageDown => {
            app.compose.field = app.compose.field.next(1);
        }
        Action::Enter => enter(app),
        Action::Submit => submit(app),
        Action::New => new_page(app),
        Action::Voice => voice_menu(app),
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

fn new_page(app: &mut App) {
    if app.compose.is_blank() {
        app.say(Tone::Dim, "this page is empty already");
    } else if app.compose.is_kept() {
        let key = app.draft_key();
        app.compose = Compose::fresh(key);
        app.say(Tone::Good, "a new page; the other one is kept as a draft");
    } else {
        app.say(Tone::Warn, "one moment: what you wrote is still being kept");
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

fn enter(app: &mut App) {
    match app.compose.field {
        Field::To => targets(app),
        Field::Media => media_menu(app),
        Field::Options => options_menu(app),
        Field::When => when_menu(app),
        Field::Comment => app.compose.field = Field::Options,
        Field::Text => {}
    }
}

fn targets(app: &mut App) {
    if app.compose.original.is_some() {
        app.say(
            Tone::Warn,
            "the accounts of a post that has its time are fixed; cancel it and make a new one",
        );
        return;
    }
    if app.accounts.is_empty() {
        app.say(Tone::Warn, "no account is connected yet; press 5, then n (leave this field first)");
        return;
    }
    let to = app.compose.to.clone();
    let mut items: Vec<(String, String, bool)> = app
        .accounts
        .iter()
        .map(|it| {
            let note = match it.state {
                m::AccountState::Ready => it.display_name.clone(),
                other => format!("{} ({other})", it.display_name),
            };
            (it.account.clone(), note, to.contains(&it.account))
        })
        .collect();
    // One that is gone since stays visible, so that it can be taken out.
    let known = |name: &String| app.accounts.iter().any(|it| it.account == *name);
    items.extend(to.iter().filter(|it| !known(it)).map(|it| (it.clone(), "not connected".to_owned(), true)));
    app.layers.push(Layer::Marks(Marks { title: "Who gets it?".to_owned(), items, at: 0, top: 0 }));
}

/// The targets were ticked.
pub(super) fn chosen(app: &mut App, chosen: Vec<String>) {
    if chosen != app.compose.to {
        app.compose.to = chosen;
        app.compose.touch(app.now);
    }
    if app.compose.field == Field::To {
        app.compose.field = Field::Text;
    }
}

fn media_menu(app: &mut App) {
    let file = |text: &str| {
        let about = "A path on this machine; Tab is not needed, paste it or write it.".to_owned();
        Pick::Ask(Ask::File, text.to_owned(), about, String::new())
    };
    let mut items = vec![item("add a file…", "", file("Add a file"))];
    let threads = app.compose.parts().len() > 1;
    for (n, it) in app.compose.media.iter().enumerate() {
        let about =
            "What can be seen, for those who cannot see it. Nothing takes the description away.".to_owned();
        let title = format!("Describe {}", it.name);
        let note = if it.alt.is_empty() { "no description yet" } else { it.alt.as_str() };
        let pick = Pick::Ask(Ask::Alt(n), title, about, it.alt.clone());
        items.push(item(&format!("describe {}", it.name), note, pick));
        if threads {
            let about = "The number of a part, counted from 1.".to_owned();
            let title = format!("{} goes with part", it.name);
            let pick = Pick::Ask(Ask::Part(n), title, about, it.part.to_string());
            items.push(item(&format!("part of {}", it.name), &format!("now {}", it.part), pick));
        }
        items.push(item(&format!("take {} out", it.name), "", Pick::DropFile(n)));
    }
    menu(app, "Media", items);
}

fn options_menu(app: &mut App) {
    let concerned = app.compose.networks();
    let mut items = Vec::new();
    for network in app.networks.iter().filter(|it| concerned.contains(&it.platform)) {
        for it in &network.options {
            let set = app.compose.options.get(&network.platform).and_then(|all| all.get(&it.key));
            let value = set.map_or_else(|| "–".to_owned(), Clone::clone);
            let pick = Pick::Option { platform: network.platform.clone(), key: it.key.clone() };
            let label = format!("{} {} = {value}", network.title, it.key);
            items.push(item(&label, &it.help, pick));
        }
    }
    if items.is_empty() {
        let why =
            if concerned.is_empty() { "choose accounts first" } else { "these networks have no options" };
        app.say(Tone::Dim, why);
        return;
    }
    menu(app, "Options", items);
}

fn when_menu(app: &mut App) {
    let was = match &app.compose.time {
        Some(Time::At(when)) => when.clone(),
        _ => String::new(),
    };
    let about = "A time such as `tomorrow 9am`, `2026-12-01 09:00`, `monday 17:30`, `+2h`.".to_owned();
    let mut items = vec![
        item("at a time…", "", Pick::Ask(Ask::At, "When?".to_owned(), about, was)),
        item("now", "as soon as it is sent", Pick::Now),
    ];
    for it in &app.queues {
        let note = if it.paused { "its next free slot; the queue is paused" } else { "its next free slot" };
        items.push(item(&format!("queue {}", it.name), note, Pick::Queue(it.name.clone())));
    }
    if app.compose.original.is_none() {
        items.push(item("keep it as a draft", "no time yet", Pick::Draft));
    }
    menu(app, "When?", items);
}

fn voice_menu(app: &mut App) {
    let mut items = vec![item("the common text", "for everybody without an own one", Pick::Voice(None))];
    let mut names = app.compose.networks();
    names.extend(app.compose.to.iter().cloned());
    for name in names {
        let own = app.compose.voices.contains_key(&name);
        let note = if own { "has an own text" } else { "begin one with the common text" };
        items.push(item(&format!("own text for {name}"), note, Pick::Voice(Some(name.clone()))));
        if own {
            let label = format!("drop the own text of {name}");
            items.push(item(&label, "it gets the common one again", Pick::DropVoice(name)));
        }
    }
    menu(app, "Whose text?", items);
}

/// What a menu of the compose screen chose.
pub(super) fn picked(app: &mut App, pick: Pick) {
    let now = app.now;
    let compose = &mut app.compose;
    match pick {
        Pick::Now => compose.time = Some(Time::Now),
        Pick::Draft => compose.time = Some(Time::Draft),
        Pick::Queue(queue) => {
            if compose.to.is_empty()
                && let Some(it) = app.queues.iter().find(|it| it.name == queue)
            {
                compose.to.clone_from(&it.accounts);
            }
            compose.time = Some(Time::Queue(queue));
        }
        Pick::Voice(voice) => {
            if let Some(name) = &voice
                && !compose.voices.contains_key(name)
            {
                let parts = compose.common.parts.iter().map(|it| Editor::new(it.text())).collect();
                compose.voices.insert(name.clone(), Voice { parts, comment: None });
            }
            compose.voice = voice;
            compose.part = 0;
            compose.field = Field::Text;
        }
        Pick::DropVoice(name) => {
            compose.voices.remove(&name);
            if compose.voice.as_ref() == Some(&name) {
                compose.voice = None;
                compose.part = 0;
            }
        }
        Pick::DropFile(n) => {
            if n < compose.media.len() {
                compose.media.remove(n);
            }
        }
        Pick::Option { platform, key } => return option(app, platform, key),
        Pick::Value { platform, key, value } => {
            set_option(compose, platform, key, value);
        }
        _ => return,
    }
    compose.touch(now);
}

fn set_option(compose: &mut Compose, platform: String, key: String, value: Option<String>) {
    let of_network = compose.options.entry(platform).or_default();
    match value {
        Some(value) => drop(of_network.insert(key, value)),
        None => drop(of_network.remove(&key)),
    }
}

/// One option: its values to choose from, or a line to fill in.
fn option(app: &mut App, platform: String, key: String) {
    let network = app.networks.iter().find(|it| it.platform == platform);
    let Some((title, spec)) =
        network.and_then(|it| Some((it.title.clone(), it.options.iter().find(|it| it.key == key)?)))
    else {
        return;
    };
    let spec = spec.clone();
    let title = format!("{title} {key}");
    if spec.values.is_empty() {
        let was = app.compose.options.get(&platform).and_then(|it| it.get(&key)).cloned();
        let then = Ask::OptionValue { platform, key };
        let entry = Editor::new(was.unwrap_or_default());
        app.layers.push(Layer::Prompt(Prompt { title, about: spec.help, entry, then }));
        return;
    }
    let value = |value: Option<String>| Pick::Value { platform: platform.clone(), key: key.clone(), value };
    let mut items = vec![item("–", "leave it out", value(None))];
    items.extend(spec.values.iter().map(|it| item(it, "", value(Some(it.clone())))));
    menu(app, &title, items);
}

/// A line of the compose screen was filled in.
pub(super) fn filled_in(app: &mut App, then: Ask, text: String, fx: &mut Effects) {
    let now = app.now;
    match then {
        Ask::At => {
            app.compose.time = (!text.is_empty()).then_some(Time::At(text));
        }
        Ask::File => {
            if text.is_empty() {
                return;
            }
            app.compose.uploading += 1;
            fx.push(Effect::Upload(PathBuf::from(unquoted(&text))));
        }
        Ask::Alt(n) => {
            if let Some(it) = app.compose.media.get_mut(n) {
                it.alt = text;
            }
        }
        Ask::Part(n) => {
            let Some(part) = text.parse().ok().filter(|it| *it > 0) else {
                app.say(Tone::Warn, "parts are counted from 1");
                return;
            };
            if let Some(it) = app.compose.media.get_mut(n) {
                it.part = part;
            }
        }
        Ask::OptionValue { platform, key } => {
            set_option(&mut app.compose, platform, key, (!text.is_empty()).then_some(text));
        }
        _ => return,
    }
    app.compose.touch(now);
}

/// A path as terminals paste it when a file is dropped on them.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|it| it.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    text.replace("\\ ", " ")
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
pub(super) fn saved(app: &mut App, result: Result<m::Post, Trouble>) {
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
            app.compose.id = None;
            app.compose.key = key;
            app.compose.saved = 0;
            app.compose.revision += 1;
            app.compose.changed_at = Some(app.now);
            app.say(Tone::Warn, "the draft was changed elsewhere; yours is kept as one of its own");
        }
        Err(trouble) => {
            app.say(Tone::Bad, format!("not kept yet: {}", trouble.message));
            app.compose.unsaved = revision.map(|it| (it, trouble));
        }
    }
}

/// The daemon looked at what was written.
pub(super) fn checked(app: &mut App, revision: u64, result: Result<m::Check, Trouble>) {
    app.compose.checking = None;
    match result {
        Err(trouble) if trouble.lost => {}
        other => app.compose.checked = Some((revision, other)),
    }
}

pub(super) fn uploaded(app: &mut App, path: &Path, result: Result<m::Uploaded, Trouble>) {
    app.compose.uploading = app.compose.uploading.saturating_sub(1);
    match result {
        Ok(it) => {
            app.say(Tone::Good, format!("{} is there; describe it for those who cannot see it", it.name));
            let part = u32::try_from(app.compose.part + 1).unwrap_or(1);
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
    if let Some(id) = app.compose.id.take() {
        fx.push(Effect::Do(Deed::Delete { id, local_only: true }));
    }
    let key = app.draft_key();
    app.compose = Compose::fresh(key);
    ask(app, Load::Drafts, fx);
}
