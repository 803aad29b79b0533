//! The timeline: every delivery there is, a page at a time.

use ratatui::layout::Rect;

use super::pen::Pen;
use super::rows;
use crate::tui::app::App;
use crate::tui::effect::Load;
use crate::tui::look::Tone;

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let filter = &app.timeline.filter;
    let mut shown = Vec::new();
    for (name, value) in [
        ("state", &filter.state),
        ("account", &filter.account),
        ("network", &filter.platform),
        ("text", &filter.text),
    ] {
        shown.extend(value.as_ref().map(|it| format!("{name} {it}")));
    }
    let order = if filter.order.as_deref() == Some("oldest") { "oldest first" } else { "newest first" };
    let what = if shown.is_empty() { "everything".to_owned() } else { shown.join(", ") };
    let clear = if shown.is_empty() { "" } else { "  (0 shows everything)" };
    pen.put(1, body.y, usize::from(body.width) - 2, &format!("Showing {what}, {order}{clear}"), Tone::Plain);
    rows::head(pen, Rect { y: body.y + 1, height: 1, ..body });
    let list = Rect { y: body.y + 2, height: body.height - 2, ..body };
    let pages = &mut app.timeline.pages;
    pages.scroll(usize::from(list.height));
    let (at, top, len) = (pages.at, pages.top, pages.len());
    if len == 0 {
        let asking = app.asked.iter().any(|it| matches!(it, Load::Page { .. }));
        let said = match &app.timeline.error {
            Some(trouble) => trouble.message.clone(),
            None if asking || !app.timeline.pages.ended => "…".to_owned(),
            None => "Nothing fits.".to_owned(),
        };
        return pen.note(list, &said);
    }
    let rows: Vec<_> = app.timeline.pages.rows().skip(top).take(usize::from(list.height)).cloned().collect();
    for (n, (y, row)) in (list.y..list.bottom()).zip(&rows).enumerate() {
        rows::draw(pen, app, Rect { y, height: 1, ..list }, row, top + n, top + n == at);
    }
}
