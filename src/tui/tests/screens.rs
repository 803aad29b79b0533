//! Whole screens as pictures, small and large, with colours and without.

use super::scenes::{
    at, filled, fresh, held, list, picture, plain, press, rich, scheduled, status, styles, trouble,
};
use crate::control::messages as m;
use crate::tui::app::App;
use crate::tui::compose::Time;
use crate::tui::effect::{ConnectNews, Load, Loaded, Msg};
use crate::tui::look::{Depth, Look};
use crate::tui::update::update;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);

fn answer(app: &mut App, load: Load, answer: Loaded) {
    update(app, Msg::Loaded(load, Ok(answer)));
}

/// The page that the timeline waits for.
fn timeline(app: &mut App) {
    press(app, "2");
    let load = app.asked.iter().find(|it| matches!(it, Load::Page { .. })).cloned().unwrap();
    answer(app, load, Loaded::Posts(list(vec![scheduled(), held()])));
}

fn open_post(app: &mut App) {
    press(app, "1<Enter>");
    answer(app, Load::Post("pst_2".into()), Loaded::Post(Box::new(held())));
}

/// The account that has its own text among three.
fn own(app: &mut App) {
    press(app, "1<Enter>");
    answer(app, Load::Post("pst_2".into()), Loaded::Post(Box::new(m::Post { id: "pst_2".into(), ..rich() })));
    press(app, "jj");
}

/// What is known of X: limits, what holds it back, money.
fn quota(app: &mut App) {
    press(app, "5jj");
    let cost = |platform: Option<&str>, budget: Option<&str>| m::Spending {
        platform: platform.map(str::to_owned),
        month: "2026-11".into(),
        usd: "3.10".into(),
        budget_usd: budget.map(str::to_owned),
        last_month_usd: "1.20".into(),
        calls: vec![
            m::SpentOn { what: "publish".into(), count: 200, usd: "3.00".into() },
            m::SpentOn { what: "x.delete".into(), count: 10, usd: "0.10".into() },
        ],
    };
    let limit = |what: &str, used, limit, free: &str| m::Quota {
        what: what.into(),
        used,
        limit,
        free_at: (!free.is_empty()).then(|| at(free)),
        as_of: at("2026-11-23T07:58:00Z"),
    };
    let x = m::Account {
        spending: Some(cost(None, None)),
        quotas: vec![
            limit("publishing calls, in the day", 17, Some(17), "2026-11-23T20:00:00Z"),
            limit("publishing calls of all accounts, in the day", 25, Some(50), ""),
        ],
        held_back: vec![m::HeldBack {
            until: at("2026-11-23T20:00:00Z"),
            message: "the quota of x is used up".into(),
            hint: None,
            raw: Some("Too Many Requests".into()),
        }],
        ..super::scenes::account("x:acme", m::AccountState::Ready)
    };
    answer(app, Load::Account("x:acme".into()), Loaded::Account(Box::new(x)));
    let told = m::Status { spending: vec![cost(Some("x"), Some("5.00"))], ..status() };
    answer(app, Load::Status, Loaded::Status(Box::new(told)));
}

fn calendar(app: &mut App) {
    press(app, "3");
    let (berlin, free) = ("Europe/Berlin".to_owned(), "2026-11-24T08:00:00Z");
    let month = m::Calendar {
        month: "2026-11".into(),
        zone: berlin,
        from: at("2026-10-31T23:00:00Z"),
        to: at("2026-11-30T23:00:00Z"),
        deliveries: scheduled().deliveries.into_iter().chain(held().deliveries).collect(),
        slots: vec![m::FreeSlot {
            queue: "mornings".into(),
            at: at(free),
            local: "2026-11-24T09:00:00".into(),
        }],
        recurring: vec![],
        changes: vec![],
        cut: false,
    };
    answer(app, Load::Calendar { month: None }, Loaded::Calendar(month));
    let load = app.asked.iter().find(|it| matches!(it, Load::Day { .. })).cloned().unwrap();
    answer(app, load, Loaded::Posts(list(vec![scheduled(), held()])));
}

