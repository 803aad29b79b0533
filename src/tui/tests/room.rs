//! A small screen hides nothing for good: what does not fit says so, and a key shows it.

use super::scenes::{
    app, at, delivery, draft, filled, held, list, picture, plain, press, rich, scheduled, serve_pages,
    status, trouble,
};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::App;
use crate::tui::compose::{Field, Time};
use crate::tui::effect::{Deed, Effect, Load, Loaded, Msg};
use crate::tui::layer::Layer;
use crate::tui::look::Tone;
use crate::tui::update::update;

/// Three networks that all have something to say.
fn refused(app: &mut App) {
    press(app, "n");
    app.compose.to = vec!["x:acme".into(), "bluesky:acme".into(), "linkedin:acme".into()];
    press(app, "Hello");
    let problem = |n: u32| m::Problem {
        account: None,
        field: "options.x.reply_settings".into(),
        code: "bad".into(),
        message: format!("fault number {n}"),
        hint: Some(format!("remedy number {n}")),
    };
    let target = |account: &str, n: u32| m::CheckTarget {
        account: account.into(),
        ok: false,
        length: m::Length { used: 5, max: 280, unit: "characters".into() },
        comment: None,
        problems: vec![problem(n), problem(n + 1)],
        preview: serde_json::json!([{ "request": "POST /2/tweets", "body": { "text": "would be sent" } }]),
        files: vec![],
        notices: vec![],
        cost_usd: Some("0.02".into()),
        costs: vec![],
    };
    let targets = vec![target("x:acme", 1), target("bluesky:acme", 3), target("linkedin:acme", 5)];
    let check = m::Check { ok: false, targets, cost_usd: Some("0.06".into()) };
    let revision = app.compose.revision;
    update(app, Msg::Checked { revision, result: Box::new(Ok(check)) });
}

#[test]
fn everything_the_networks_say_is_a_key_away_on_a_small_screen() {
    let mut app = app();
    refused(&mut app);
    let shown = picture(&mut app);
    let line = shown.lines().find(|it| it.contains("more lines")).unwrap();
    assert_eq!(line.trim(), "9 more lines: Alt-P shows all", "a line of its own");
    press(&mut app, "<A-p>");
    let mut seen = picture(&mut app);
    for _ in 0..40 {
        press(&mut app, "j");
        seen += &picture(&mut app);
    }
    for n in 1..=6 {
        assert!(seen.contains(&format!("fault number {n}")) && seen.contains(&format!("remedy number {n}")));
    }
    for piece in ["would be sent", "for about 0.02 USD", "linkedin:acme would get", "▼", "▲"] {
        assert!(seen.contains(piece), "{piece}");
    }
    press(&mut app, "<Esc>");
    press(&mut app, "<C-p>");
    press(&mut app, "networks say<Enter>");
    assert!(matches!(app.layers.last(), Some(Layer::Sheet(_))), "and in the palette");
}

#[test]
fn a_sheet_is_read_to_its_end_though_its_lines_are_broken() {
    let mut app = app();
    let long = format!("{}the end", "word ".repeat(900));
    app.say(Tone::Bad, long);
    for _ in 0..20 {
        press(&mut app, "<PageDown>");
        drop(picture(&mut app));
    }
    assert!(picture(&mut app).contains("the end"));
}

