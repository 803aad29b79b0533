//! Questions, menus and lines over a screen: they take every key until they are answered.

use super::{Effects, act as act_below, connecting, fields, leaving, rows, screens, thumbs, undo, writing};
use crate::control::requests as r;
use crate::tui::app::App;
use crate::tui::editor::Editor;
use crate::tui::effect::{Deed, Effect, Source};
use crate::tui::keys::Action;
use crate::tui::layer::{Ask, Confirm, Layer, Pick, Prompt, Then};
use crate::tui::look::Tone;

pub(super) fn act(app: &mut App, action: Action, fx: &mut Effects) {
    if matches!(app.layers.last(), Some(Layer::Connect(_))) {
        return connecting::answer(app, action, fx);
    }
    if writing::edit_key(app, action) {
        return;
    }
    match action {
        Action::Back | Action::No => {
            app.layers.pop();
        }
        Action::Yes => confirmed(app, fx),
        Action::Enter => entered(app, fx),
        Action::Up => moved(app, -1),
        Action::Down => moved(app, 1),
        Action::PageUp => moved(app, -10),
        Action::PageDown => moved(app, 10),
        // Longer than any of them.
        Action::Top => moved(app, -100_000),
        Action::Bottom => moved(app, 100_000),
        Action::Look => peek(app, fx),
        Action::Undo => undo::over_a_sheet(app, fx),
        Action::Tick | Action::TickAll => tick(app, action == Action::TickAll),
        _ => {}
    }
}

/// Shows the picture that the line under the cursor of a menu is about; the menu stays below.
fn peek(app: &mut App, fx: &mut Effects) {
    let Some(Layer::Menu(it)) = app.layers.last() else { return };
    let Some(item) = it.items.get(it.at) else { return };
    let (title, source) = match (&item.pick, &item.picture) {
        (Pick::File(path), _) => (item.label.clone(), Source::File(path.clone())),
        (Pick::Look { title, .. }, Some(source)) => (title.clone(), source.clone()),
        (_, Some(source)) => (String::new(), source.clone()),
        (_, None) => return,
    };
    thumbs::look(app, title, source, fx);
}

/// The row under the cursor of the layer on top.
pub(super) fn at(app: &App) -> Option<usize> {
    match app.layers.last()? {
        Layer::Menu(it) => Some(it.at),
        Layer::Marks(it) => Some(it.at),
        Layer::Palette(it) => Some(it.at),
        Layer::Connect(it) => it.found.is_some().then_some(it.at),
        Layer::Confirm(_) | Layer::Prompt(_) | Layer::Sheet(_) | Layer::Picture(_) => None,
    }
}

pub(super) fn jump(app: &mut App, row: usize) {
    if let Some(at) = at(app) {
        moved(app, row.cast_signed() - at.cast_signed());
    }
}

fn moved(app: &mut App, by: isize) {
    match app.layers.last_mut() {
        Some(Layer::Menu(it)) => it.at = screens::moved(it.at, by, it.items.len()),
        Some(Layer::Marks(it)) => it.at = screens::moved(it.at, by, it.items.len()),
        Some(Layer::Palette(it)) => it.at = screens::moved(it.at, by, it.found().len()),
        // How far it goes is known where its lines are broken.
        Some(Layer::Sheet(it)) => it.top = it.top.saturating_add_signed(by),
        Some(Layer::Connect(it)) => {
            it.at = screens::moved(it.at, by, it.found.as_ref().map_or(0, Vec::len));
        }
        Some(Layer::Confirm(_) | Layer::Prompt(_) | Layer::Picture(_)) | None => {}
    }
}

fn tick(app: &mut App, all: bool) {
    let Some(Layer::Marks(it)) = app.layers.last_mut() else { return };
    if all {
        let on = !it.items.iter().all(|it| it.2);
        it.items.iter_mut().for_each(|it| it.2 = on);
    } else if let Some(item) = it.items.get_mut(it.at) {
        item.2 = !item.2;
    }
}

