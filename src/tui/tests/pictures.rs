//! Pictures: the small one beside a menu of files, and the frame of one that is being read.

use ratatui::layout::Size;
use ratatui_image::picker::Picker;

use super::scenes::{filled, picture, press, wait};
use crate::tui::app::App;
use crate::tui::effect::{Effect, Entry, Msg, Source};
use crate::tui::look::{Depth, Look};
use crate::tui::picture::{Shown, drawn};
use crate::tui::update::update;

/// Choosing among files, on a terminal of this size with these colours.
fn choosing(size: (u16, u16), depth: Depth) -> App {
    let mut app = filled(size, Look { depth, ascii: false });
    press(&mut app, "n<Tab><Enter><Enter>");
    let file = |name: &str, bytes| Entry { name: name.into(), path: format!("/home/a/{name}").into(), bytes };
    let found = vec![
        file("ovens", None),
        file("film.mp4", Some(9)),
        file("loaf.png", Some(2_048)),
        file("rolls.JPG", Some(4_096)),
    ];
    update(&mut app, Msg::Browsed(Ok(("/home/a".into(), found))));
    app
}

fn thumbs(effects: Vec<Effect>) -> Vec<(Source, (u16, u16))> {
    let one = |it| if let Effect::Thumb { source, cells } = it { Some((source, cells)) } else { None };
    effects.into_iter().filter_map(one).collect()
}

fn file(name: &str) -> Source {
    Source::File(format!("/home/a/{name}").into())
}

/// A picture of stripes, for so many cells of half blocks.
fn stripes((width, height): (u16, u16)) -> Shown {
    let picture = image::RgbImage::from_fn(64, 64, |_, y| {
        image::Rgb(if y % 2 == 0 { [200, 30, 30] } else { [30, 30, 200] })
    });
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(picture).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let size = Size::new(width, height);
    drawn(png.get_ref(), "64×64".into(), &Picker::halfblocks(), size, Depth::True).unwrap()
}

#[test]
fn the_file_under_the_cursor_has_its_picture_beside_the_list_on_both_sizes() {
    for (size, cells) in [((80, 24), (26, 12)), ((200, 50), (48, 22))] {
        let mut app = choosing(size, Depth::True);
        // On a directory there is none; a film has none either.
        assert_eq!(thumbs(wait(&mut app, 1)), []);
        press(&mut app, "jj");
        assert_eq!(thumbs(wait(&mut app, 1)), []);
        assert_eq!(thumbs(press(&mut app, "j")), [], "not before the cursor rests");
        assert_eq!(thumbs(wait(&mut app, 1)), [(file("loaf.png"), cells)]);
        let shown = picture(&mut app);
        assert!(shown.contains("reading…") && shown.contains("rolls.JPG"), "{shown}");
        assert_eq!(thumbs(wait(&mut app, 1)), [], "once");
        let result = Box::new(Ok(stripes(cells)));
        update(&mut app, Msg::Thumb { source: file("loaf.png"), cells, result });
        let shown = picture(&mut app);
        assert!(shown.contains('▀') && shown.contains("64×64"), "{shown}");
        for name in ["../", "ovens/", "film.mp4", "loaf.png", "2.0 KiB", "rolls.JPG"] {
            let line =
                shown.lines().find(|it| it.contains(name)).unwrap_or_else(|| panic!("{name}: {shown}"));
            let behind = line.split(name).nth(1).unwrap();
            assert!(name != "loaf.png" || behind.contains('▀'), "beside the list: {line}");
        }
        // The next one; what is not to be had says why in its place.
        press(&mut app, "j");
        assert!(!picture(&mut app).contains('▀'));
        assert_eq!(thumbs(wait(&mut app, 1)), [(file("rolls.JPG"), cells)]);
        let result = Box::new(Err("40.0 MiB: large; i shows it".to_owned()));
        update(&mut app, Msg::Thumb { source: file("rolls.JPG"), cells, result });
        assert!(picture(&mut app).contains("40.0 MiB: large; i"));
    }
}

#[test]
fn one_picture_is_read_at_a_time_and_the_cursor_may_have_gone_on() {
    let mut app = choosing((80, 24), Depth::Many);
    press(&mut app, "jjj");
    assert_eq!(thumbs(wait(&mut app, 1)).len(), 1);
    press(&mut app, "j");
    assert_eq!(thumbs(wait(&mut app, 1)), [], "the first is still being read");
    let late =
        Msg::Thumb { source: file("loaf.png"), cells: (26, 12), result: Box::new(Ok(stripes((26, 12)))) };
    update(&mut app, late);
    assert!(!picture(&mut app).contains('▀'), "it is not the one under the cursor");
    assert_eq!(thumbs(wait(&mut app, 1)), [(file("rolls.JPG"), (26, 12))]);
    // Whoever leaves the menu is asked for none.
    let mut app = choosing((80, 24), Depth::Many);
    press(&mut app, "jjj<Esc>");
    assert_eq!(thumbs(wait(&mut app, 1)), []);
}

#[test]
fn without_room_or_colours_the_list_has_all_the_place() {
    for (size, depth) in [((70, 24), Depth::True), ((80, 24), Depth::None), ((80, 24), Depth::Sixteen)] {
        let mut app = choosing(size, depth);
        press(&mut app, "jjj");
        assert_eq!(thumbs(wait(&mut app, 1)), [], "{size:?} {depth:?}");
        let shown = picture(&mut app);
        assert!(shown.contains("loaf.png") && !shown.contains("reading…"), "{shown}");
        // The key that shows it is there all the same.
        assert!(matches!(&press(&mut app, "i")[..], [Effect::Look { .. }]));
    }
}

#[test]
fn a_picture_stands_in_its_frame_once_it_is_read_and_one_key_closes_only_that() {
    let mut app = choosing((80, 24), Depth::True);
    let ticket = match &press(&mut app, "jjji")[..] {
        [Effect::Look { ticket, .. }] => *ticket,
        other => panic!("{other:?}"),
    };
    assert!(picture(&mut app).contains("Reading the picture…"));
    update(&mut app, Msg::Picture { ticket, result: Box::new(Ok(stripes((76, 18)))) });
    let shown = picture(&mut app);
    assert!(shown.contains('▀') && shown.contains("loaf.png  64×64"), "{shown}");
    press(&mut app, "<Esc>");
    let shown = picture(&mut app);
    assert!(shown.contains("rolls.JPG") && !shown.contains("64×64"), "{shown}");
}