#[test]
fn alerts_take_the_rows_that_are_free_and_the_daemon_is_always_told_of() {
    let alert = |n: usize| m::Alert {
        code: "reconnect".into(),
        message: format!("alert number {n} of an account that must be connected again"),
        hint: Some("sendoff account connect".into()),
    };
    let told = |n: usize| {
        let mut app = app();
        update(&mut app, Msg::Up(Box::new(m::Status { alerts: (1..=n).map(alert).collect(), ..status() })));
        app
    };
    // There is room: everything is seen.
    let shown = picture(&mut told(4));
    for piece in ["alert number 1", "alert number 4", "Accounts  ", "Deliveries  ", "Half a thought"] {
        assert!(shown.contains(piece), "{piece}: {shown}");
    }
    // There is not: what is hidden is counted.
    let mut app = told(14);
    let shown = picture(&mut app);
    assert!(shown.contains("more lines: i shows all") && shown.contains("Half a thought"), "{shown}");
    assert!(shown.contains("last tick now, 63.0 GiB free"), "{shown}");
    assert!(!shown.contains("alert number 14"));
    press(&mut app, "i");
    let mut seen = picture(&mut app);
    for _ in 0..20 {
        press(&mut app, "j");
        seen += &picture(&mut app);
    }
    assert!(seen.contains("alert number 14") && seen.contains("Deliveries"));
}

#[test]
fn a_day_is_a_day_on_the_clock_of_the_post_on_both_changes_of_a_year() {
    // Berlin goes to summer time on 28 March 2027, and back on 31 October 2027.
    for (due, key, to) in [
        ("2027-03-27T08:00:00Z", "+", "2027-03-28T09:00:00"),
        ("2027-03-28T07:00:00Z", "-", "2027-03-27T09:00:00"),
        ("2027-10-30T07:00:00Z", "+", "2027-10-31T09:00:00"),
        ("2027-10-31T08:00:00Z", "-", "2027-10-30T09:00:00"),
        // 02:30 is not on that day's clock.
        ("2027-03-27T01:30:00Z", "+", "2027-03-28T03:30:00"),
    ] {
        let mut app = app();
        app.now = at("2027-03-01T00:00:00Z");
        let it =
            m::Delivery { due: at(due), ..delivery("dlv_1", "pst_1", "x:acme", m::DeliveryState::Scheduled) };
        app.screen = crate::tui::app::Screen::Tab(crate::tui::app::Tab::Calendar);
        app.calendar.day = Some(at(due).to_zoned(app.zone.clone()).date());
        app.calendar.month = Some(m::Calendar {
            month: due[..7].into(),
            zone: "Europe/Berlin".into(),
            from: at("2027-03-01T00:00:00Z"),
            to: at("2027-12-01T00:00:00Z"),
            deliveries: vec![it],
            slots: vec![],
            recurring: vec![],
            changes: vec![],
            cut: false,
        });
        let moved = press(&mut app, key);
        let to = r::Move::At(to.into());
        let deed = Deed::Move { id: "pst_1".into(), to, tz: Some("Europe/Berlin".into()) };
        assert!(moved.contains(&Effect::Do(deed)), "{due} {key}: {moved:?}");
    }
}

#[test]
fn a_long_message_is_wrapped_and_a_very_long_one_is_a_sheet() {
    let mut app = app();
    let said =
        "The daemon would not do this, for a reason that takes more than eighty cells to be told (remedy)";
    app.say(Tone::Bad, said);
    let shown = picture(&mut app);
    assert!(shown.contains("The daemon would not") && shown.contains("(remedy)"), "{shown}");
    app.say(Tone::Bad, format!("{}(remedy)", "word ".repeat(60)));
    assert!(matches!(app.layers.last(), Some(Layer::Sheet(_))));
    assert!(picture(&mut app).contains("(remedy)"));
}

#[test]
fn the_way_out_is_in_the_footer_where_letters_are_text() {
    let mut app = app();
    press(&mut app, "n");
    let shown = picture(&mut app);
    assert!(shown.lines().last().unwrap().starts_with(" Esc back  F1 help  Ctrl-S send"), "{shown}");
}

#[test]
fn a_time_of_another_year_keeps_its_clock_on_a_small_screen() {
    let mut app = app();
    let mut late = scheduled();
    for it in &mut late.deliveries {
        it.due = at("2027-01-12T08:30:00Z");
    }
    update(&mut app, Msg::Loaded(Load::Due, Ok(Loaded::Posts(list(vec![late])))));
    let shown = picture(&mut app);
    assert!(shown.contains(" 2027-01-12 09:30 "), "{shown}");
}