/// A day with something of everything.
fn busy(app: &mut App) {
    calendar(app);
    let month = app.calendar.month.as_mut().unwrap();
    let mut out = scheduled().deliveries.remove(0);
    out.state = m::DeliveryState::Published;
    let due = out.clone();
    month.deliveries.extend(vec![out; 12]);
    month
        .deliveries
        .extend((0..10).map(|_| m::Delivery { state: m::DeliveryState::Scheduled, ..due.clone() }));
    let at = at("2026-11-23T17:00:00Z");
    let run =
        m::ComingRun { name: "hours".into(), at, local: "2026-11-23T18:00:00".into(), accounts: vec![] };
    month.recurring.push(run);
    let slot = |n| m::FreeSlot { queue: "mornings".into(), at, local: format!("2026-11-23T18:0{n}:00") };
    month.slots.extend((0..3).map(slot));
    month.changes.push(m::ClockChange { at, before: "+01:00".into(), after: "+02:00".into() });
}

/// Two own texts beside the common one.
fn voices(app: &mut App) {
    compose(app);
    press(app, "<A-v>jj<Enter> For X, shorter.");
    press(app, "<A-v>j<Enter> For Bluesky.");
    app.compose.checked.as_mut().unwrap().0 = app.compose.revision;
}

fn compose(app: &mut App) {
    press(app, "n");
    app.compose.to = vec!["x:acme".into(), "bluesky:acme".into()];
    app.compose.time = Some(Time::At("tomorrow 9am".into()));
    update(
        app,
        Msg::Paste(
            "Good morning ☀️\n\nDie Backstube öffnet um sieben. 日本語のテキスト, and שלום too. 👩‍🍳".into(),
        ),
    );
    let target = |account: &str, used, max, unit: &str, ok| m::CheckTarget {
        account: account.into(),
        ok,
        length: m::Length { used, max, unit: unit.into() },
        comment: None,
        problems: vec![],
        preview: serde_json::json!([{ "request": "POST /2/tweets", "body": { "text": "Good morning" } }]),
        files: vec![],
        notices: vec!["the link gets a card".into()],
        cost_usd: None,
        costs: vec![],
    };
    let targets = vec![
        target("x:acme", 84, 280, "weighted characters", true),
        target("bluesky:acme", 70, 300, "graphemes", true),
    ];
    let check = m::Check { ok: true, targets, cost_usd: Some("0.01".into()) };
    let revision = app.compose.revision;
    update(app, Msg::Checked { revision, result: Box::new(Ok(check)) });
}

fn connect(app: &mut App) {
    press(app, "5n<Enter>");
    update(app, Msg::Connect(ConnectNews::Started("c1".into())));
    let link = m::ConnectEvent::Link {
        url: "http://127.0.0.1:8420/connect/AbCdEfGh12345678".into(),
        expires_at: at("2026-11-23T08:10:00Z"),
        callback: None,
        code_lives_s: None,
    };
    update(app, Msg::Connect(ConnectNews::Event(Box::new(link))));
}

fn doctor(app: &mut App) {
    press(app, "8");
    let finding = |about: &str, result, message: &str| m::Finding {
        about: about.into(),
        check: "public_url".into(),
        result,
        message: message.into(),
        hint: Some("set `[server] public_url` to the address that people see".into()),
    };
    let findings = vec![
        finding("host", m::FindingResult::Fault, "the public address is not answered"),
        finding("x:acme", m::FindingResult::Ok, "connected"),
    ];
    answer(app, Load::Doctor, Loaded::Doctor(m::Diagnosis { ok: false, findings }));
}

fn step(what: &str, result: &str, place: &str) -> m::ReceiptLine {
    m::ReceiptLine {
        step: what.into(),
        result: result.into(),
        account: None,
        r#where: (!place.is_empty()).then(|| place.into()),
        message: None,
        hint: None,
    }
}

fn deletions(app: &mut App) {
    press(app, "6");
    let entry = m::ReceiptEntry {
        id: "rcp_1".into(),
        kind: "disconnect".into(),
        requested_at: at("2026-11-22T10:00:00Z"),
        finished_at: Some(at("2026-11-22T10:00:02Z")),
        steps: vec![step("grant", "done", "X"), step("data key", "done", "this installation")],
    };
    // What a version kept that knew no more.
    let old =
        m::ReceiptEntry { id: "rcp_0".into(), steps: vec![step("account", "done", "")], ..entry.clone() };
    let failed = m::ReceiptLine {
        account: Some("x:acme".into()),
        message: Some("X says: You are not allowed to delete this Tweet. (HTTP 403)".into()),
        hint: Some("delete it on the network yourself".into()),
        ..step("post 1", "failed", "https://x.com/acme/status/1790000000000000001")
    };
    let post = m::ReceiptEntry {
        id: "rcp_2".into(),
        kind: "post_delete".into(),
        steps: vec![failed, step("post 1", "done", "at://did:plc:acme/app.bsky.feed.post/3l")],
        ..entry.clone()
    };
    let receipts = vec![post, entry, old];
    answer(app, Load::Receipts, Loaded::Receipts(m::ReceiptList { receipts }));
}

