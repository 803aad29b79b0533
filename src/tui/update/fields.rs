//! The fields around the text of a post: who gets it, files, options, when; and whose text it is.

use std::path::PathBuf;

use super::Effects;
use super::screens::{item, menu};
use crate::control::messages as m;
use crate::domain::schedule::{WhenError, parse_when};
use crate::tui::app::App;
use crate::tui::compose::{Compose, Field, Time, Upload, Voice};
use crate::tui::editor::Editor;
use crate::tui::effect::{Effect, Entry, Source, Trouble};
use crate::tui::layer::{Ask, Layer, Marks, Pick, Prompt};
use crate::tui::look::Tone;
use crate::tui::{picture, when};

pub(super) fn enter(app: &mut App) {
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
    let folder = app.folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let mut items = vec![
        item("choose a file…", "of the machine on which this console runs", Pick::Browse(folder)),
        item("write its path…", "or drop it on the terminal", file("Add a file")),
    ];
    let threads = app.compose.parts().len() > 1;
    for (n, it) in app.compose.media.iter().enumerate() {
        let about =
            "What can be seen, for those who cannot see it. Nothing takes the description away.".to_owned();
        let title = format!("Describe {}", it.name);
        let note = if it.alt.is_empty() { "no description yet" } else { it.alt.as_str() };
        let pick = Pick::Ask(Ask::Alt(n), title, about, it.alt.clone());
        let first = items.len();
        items.push(item(&format!("describe {}", it.name), note, pick));
        let is_picture = it.kind.starts_with("image");
        if is_picture {
            let look = Pick::Look { title: it.name.clone(), id: it.id.clone() };
            items.push(item(&format!("look at {}", it.name), "", look));
        }
        if threads {
            let about = "The number of a part, counted from 1.".to_owned();
            let title = format!("{} goes with part", it.name);
            let pick = Pick::Ask(Ask::Part(n), title, about, it.part.to_string());
            items.push(item(&format!("part of {}", it.name), &format!("now {}", it.part), pick));
        }
        items.push(item(&format!("take {} out", it.name), "", Pick::DropFile(n)));
        for line in items.iter_mut().skip(first).filter(|_| is_picture) {
            line.picture = Some(Source::Kept(it.id.clone()));
        }
    }
    menu(app, "Media", items);
}

fn options_menu(app: &mut App) {
    let concerned = app.compose.networks();
    // What a network found missing or wrong comes first.
    let demands: Vec<(&str, &str)> = match &app.compose.checked {
        Some((_, Ok(check))) => {
            let all = check.targets.iter().flat_map(|it| &it.problems);
            all.map(|it| (it.field.as_str(), it.message.as_str())).collect()
        }
        _ => Vec::new(),
    };
    let mut items = Vec::new();
    let mut first = 0;
    for network in app.networks.iter().filter(|it| concerned.contains(&it.platform)) {
        for it in &network.options {
            let set = app.compose.options.get(&network.platform).and_then(|all| all.get(&it.key));
            let value = set.map_or_else(|| "–".to_owned(), Clone::clone);
            let pick = Pick::Option { platform: network.platform.clone(), key: it.key.clone() };
            let label = format!("{} {} = {value}", network.title, it.key);
            let field = format!("options.{}.{}", network.platform, it.key);
            match demands.iter().find(|it| it.0 == field) {
                Some((_, why)) => {
                    items.insert(first, item(&format!("! {label}"), why, pick));
                    first += 1;
                }
                None => items.push(item(&label, &it.help, pick)),
            }
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

pub(super) fn voice_menu(app: &mut App) {
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
pub(super) fn picked(app: &mut App, pick: Pick, fx: &mut Effects) {
    match pick {
        Pick::Browse(folder) => return fx.push(Effect::Browse(folder)),
        Pick::File(path) => return upload(app, path, fx),
        _ => {}
    }
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
            compose.part = 0;
            compose.speak(voice);
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
            // The daemon judges with the post; without a target nobody would.
            let zone = app.zone.iana_name().unwrap_or("UTC").to_owned();
            let refused = parse_when(&text, app.now, &app.zone, &zone).err();
            // Whether it has passed hangs on the daemon's zone, which may be another one.
            let refused = refused.filter(|it| !text.is_empty() && matches!(it, WhenError::Unreadable { .. }));
            app.compose.time_refused = refused.map(|it| {
                let (message, hint) = (it.to_string(), it.hint());
                let code = "bad_time".to_owned();
                (text.clone(), Trouble { code, message, hint, problems: Vec::new(), lost: false })
            });
            if let Some((_, trouble)) = &app.compose.time_refused {
                super::complain(app, &trouble.clone());
            }
            app.compose.time = (!text.is_empty()).then_some(Time::At(text));
        }
        Ask::File => {
            if text.is_empty() {
                return;
            }
            return upload(app, PathBuf::from(unquoted(&text)), fx);
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

fn upload(app: &mut App, path: PathBuf, fx: &mut Effects) {
    let ticket = app.ticket();
    let part = u32::try_from(app.compose.part + 1).unwrap_or(1);
    app.compose.uploads.push(Upload { ticket, path: path.clone(), part });
    fx.push(Effect::Upload { ticket, path });
}

/// A directory was read: a menu to choose a file from, or to go on.
pub(super) fn browsed(app: &mut App, result: Result<(PathBuf, Vec<Entry>), String>) {
    let (folder, entries) = match result {
        Ok(found) => found,
        Err(why) => return app.say(Tone::Bad, why),
    };
    let mut items = Vec::new();
    if let Some(above) = folder.parent() {
        items.push(item("../", "", Pick::Browse(above.to_owned())));
    }
    for it in entries {
        items.push(match it.bytes {
            None => item(&format!("{}/", it.name), "", Pick::Browse(it.path)),
            Some(bytes) => {
                let line = item(&it.name, &when::size(bytes), Pick::File(it.path.clone()));
                if picture::may_be(&it.path) { line.of(Source::File(it.path)) } else { line }
            }
        });
    }
    if items.iter().all(|it| matches!(it.pick, Pick::Browse(_))) {
        app.say(Tone::Dim, "no pictures, films or documents lie here");
    }
    let title = format!("Add a file from {} (i shows a picture)", folder.display());
    app.folder = Some(folder);
    menu(app, &title, items);
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