#[test]
fn a_menu_says_that_it_goes_on_and_what_a_network_demands_comes_first() {
    let mut app = app();
    refused(&mut app);
    let option = |key: String| m::NetworkOption { key, values: vec![], help: "may be left out".into() };
    app.networks[0].options.splice(0..0, (0..40).map(|n| option(format!("option{n}"))));
    app.compose.field = Field::Options;
    press(&mut app, "<Enter>");
    let shown = picture(&mut app);
    assert!(shown.contains("! X reply_settings = –") && shown.contains("fault number 1"), "{shown}");
    assert!(shown.contains(" more ─┘") || shown.contains(" more "), "{shown}");
    assert!(shown.contains("▼ "), "{shown}");
    press(&mut app, "<PageDown><PageDown>");
    assert!(picture(&mut app).contains("▲ "));
}

#[test]
fn a_bad_time_is_marked_and_hides_no_verdict() {
    let mut app = app();
    refused(&mut app);
    app.compose.field = Field::When;
    // What no daemon would read is said at once, with a target and without.
    for to in [vec!["x:acme".to_owned()], vec![]] {
        app.compose.to = to;
        press(&mut app, "<Enter><Enter>");
        while app.layers.last().is_some_and(|it| matches!(it, Layer::Prompt(it) if !it.entry.is_blank())) {
            press(&mut app, "<BS>");
        }
        press(&mut app, "whenever<Enter>");
        let shown = picture(&mut app);
        assert!(shown.contains("× at whenever") && shown.contains("× When: "), "{shown}");
        assert!(shown.contains("5 of 280 characters"), "{shown}");
    }
    // What the daemon alone knows to be over is asked for once, then left out.
    app.compose.to = vec!["x:acme".into()];
    app.compose.checking = None;
    app.compose.checking_time = None;
    app.compose.time = Some(Time::At("2026-11-23 08:00".into()));
    app.compose.touch(app.now);
    let check = |effects: Vec<Effect>| {
        effects.into_iter().find_map(|it| match it {
            Effect::Check { revision, ask } => Some((revision, ask.when)),
            _ => None,
        })
    };
    let (revision, when) = check(super::scenes::wait(&mut app, 1)).unwrap();
    assert_eq!(when, Some(r::When::At("2026-11-23 08:00".into())));
    let msg = Msg::Checked { revision, result: Box::new(Err(trouble("past_time", false))) };
    let (_, when) = check(update(&mut app, msg)).unwrap();
    assert_eq!(when, None);
    let shown = picture(&mut app);
    assert!(
        shown.contains("× at 2026-11-23 08:00") && shown.contains("× When: it says past_time"),
        "{shown}"
    );
    assert!(shown.contains("5 of 280 characters"), "{shown}");
}

#[test]
fn a_move_that_is_longer_than_what_is_loaded_goes_on_when_the_next_page_is_there() {
    let mut app = app();
    let serve = |app: &mut App, effects: Vec<Effect>| serve_pages(app, effects, 130);
    let first = press(&mut app, "2");
    serve(&mut app, first);
    app.asked.clear();
    let here = |app: &App| app.timeline.pages.here().unwrap().post.clone();
    // Three pages of 18 rows, pressed before the second fifty are there.
    let more = press(&mut app, "<PageDown><PageDown><PageDown>");
    assert_eq!(here(&app), "pst_49");
    serve(&mut app, more);
    assert_eq!(here(&app), "pst_54");
    let more = press(&mut app, "G");
    serve(&mut app, more);
    assert_eq!(here(&app), "pst_129", "the real end");
    drop(held());
}

