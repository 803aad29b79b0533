//! A daemon's answers, made up, and a console that has them.

use std::fmt::Write as _;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::control::messages as m;
use crate::tui::app::{App, Place};
use crate::tui::effect::{Deed, Effect, Load, Loaded, Msg, Outcome, Trouble};
use crate::tui::look::{Depth, Look};
use crate::tui::update::update;
use crate::tui::view;

pub(super) const NOW: &str = "2026-11-23T08:00:00Z";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn plain() -> Look {
    Look { depth: Depth::None, ascii: false }
}

/// A console that has never heard of its daemon.
pub(super) fn fresh(size: (u16, u16), look: Look) -> App {
    let zone = TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
    let place = Place { socket: "/run/sendoff/control.sock".into(), session: "s".into() };
    App::new(at(NOW), zone, size, look, place)
}

/// A console with a daemon that has told everything.
pub(super) fn filled(size: (u16, u16), look: Look) -> App {
    let mut app = fresh(size, look);
    update(&mut app, Msg::Up(Box::new(status())));
    for (load, answer) in [
        (Load::Accounts, Loaded::Accounts(m::AccountList { accounts: accounts() })),
        (Load::Queues, Loaded::Queues(m::QueueList { queues: vec![queue()] })),
        (Load::Networks, Loaded::Networks(m::NetworkList { networks: networks() })),
        (Load::Due, Loaded::Posts(list(vec![scheduled()]))),
        (Load::Attention, Loaded::Posts(list(vec![held()]))),
        (Load::Drafts, Loaded::Posts(list(vec![draft()]))),
        (Load::Lately, Loaded::Posts(list(vec![]))),
        (Load::Activity, Loaded::Posts(list(vec![]))),
    ] {
        update(&mut app, Msg::Loaded(load, Ok(answer)));
    }
    app
}

pub(super) fn list(posts: Vec<m::Post>) -> m::PostList {
    m::PostList { posts, next_cursor: None, notices: vec![] }
}

pub(super) fn status() -> m::Status {
    m::Status {
        version: "0.1.0".into(),
        pid: 7,
        uptime_s: 90_000,
        ready: true,
        paused: false,
        accounts: m::AccountCounts { ready: 2, needs_reconnect: 1, paused: 0 },
        deliveries: [("scheduled".to_owned(), 2), ("published".to_owned(), 40), ("unknown".to_owned(), 1)]
            .into(),
        next_due: Some(at("2026-11-23T09:00:00Z")),
        last_tick: Some(at("2026-11-23T07:59:58Z")),
        store: m::StoreStatus { bytes: 1_500_000, schema: 3, free_bytes: Some(63 << 30) },
        alerts: vec![m::Alert {
            code: "reconnect".into(),
            message: "linkedin:acme must be connected again".into(),
            hint: Some("sendoff account connect linkedin".into()),
        }],
        pause_reason: None,
        spending: vec![],
    }
}

pub(super) fn account(name: &str, state: m::AccountState) -> m::Account {
    let (platform, handle) = name.split_once(':').unwrap();
    m::Account {
        account: name.into(),
        platform: platform.into(),
        handle: handle.into(),
        remote_id: "4711".into(),
        username: "acme".into(),
        display_name: "Acme Bäckerei 日本".into(),
        avatar_url: None,
        state,
        reason: (state == m::AccountState::NeedsReconnect).then(|| "the network took the grant back".into()),
        scopes: vec!["read".into(), "write".into()],
        missing_scopes: vec![],
        expires_at: Some(at("2026-11-25T08:00:00Z")),
        can_refresh: platform == "x",
        connected_at: at("2026-11-01T08:00:00Z"),
        server: None,
        tier: None,
        grant_expires_at: None,
        spending: None,
        quotas: vec![],
        held_back: vec![],
    }
}

fn accounts() -> Vec<m::Account> {
    use m::AccountState as S;
    vec![
        account("bluesky:acme", S::Ready),
        account("linkedin:acme", S::NeedsReconnect),
        account("x:acme", S::Ready),
    ]
}

fn queue() -> m::Queue {
    m::Queue {
        name: "mornings".into(),
        timezone: "Europe/Berlin".into(),
        cron: vec!["0 9 * * *".into()],
        accounts: vec!["x:acme".into()],
        jitter: None,
        paused: false,
        waiting: 1,
        next: vec![],
    }
}

fn networks() -> Vec<m::Network> {
    let one = |platform: &str, title: &str, text_max: u64, unit: &str| m::Network {
        platform: platform.into(),
        title: title.into(),
        text_max,
        unit: unit.into(),
        parts_max: 25,
        images_max: 4,
        comment: platform == "linkedin",
        can_delete: true,
        options: vec![m::NetworkOption {
            key: "reply_settings".into(),
            values: vec!["following".into(), "verified".into()],
            help: "who may reply; leave it out for everyone".into(),
        }],
    };
    vec![
        one("x", "X", 280, "weighted characters"),
        m::Network { options: vec![], ..one("bluesky", "Bluesky", 300, "graphemes") },
        m::Network { parts_max: 1, options: vec![], ..one("linkedin", "LinkedIn", 3_000, "characters") },
    ]
}

