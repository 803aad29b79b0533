//! Pictures: one to look at, and the small one beside a menu of files.
//!
//! A small one is asked for when the cursor has come to rest on its line (with the next tick), one at a
//! time: whoever runs through a directory has none of it decoded.

use super::Effects;
use crate::tui::app::{App, Thumb};
use crate::tui::effect::{Effect, Source};
use crate::tui::layer::{Layer, Picture};
use crate::tui::look::Tone;
use crate::tui::picture::{self, Shown};

/// Opens a picture: its frame at once, what is in it when it is read.
pub(super) fn look(app: &mut App, title: String, source: Source, fx: &mut Effects) {
    let ticket = app.ticket();
    app.layers.push(Layer::Picture(Box::new(Picture { title, ticket, shown: None })));
    fx.push(Effect::Look { ticket, source });
}

/// It is read, or cannot be. Whoever has closed it hears no more of it.
pub(super) fn looked(app: &mut App, ticket: u64, result: Result<Shown, String>) {
    let is_it = |it: &Layer| matches!(it, Layer::Picture(it) if it.ticket == ticket);
    let Some(n) = app.layers.iter().position(is_it) else { return };
    match (result, &mut app.layers[n]) {
        (Ok(shown), Layer::Picture(it)) => it.shown = Some(shown),
        (Err(why), _) => {
            app.layers.remove(n);
            app.say(Tone::Bad, why);
        }
        _ => {}
    }
}

/// The small picture that should stand beside the menu, and its cells.
fn wanted(app: &App) -> Option<(Source, (u16, u16))> {
    let Some(Layer::Menu(it)) = app.layers.last() else { return None };
    let cells = picture::pane(app.size, app.look)?;
    Some((it.items.get(it.at)?.picture.clone()?, cells))
}

/// Asks for it, once the cursor rests.
pub(super) fn rest(app: &mut App, fx: &mut Effects) {
    let Some((source, cells)) = wanted(app) else { return };
    let has = app.thumbs.have.as_ref().is_some_and(|it| it.source == source && it.cells == cells);
    if !has && app.thumbs.asked.is_none() {
        app.thumbs.asked = Some((source.clone(), cells));
        fx.push(Effect::Thumb { source, cells });
    }
}

pub(super) fn made(app: &mut App, it: Thumb) {
    app.thumbs.asked = None;
    app.thumbs.have = Some(it);
}