#[test]
fn what_a_search_found_first_stays_while_it_looks_on_through_a_large_store() {
    use crate::tui::pages::Pages;
    let mut pages = Pages::new();
    pages.take(0, &[scheduled(), held()], Some("1".into()));
    let (rows, first) = (pages.len(), pages.here().unwrap().id().to_owned());
    for index in 1..200 {
        pages.take(index, &[], Some((index + 1).to_string()));
    }
    assert_eq!((pages.len(), pages.here().unwrap().id()), (rows, first.as_str()));
    pages.take(200, &[draft()], None);
    assert_eq!((pages.len(), pages.has_behind(), pages.at), (rows + 1, false, 0));
}

/// All that can be read by turning pages with a key.
#[test]
fn a_menu_and_a_sheet_are_gone_through_from_end_to_end() {
    let mut app = app();
    press(&mut app, "2fG");
    assert!(matches!(app.layers.last(), Some(Layer::Menu(it)) if it.at + 1 == it.items.len()));
    press(&mut app, "g");
    assert!(matches!(app.layers.last(), Some(Layer::Menu(it)) if it.at == 0));
    press(&mut app, "<Esc>?G");
    let shown = picture(&mut app);
    assert!(shown.contains("close") && !shown.contains("more lines"), "{shown}");
}

fn read_through(app: &mut App, key: &str) -> String {
    let mut seen = picture(app);
    for _ in 0..30 {
        press(app, key);
        seen += &picture(app);
    }
    seen
}

#[test]
fn a_post_shows_what_each_account_gets_whole_on_a_small_screen() {
    let expected: [(&str, &[&str], &[&str]); 3] = [
        (
            "",
            &["Common words for whoever has none.", "The common comment.", "bread.png"],
            &["options for", "Words for the network", "First part"],
        ),
        (
            "j",
            &["own text for LinkedIn", "Words for the network alone.", "Its own comment."],
            &["The common comment", "reply_settings"],
        ),
        (
            "jj",
            &[
                "own text of x:acme, a thread of 3 parts",
                "1/3 First part for the account.",
                "2/3 Second part.",
                "3/3 Third part.",
                "The common comment.",
                "oven.jpg: image, 234.4 KiB, part 1",
                "described as: Our new stone oven",
                "bread.png: image, 234.4 KiB, part 3",
                "not described",
                "options for X",
                "reply_settings: following",
                "attempts",
            ],
            &["Never seen", "Words for the network"],
        ),
    ];
    for size in [(60, 18), (80, 24), (200, 50)] {
        for (keys, there, not) in expected {
            let mut app = filled(size, plain());
            press(&mut app, "1<Enter>");
            let shown = m::Post { id: "pst_2".into(), ..rich() };
            update(&mut app, Msg::Loaded(Load::Post("pst_2".into()), Ok(Loaded::Post(Box::new(shown)))));
            press(&mut app, keys);
            let seen = read_through(&mut app, "<PageDown>");
            for piece in there {
                assert!(seen.contains(piece), "{size:?} {keys} {piece}: {seen}");
            }
            for piece in not {
                assert!(!seen.contains(piece), "{size:?} {keys} {piece}");
            }
            assert!(!picture(&mut app).contains("more line"), "the end");
        }
    }
}

#[test]
fn a_long_text_is_read_to_its_end_and_its_delivery_stays_chosen() {
    let mut app = app();
    press(&mut app, "1<Enter>");
    let words: Vec<String> = (0..300).map(|n| format!("word{n}")).collect();
    let mut long = m::Post { id: "pst_2".into(), ..rich() };
    long.variants.clear();
    long.parts = vec![words.join(" ")];
    update(&mut app, Msg::Loaded(Load::Post("pst_2".into()), Ok(Loaded::Post(Box::new(long)))));
    press(&mut app, "j");
    let first = picture(&mut app);
    assert!(first.contains("more lines: PgDn"), "{first}");
    let seen = read_through(&mut app, "<PageDown>");
    for word in &words {
        assert!(seen.contains(word), "{word}");
    }
    // The wheel turns the same pages.
    let wheel = crossterm::event::MouseEvent {
        kind: crossterm::event::MouseEventKind::ScrollUp,
        column: 9,
        row: 9,
        modifiers: crossterm::event::KeyModifiers::NONE,
    };
    let end = app.post.scroll;
    update(&mut app, Msg::Mouse(wheel));
    assert_eq!((app.post.at, app.post.scroll), (1, end - 3));
    press(&mut app, "k");
    assert_eq!((app.post.at, app.post.scroll), (0, 0));
}