pub(super) fn delivery(id: &str, post: &str, account: &str, state: m::DeliveryState) -> m::Delivery {
    m::Delivery {
        id: id.into(),
        post: post.into(),
        account: account.into(),
        state,
        held: false,
        due: at("2026-11-23T09:00:00Z"),
        zone: "Europe/Berlin".into(),
        attempts: 0,
        next_try: None,
        sent_at: None,
        published_at: None,
        lateness_ms: None,
        remote_id: None,
        permalink: None,
        verified: false,
        reason: None,
        steps: vec![],
        progress: None,
        why: vec![],
        fetches: vec![],
    }
}

pub(super) fn post(id: &str, body: &str, deliveries: Vec<m::Delivery>) -> m::Post {
    let states: Vec<_> = deliveries.iter().map(|it| (it.state, it.held)).collect();
    m::Post {
        id: id.into(),
        status: m::PostStatus::of(&states),
        to: deliveries.iter().map(|it| it.account.clone()).collect(),
        body: body.into(),
        parts: vec![body.into()],
        comment: None,
        variants: [].into(),
        media: vec![],
        created_at: at("2026-11-22T08:00:00Z"),
        source: m::Source::Console,
        deliveries,
        options: [].into(),
        version: 1,
        existing: false,
        notices: vec![],
        intended: None,
        undo: None,
        fixed: None,
    }
}

pub(super) fn scheduled() -> m::Post {
    let one = |id: &str, account: &str| delivery(id, "pst_1", account, m::DeliveryState::Scheduled);
    post(
        "pst_1",
        "Good morning from the oven ☀️ 👩‍🍳",
        vec![one("dlv_1", "bluesky:acme"), one("dlv_2", "x:acme")],
    )
}

pub(super) fn held() -> m::Post {
    let reason = m::Reason {
        class: "unclear".into(),
        message: "the answer was lost, and X shows nothing that is surely ours".into(),
        hint: Some("look at the profile, then settle it".into()),
        raw: Some("HTTP 502 <html>Bad gateway</html>".into()),
    };
    let why = m::Why {
        at: at("2026-11-23T07:00:05Z"),
        last_at: None,
        count: None,
        event: "lose".into(),
        from: "sending".into(),
        to: "unknown".into(),
        message: "the request left, and no answer came".into(),
        reason: Some("connection reset".into()),
        hint: None,
        attempt: Some(1),
        http_status: None,
        trace: None,
        raw: None,
    };
    let step = |n: u32, kind: &str, state: &str| m::Step {
        n,
        kind: kind.into(),
        state: state.into(),
        remote_id: None,
        permalink: (state == "published").then(|| "https://x.com/acme/status/1".into()),
        publish_id: None,
    };
    let it = m::Delivery {
        held: true,
        due: at("2026-11-23T07:00:00Z"),
        attempts: 1,
        reason: Some(reason),
        why: vec![why],
        steps: vec![step(1, "post", "published"), step(2, "thread", "unknown")],
        progress: Some(m::Progress {
            done_bytes: 3 << 20,
            total_bytes: 4 << 20,
            phase: "upload".into(),
            step: 1,
        }),
        ..delivery("dlv_3", "pst_2", "x:acme", m::DeliveryState::Unknown)
    };
    post("pst_2", "שלום עולם: a thread that got stuck between two parts", vec![it])
}

/// A post with something of everything: a common text, one for a network and one for an account, files,
/// options.
pub(super) fn rich() -> m::Post {
    let own = |parts: &[&str], comment: Option<&str>| m::Variant {
        body: None,
        parts: parts.iter().map(|it| (*it).to_owned()).collect(),
        comment: comment.map(str::to_owned),
    };
    let file = |name: &str, alt: Option<&str>, part| m::Media {
        id: format!("med_{name}"),
        name: name.into(),
        kind: "image".into(),
        bytes: 240_000,
        alt: alt.map(str::to_owned),
        part,
    };
    let one = |id: &str, account: &str| delivery(id, "pst_4", account, m::DeliveryState::Scheduled);
    let deliveries =
        vec![one("dlv_6", "bluesky:acme"), one("dlv_7", "linkedin:acme"), one("dlv_8", "x:acme")];
    m::Post {
        parts: vec!["Common words for whoever has none.".into()],
        comment: Some("The common comment.".into()),
        variants: [
            ("linkedin".to_owned(), own(&["Words for the network alone."], Some("Its own comment."))),
            ("x".to_owned(), own(&["Never seen: the account has its own."], None)),
            ("x:acme".to_owned(), own(&["First part for the account.", "Second part.", "Third part."], None)),
        ]
        .into(),
        media: vec![file("oven.jpg", Some("Our new stone oven"), 1), file("bread.png", None, 3)],
        options: [("x".to_owned(), [("reply_settings".to_owned(), "following".to_owned())].into())].into(),
        ..post("pst_4", "Common words for whoever has none.", deliveries)
    }
}