fn log(app: &mut App) {
    press(app, "7");
    for (seq, level, message) in [(1, "info", "x:acme: its time has come"), (2, "error", "x:acme: refused")] {
        let event = m::LogEvent {
            at: at("2026-11-23T07:59:00Z"),
            level: level.into(),
            event: "delivery.rejected".into(),
            message: message.into(),
            post: Some("pst_1".into()),
            delivery: Some("dlv_1".into()),
            account: Some("x:acme".into()),
            seq,
            progress: None,
        };
        update(app, Msg::Event(Box::new(event)));
    }
}

type Scene = (&'static str, fn(&mut App));

const SCENES: &[Scene] = &[
    ("overview", |_| {}),
    ("timeline", timeline),
    ("calendar", calendar),
    ("busy", busy),
    ("compose", compose),
    ("voices", voices),
    ("accounts", |app| drop(press(app, "5j"))),
    ("quota", quota),
    ("deletions", deletions),
    ("log", log),
    ("doctor", doctor),
    ("post", open_post),
    ("own", own),
    ("connect", connect),
    ("help", |app| drop(press(app, "?"))),
    ("palette", |app| drop(press(app, ":go"))),
    ("cancel", |app| drop(press(app, "jc"))),
];

#[test]
fn every_screen_at_its_two_sizes() {
    for (name, scene) in SCENES {
        for size in [SMALL, LARGE] {
            let mut app = filled(size, plain());
            scene(&mut app);
            let shown = picture(&mut app);
            insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), shown);
        }
    }
}

#[test]
fn screens_in_colour_and_without_at_both_sizes() {
    for (name, scene) in SCENES.iter().filter(|it| ["overview", "compose"].contains(&it.0)) {
        for size in [SMALL, LARGE] {
            for (word, depth) in
                [("none", Depth::None), ("16", Depth::Sixteen), ("256", Depth::Many), ("true", Depth::True)]
            {
                let mut app = filled(size, Look { depth, ascii: false });
                scene(&mut app);
                let shown = styles(&mut app);
                insta::assert_snapshot!(format!("colours_{word}_{name}_{}x{}", size.0, size.1), shown);
            }
        }
    }
}

#[test]
fn without_colour_there_is_none_on_any_screen_and_with_ascii_nothing_else() {
    for (name, scene) in SCENES {
        let mut app = filled(SMALL, Look { depth: Depth::None, ascii: true });
        scene(&mut app);
        let shown = picture(&mut app);
        assert!(shown.is_ascii(), "{name}: {shown}");
        let styles = styles(&mut app);
        assert!(styles.lines().all(|it| it.contains(" Reset on Reset ")), "{name}: {styles}");
    }
}

#[test]
fn a_console_without_its_daemon_says_why_and_what_mends_it() {
    let mut app = fresh(SMALL, plain());
    let mut why = trouble("unreachable", true);
    why.message = "the daemon cannot be reached at `/run/sendoff/control.sock`: permission denied".into();
    why.hint = Some(
        "you are not in the group `sendoff`. Run: sudo usermod -aG sendoff anna, then log in again".into(),
    );
    update(&mut app, Msg::Down(why));
    insta::assert_snapshot!(picture(&mut app));
}

#[test]
fn a_terminal_that_is_too_small_is_told_so_and_nothing_panics_at_any_size() {
    let mut app = fresh((40, 10), plain());
    assert!(picture(&mut app).starts_with("40x10 is too small; 60x18 will do"));
    for (name, scene) in SCENES {
        for width in [1, 5, 20, 59, 60, 61, 79, 99, 130, 141, 300] {
            for height in [1, 2, 5, 17, 18, 19, 30, 90] {
                let mut app = filled((width, height), plain());
                scene(&mut app);
                let shown = picture(&mut app);
                assert_eq!(shown.lines().count(), usize::from(height), "{name} {width}x{height}");
            }
        }
    }
}