fn confirmed(app: &mut App, fx: &mut Effects) {
    let Some(Layer::Confirm(it)) = app.layers.pop() else { return };
    match it.then {
        Then::Do(deed) => {
            app.say(Tone::Dim, "at work…");
            fx.push(Effect::Do(deed));
        }
        Then::Promise { deed, what } => leaving::promise(app, deed, what, fx),
        Then::Discard => writing::discard(app, fx),
        Then::Leave => leaving::leave(app, fx),
        Then::TakeUp { path, remains } => leaving::take_up(app, path, *remains, fx),
        Then::Show(id) => rows::show(app, id, fx),
    }
}

fn entered(app: &mut App, fx: &mut Effects) {
    match app.layers.pop() {
        Some(Layer::Menu(it)) => {
            let pick = it.items.get(it.at).map(|it| it.pick.clone());
            // Whoever has looked at one picture may want to see the next.
            if matches!(pick, Some(Pick::Look { .. })) {
                app.layers.push(Layer::Menu(it));
            }
            if let Some(pick) = pick {
                picked(app, pick, fx);
            }
        }
        Some(Layer::Prompt(it)) => filled_in(app, it, fx),
        Some(Layer::Marks(it)) => {
            let chosen = it.items.into_iter().filter(|it| it.2).map(|it| it.0).collect();
            fields::chosen(app, chosen);
        }
        Some(Layer::Palette(it)) => {
            let action = it.found().get(it.at).map(|it| it.action);
            if let Some(action) = action {
                act_below(app, action, fx);
            }
        }
        Some(Layer::Sheet(_) | Layer::Picture(_)) | None => {}
        // A question is answered by yes or no.
        Some(other @ (Layer::Confirm(_) | Layer::Connect(_))) => app.layers.push(other),
    }
}

fn picked(app: &mut App, pick: Pick, fx: &mut Effects) {
    match pick {
        Pick::State(state) => screens::filter(app, |it| it.state = state, fx),
        Pick::Account(account) => screens::filter(app, |it| it.account = account, fx),
        Pick::Network(platform) => screens::filter(app, |it| it.platform = platform, fx),
        Pick::Connect { platform, kind } => connecting::chosen(app, platform, kind, fx),
        Pick::Ask(then, title, about, was) => {
            app.layers.push(Layer::Prompt(Prompt { title, about, entry: Editor::new(was), then }));
        }
        Pick::Confirm(title, lines, deed) => {
            app.layers.push(Layer::Confirm(Confirm { title, lines, then: Then::Do(deed) }));
        }
        Pick::MoveToQueue { id, queue } => {
            fx.push(Effect::Do(Deed::Move { id, to: r::Move::Queue(queue), tz: None }));
        }
        Pick::Look { title, id } => thumbs::look(app, title, Source::Kept(id), fx),
        other => fields::picked(app, other, fx),
    }
}

fn filled_in(app: &mut App, it: Prompt, fx: &mut Effects) {
    let text = it.entry.text().trim().to_owned();
    match it.then {
        Ask::Search => {
            screens::filter(app, |filter| filter.text = (!text.is_empty()).then_some(text), fx);
        }
        Ask::Move { id } if !text.is_empty() => {
            fx.push(Effect::Do(Deed::Move { id, to: r::Move::At(text), tz: None }));
        }
        Ask::Published { id } if !text.is_empty() => {
            let word = r::Resolve { published: Some(text), resend: false, leave: false };
            fx.push(Effect::Do(Deed::Resolve { id, word }));
        }
        Ask::Rename { account } if !text.is_empty() => {
            fx.push(Effect::Do(Deed::AccountRename { account, name: text }));
        }
        Ask::Instance { platform } => {
            let instance = (!text.is_empty()).then_some(text);
            connecting::begin(app, r::Connect { platform, instance, ..r::Connect::default() }, fx);
        }
        // Nothing was written: nothing is changed.
        Ask::Move { .. } | Ask::Published { .. } | Ask::Rename { .. } => {}
        Ask::At | Ask::File | Ask::Alt(_) | Ask::Part(_) | Ask::OptionValue { .. } => {
            fields::filled_in(app, it.then, text, fx);
        }
    }
}