pub(super) fn draft() -> m::Post {
    m::Post { to: vec!["x:acme".into()], ..post("pst_3", "Half a thought", vec![]) }
}

pub(super) fn trouble(code: &str, lost: bool) -> Trouble {
    Trouble {
        code: code.into(),
        message: format!("it says {code}"),
        hint: Some("do something".into()),
        problems: vec![],
        lost,
    }
}

/// Presses keys: letters as they stand, others by name in angle brackets: `ab<Enter><C-s><A-v>`.
pub(super) fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|it| it.split_once('>'));
        let (event, behind) = match named {
            Some((name, behind)) => (key(name), behind),
            None => (KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), &rest[c.len_utf8()..]),
        };
        rest = behind;
        effects.extend(update(app, Msg::Key(event)));
    }
    effects
}

fn key(name: &str) -> KeyEvent {
    let (mods, name) = match name.split_once('-') {
        Some(("C", name)) => (KeyModifiers::CONTROL, name),
        Some(("A", name)) => (KeyModifiers::ALT, name),
        _ => (KeyModifiers::NONE, name),
    };
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Del" => KeyCode::Delete,
        "BS" => KeyCode::Backspace,
        "PageDown" => KeyCode::PageDown,
        other => KeyCode::Char(other.chars().next().unwrap()),
    };
    KeyEvent::new(code, mods)
}

/// Some seconds pass.
pub(super) fn wait(app: &mut App, seconds: i64) -> Vec<Effect> {
    let now = app.now + jiff::SignedDuration::from_secs(seconds);
    update(app, Msg::Tick(now))
}

/// What is on the screen, one line per row, without the blanks at their ends.
pub(super) fn picture(app: &mut App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).unwrap();
    terminal.draw(|frame| view::draw(frame, app)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line += symbol;
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol)).unwrap().max(1);
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// Where colours and weights begin and end, for a picture in colour.
pub(super) fn styles(app: &mut App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).unwrap();
    terminal.draw(|frame| view::draw(frame, app)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut before = None;
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let now = (cell.fg, cell.bg, cell.modifier);
            if before != Some(now) {
                let _ = writeln!(out, "{y}:{x} {:?} on {:?} {:?}", now.0, now.1, now.2);
                before = Some(now);
            }
        }
    }
    out
}

/// Answers what the console asks of the timeline, from posts `pst_0` on, fifty a page; `all`: how many there are.
pub(super) fn serve_pages(app: &mut App, mut effects: Vec<Effect>, all: usize) {
    while let Some(effect) = effects.pop() {
        if let Effect::Load(load @ Load::Page { .. }) = effect {
            let Load::Page { ask, .. } = &load else { unreachable!() };
            let from: usize = ask.after.as_ref().map_or(0, |it| it.parse().unwrap());
            let made = |n: usize| {
                let id = format!("pst_{n}");
                let it = delivery(&format!("dlv_{n}"), &id, "x:acme", m::DeliveryState::Published);
                post(&id, &format!("post {n}"), vec![it])
            };
            let next_cursor = (from + 50 < all).then(|| (from + 50).to_string());
            let posts = (from..(from + 50).min(all)).map(made).collect();
            let answer = m::PostList { posts, next_cursor, notices: vec![] };
            effects.extend(update(app, Msg::Loaded(load, Ok(Loaded::Posts(answer)))));
        }
    }
}

/// The console on a small screen, with all that the daemon has.
pub(super) fn app() -> App {
    filled((80, 24), plain())
}

/// The deeds among effects.
pub(super) fn deeds(effects: Vec<Effect>) -> Vec<Deed> {
    effects.into_iter().filter_map(|it| if let Effect::Do(deed) = it { Some(deed) } else { None }).collect()
}

/// What the daemon answers to a cancel or a move of the post that is due.
pub(super) fn answer(app: &mut App, deed: &Deed, ticket: Option<&str>) -> Vec<Effect> {
    let post = m::Post { undo: ticket.map(Into::into), ..scheduled() };
    update(app, Msg::Done(deed.clone(), Ok(Outcome::Post(Box::new(post)))))
}

pub(super) fn undo(ticket: &str) -> Deed {
    Deed::Undo { id: "pst_1".into(), ticket: ticket.into() }
}