#[test]
fn what_a_detail_has_no_room_for_is_told_and_a_key_away() {
    let long = "remedy ".repeat(200);
    let line = |n: u32| m::ReceiptLine {
        step: format!("post {n}"),
        result: "failed".into(),
        account: Some("x:acme".into()),
        r#where: Some(format!("https://x.com/acme/status/{n}")),
        message: Some(format!("the network said {n}")),
        hint: Some(format!("do {n}")),
    };
    let receipt = m::ReceiptEntry {
        id: "rcp_1".into(),
        kind: "post_delete".into(),
        requested_at: at("2026-11-22T10:00:00Z"),
        finished_at: None,
        steps: (1..=9).map(line).collect(),
    };
    let finding = m::Finding {
        about: "host".into(),
        check: "disk".into(),
        result: m::FindingResult::Fault,
        message: "word ".repeat(150),
        hint: Some(format!("{long} the end")),
    };
    let event = m::LogEvent {
        at: at("2026-11-22T10:00:00Z"),
        level: "info".into(),
        event: "note".into(),
        message: format!("{long} the end"),
        post: None,
        delivery: None,
        account: None,
        seq: 1,
        progress: None,
    };
    let entry = m::AuditEntry {
        at: at("2026-11-22T10:00:00Z"),
        who: None,
        action: "post.cancel".into(),
        subject: "pst_01890f3e4d5c6b7a8990a1b2c3d4e5f6".into(),
        result: "refused: already_over".into(),
    };
    for size in [(60, 18), (80, 24)] {
        let mut app = filled(size, plain());
        press(&mut app, "6");
        let all = m::ReceiptList { receipts: vec![receipt.clone()] };
        update(&mut app, Msg::Loaded(Load::Receipts, Ok(Loaded::Receipts(all))));
        assert!(picture(&mut app).contains("more lines: Enter"));
        press(&mut app, "<Enter>");
        let seen = read_through(&mut app, "j");
        for n in 1..=9 {
            for piece in [format!("the network said {n}"), format!("do {n}"), format!("acme/status/{n}")] {
                assert!(seen.contains(&piece), "{piece}");
            }
        }
        assert!(seen.contains("post 9 for x:acme"), "{seen}");

        press(&mut app, "<Esc>8");
        let found = m::Diagnosis { ok: false, findings: vec![finding.clone()] };
        update(&mut app, Msg::Loaded(Load::Doctor, Ok(Loaded::Doctor(found))));
        assert!(picture(&mut app).contains("more lines: Enter"));
        press(&mut app, "<Enter>");
        assert!(read_through(&mut app, "j").contains("the end"));

        press(&mut app, "<Esc>7");
        update(&mut app, Msg::Event(Box::new(event.clone())));
        assert!(picture(&mut app).contains("more lines: i"));
        press(&mut app, "i");
        assert!(read_through(&mut app, "j").contains("the end"));
        press(&mut app, "<Esc>a");
        let list = m::AuditList { entries: vec![entry.clone()], next_cursor: None };
        update(&mut app, Msg::Loaded(Load::Audit { after: None }, Ok(Loaded::Audit(list))));
        let shown = picture(&mut app);
        for piece in [entry.subject.as_str(), entry.result.as_str()] {
            assert!(shown.contains(piece), "an id is no use without its end: {shown}");
        }

        press(&mut app, "<Esc>5");
        app.accounts[0].scopes = (0..160).map(|n| format!("scope_{n}")).collect();
        assert!(picture(&mut app).contains("more lines: Enter"));
        press(&mut app, "<Enter>");
        assert!(read_through(&mut app, "<PageDown>").contains("scope_159"));
    }
}