#[test]
fn nothing_that_steers_a_terminal_reaches_the_screen_even_if_it_got_this_far() {
    let dirty = "a\u{1b}[2J\u{9b}31m\u{1b}]52;c;ZXZpbA==\u{7}\u{202e}b\r\u{8}";
    let mut app = filled(SMALL, plain());
    let mut told = status();
    told.alerts[0].message = dirty.into();
    update(&mut app, Msg::Up(Box::new(told)));
    for it in &mut app.accounts {
        it.display_name = dirty.into();
        it.account = format!("x:{dirty}");
    }
    let mut post = held();
    post.body = dirty.into();
    post.parts = vec![dirty.into()];
    post.deliveries[0].reason.as_mut().unwrap().raw = Some(dirty.into());
    post.deliveries[0].permalink = Some(dirty.into());
    for keys in ["1", "5", "5D", "5N", "4"] {
        let mut app = app.clone();
        app.compose.to = vec![dirty.into()];
        press(&mut app, keys);
        clean(&picture(&mut app), keys);
    }
    app.post.id = "pst_2".into();
    app.screen = crate::tui::app::Screen::Post;
    answer(&mut app, Load::Post("pst_2".into()), Loaded::Post(Box::new(post)));
    clean(&picture(&mut app), "post");
}

fn clean(shown: &str, place: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!shown.contains(bad), "{place}: {shown:?}");
}

#[test]
fn a_click_opens_a_tab_and_a_second_one_a_row() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut app = filled(SMALL, plain());
    let click = |app: &mut App, column, row| {
        drop(picture(app));
        let kind = MouseEventKind::Down(MouseButton::Left);
        update(app, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    let shown = picture(&mut app);
    let row = shown.lines().position(|it| it.contains("Half a thought")).unwrap();
    let row = u16::try_from(row).unwrap();
    click(&mut app, 30, row);
    assert_eq!(app.overview.at, 3);
    let opened = click(&mut app, 30, row);
    assert!(opened.contains(&crate::tui::effect::Effect::Load(Load::Open("pst_3".into()))), "{opened:?}");
    click(&mut app, 12, 1);
    assert_eq!(app.screen, crate::tui::app::Screen::Tab(crate::tui::app::Tab::Timeline));
    // The button comes up again before the next frame: what the click opened is drawn all the same.
    app.dirty = true;
    for kind in [MouseEventKind::Up(MouseButton::Left), MouseEventKind::Moved] {
        update(&mut app, Msg::Mouse(MouseEvent { kind, column: 12, row: 1, modifiers: KeyModifiers::NONE }));
        assert!(app.dirty, "{kind:?}");
    }
    app.dirty = false;
    let kind = MouseEventKind::Moved;
    update(&mut app, Msg::Mouse(MouseEvent { kind, column: 13, row: 1, modifiers: KeyModifiers::NONE }));
    assert!(!app.dirty, "a pointer that wanders costs no line its bytes");
}

#[test]
fn the_footer_offers_what_there_is_something_for() {
    let footer = |app: &mut App| {
        let all = picture(app);
        all.lines().rfind(|it| !it.trim().is_empty()).unwrap_or_default().to_owned()
    };
    let of_a_row = ["retry", "cancel", "move", "edit", "delete", "open"];
    for (posts, there) in [(vec![scheduled()], true), (vec![], false)] {
        let mut app = filled(LARGE, plain());
        press(&mut app, "2");
        let load = app.asked.iter().find(|it| matches!(it, Load::Page { .. })).cloned().unwrap();
        answer(&mut app, load, Loaded::Posts(list(posts)));
        let foot = footer(&mut app);
        for word in of_a_row {
            assert_eq!(foot.contains(word), there, "{word}: {foot}");
        }
        assert!(foot.contains("search") && foot.contains("new post"), "{foot}");
    }
    let mut app = filled(LARGE, plain());
    answer(&mut app, Load::Accounts, Loaded::Accounts(m::AccountList { accounts: vec![] }));
    press(&mut app, "5");
    let foot = footer(&mut app);
    assert!(foot.contains(" connect") && !foot.contains("reconnect") && !foot.contains("pause"), "{foot}");
}
