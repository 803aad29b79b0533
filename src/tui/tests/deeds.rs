//! What keys do to deliveries and accounts, and what asks first.

use super::scenes::{
    account, answer, app, at, deeds, delivery, held, list, picture, post, press, serve_pages, trouble, undo,
    wait,
};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, Screen, Tab};
use crate::tui::effect::{ConnectNews, Deed, Effect, Load, Loaded, Msg, Outcome, Source};
use crate::tui::layer::Layer;
use crate::tui::update::update;

#[test]
fn a_cancel_asks_by_name_and_is_with_the_daemon_at_once() {
    let mut app = app();
    press(&mut app, "j");
    assert_eq!(deeds(press(&mut app, "c")), []);
    let shown = picture(&mut app);
    assert!(shown.contains("“Good morning from the oven"), "{shown}");
    assert!(shown.contains("for bluesky:acme") && shown.contains("cancelled at once"), "{shown}");
    assert_eq!(deeds(press(&mut app, "n")), []);
    assert_eq!(deeds(wait(&mut app, 60)), [], "no is no");
    // Not a tick later: a console that dies now loses nothing, however near the time is.
    assert_eq!(deeds(press(&mut app, "cy")), [Deed::Cancel("dlv_1".into())]);
}

#[test]
fn a_cancel_and_a_move_are_taken_back_by_the_daemon_within_seconds() {
    for keys in ["jcy", "jm<Enter>tomorrow 9am<Enter>", "jmj<Enter>"] {
        let mut app = app();
        let done = deeds(press(&mut app, keys)).remove(0);
        assert!(matches!(&done, Deed::Cancel(_) | Deed::Move { .. }), "{done:?}");
        answer(&mut app, &done, Some("t1"));
        assert!(picture(&mut app).contains("u takes it back"), "{keys}");
        assert_eq!(deeds(press(&mut app, "u")), [undo("t1")], "{keys}");
        // Once; and again if the answer was lost.
        assert_eq!(deeds(press(&mut app, "u")), []);
        update(&mut app, Msg::Done(undo("t1"), Err(trouble("broken", true))));
        assert_eq!(deeds(press(&mut app, "u")), [undo("t1")], "{keys}");
        answer(&mut app, &undo("t1"), None);

        answer(&mut app, &done, Some("t2"));
        wait(&mut app, 54);
        assert!(picture(&mut app).contains("u takes it back (1 s)"));
        wait(&mut app, 1);
        assert_eq!(deeds(press(&mut app, "u")), []);
        assert!(picture(&mut app).contains("there is nothing to take back"));
    }
}

#[test]
fn what_is_on_its_way_is_taken_back_once_it_was_answered() {
    let mut app = app();
    let cancel = deeds(press(&mut app, "jcy")).remove(0);
    assert_eq!(deeds(press(&mut app, "u")), []);
    assert!(picture(&mut app).contains("on its way"));
    answer(&mut app, &cancel, Some("t1"));
    assert_eq!(deeds(press(&mut app, "u")), [undo("t1")]);
}

#[test]
fn a_move_goes_to_the_time_that_was_written_or_the_queue_that_was_chosen() {
    let mut app = app();
    press(&mut app, "jm");
    assert!(matches!(app.layers.last(), Some(Layer::Menu(_))));
    let moved = deeds(press(&mut app, "<Enter>tomorrow 9am<Enter>"));
    let to = r::Move::At("tomorrow 9am".into());
    assert_eq!(moved, [Deed::Move { id: "pst_1".into(), to, tz: None }]);
    let queued = deeds(press(&mut app, "mj<Enter>"));
    let to = r::Move::Queue("mornings".into());
    assert_eq!(queued, [Deed::Move { id: "pst_1".into(), to, tz: None }]);
}

#[test]
fn a_move_that_was_refused_leaves_nothing_to_take_back() {
    let mut app = app();
    let moved = deeds(press(&mut app, "jm<Enter>yesterday<Enter>"));
    update(&mut app, Msg::Done(moved[0].clone(), Err(trouble("past_time", false))));
    assert_eq!(deeds(press(&mut app, "u")), []);
    assert!(picture(&mut app).contains("there is nothing to take back"));
}

#[test]
fn deleting_says_where_and_asks() {
    let mut app = app();
    press(&mut app, "jx");
    assert_eq!(deeds(press(&mut app, "<Enter>")), []);
    let shown = picture(&mut app);
    assert!(shown.contains("on the networks") && shown.contains("(bluesky:acme, x:acme)"), "{shown}");
    assert_eq!(deeds(press(&mut app, "<Esc>x<Enter>n")), []);
    // What waits is cancelled with it: nothing goes out while somebody deletes it.
    let gone = Deed::Delete { id: "pst_1".into(), local_only: false, open: true };
    assert_eq!(deeds(press(&mut app, "x<Enter>y")), [gone]);
    let here = Deed::Delete { id: "pst_1".into(), local_only: true, open: true };
    press(&mut app, "xj<Enter>");
    assert!(picture(&mut app).contains("is cancelled first"));
    assert_eq!(deeds(press(&mut app, "y")), [here]);
}

#[test]
fn every_item_of_a_receipt_is_shown() {
    let mut app = app();
    let item = |result, message: &str| m::ReceiptItem {
        what: "post".into(),
        r#where: "x".into(),
        result,
        message: Some(message.into()),
        hint: Some("delete it by hand".into()),
    };
    let items = vec![item(m::Outcome::Done, "gone"), item(m::Outcome::NotPossible, "X says no")];
    let receipt =
        m::Receipt { id: "rcp_1".into(), at: at("2026-11-23T08:00:00Z"), subject: "pst_1".into(), items };
    let deed = Deed::Delete { id: "pst_1".into(), local_only: false, open: false };
    update(&mut app, Msg::Done(deed, Ok(Outcome::Receipt(receipt))));
    let shown = picture(&mut app);
    for piece in ["gone", "X says no", "delete it by hand", "rcp_1"] {
        assert!(shown.contains(piece), "{piece}: {shown}");
    }
}

#[test]
fn the_pictures_of_a_post_are_looked_at_as_long_as_they_are_kept() {
    let file = |id: &str, kind: &str| m::Media {
        id: id.into(),
        name: format!("{id}.x"),
        kind: kind.into(),
        bytes: 1,
        alt: None,
        part: 1,
    };
    let shown = |media: Vec<m::Media>, state| {
        let mut app = app();
        press(&mut app, "j<Enter>");
        let it = m::Post { media, ..post("pst_1", "Hi", vec![delivery("dlv_1", "pst_1", "x:acme", state)]) };
        update(&mut app, Msg::Loaded(Load::Post("pst_1".into()), Ok(Loaded::Post(Box::new(it)))));
        app
    };
    let looks = |effects: Vec<Effect>, id: &str| {
        let it = Source::Kept(id.into());
        assert!(matches!(&effects[..], [Effect::Look { source, .. }] if *source == it), "{effects:?}");
    };
    let waits = m::DeliveryState::Scheduled;
    let mut app = shown(vec![file("med_1", "video"), file("med_2", "image")], waits);
    looks(press(&mut app, "i"), "med_2");
    let mut app = shown(vec![file("med_2", "image"), file("med_3", "image")], waits);
    looks(press(&mut app, "ij<Enter>"), "med_3");
    // Back to the list of them.
    press(&mut app, "<Esc>");
    looks(press(&mut app, "k<Enter>"), "med_2");
    let mut app = shown(vec![file("med_2", "image")], m::DeliveryState::Published);
    assert_eq!(press(&mut app, "i"), []);
    assert!(picture(&mut app).contains("went with its last delivery"));
}

#[test]
fn what_is_unknown_is_settled_by_one_of_three_words() {
    let word = |published: Option<&str>, resend, leave| Deed::Resolve {
        id: "dlv_3".into(),
        word: r::Resolve { published: published.map(str::to_owned), resend, leave },
    };
    for (keys, expected) in [
        ("v<Enter>https://x.com/1<Enter>", word(Some("https://x.com/1"), false, false)),
        ("vj<Enter>y", word(None, true, false)),
        ("vjj<Enter>y", word(None, false, true)),
    ] {
        let mut app = app();
        assert_eq!(deeds(press(&mut app, keys)), [expected], "{keys}");
    }
    let mut app = app();
    assert_eq!(deeds(press(&mut app, "jv<Enter>")), [], "a scheduled one has a known fate");
}

#[test]
fn a_disconnect_names_the_account_and_takes_a_yes() {
    let mut app = app();
    press(&mut app, "5jjD");
    let shown = picture(&mut app);
    assert!(shown.contains("Disconnect x:acme (@acme, Acme Bäckerei 日本)"), "{shown}");
    assert_eq!(deeds(press(&mut app, "<Enter>")), [], "Enter is no yes");
    assert_eq!(deeds(press(&mut app, "y")), [Deed::Disconnect("x:acme".into())]);
}

#[test]
fn accounts_are_paused_resumed_and_renamed() {
    let mut app = app();
    assert_eq!(deeds(press(&mut app, "5p")), [Deed::AccountPause("bluesky:acme".into())]);
    let accounts = vec![account("bluesky:acme", m::AccountState::Paused)];
    update(&mut app, Msg::Loaded(Load::Accounts, Ok(Loaded::Accounts(m::AccountList { accounts }))));
    assert_eq!(deeds(press(&mut app, "p")), [Deed::AccountResume("bluesky:acme".into())]);
    let named = Deed::AccountRename { account: "bluesky:acme".into(), name: "acme2".into() };
    assert_eq!(deeds(press(&mut app, "N2<Enter>")), [named]);
}

#[test]
fn an_account_is_connected_only_by_a_yes_to_what_was_found() {
    let mut app = app();
    let begun = press(&mut app, "5n<Enter>");
    let ask = r::Connect { platform: "x".into(), ..r::Connect::default() };
    assert!(begun.contains(&Effect::Connect(Box::new(ask))), "{begun:?}");
    let news = |app: &mut App, it| update(app, Msg::Connect(it));
    let event = |it| ConnectNews::Event(Box::new(it));
    news(&mut app, ConnectNews::Started("c1".into()));
    let link = m::ConnectEvent::Link {
        url: "https://post.example.org/connect/T1".into(),
        expires_at: at("2026-11-23T08:10:00Z"),
        callback: None,
        code_lives_s: None,
    };
    news(&mut app, event(link));
    assert!(picture(&mut app).contains("https://post.example.org/connect/T1"));
    let found = |id: &str| m::FoundAccount {
        remote_id: id.into(),
        username: "acme".into(),
        display_name: "Acme".into(),
        account: Some("x:acme".into()),
        missing_scopes: vec!["media.write".into()],
        warnings: vec![],
    };
    news(&mut app, event(m::ConnectEvent::Found { accounts: vec![found("1"), found("2")] }));
    assert!(picture(&mut app).contains("not granted: media.write"));
    // The second one is not wanted.
    let said = press(&mut app, "j y");
    let choice = r::Choice::Select(vec!["1".into()]);
    assert_eq!(said, [Effect::Confirm { id: "c1".into(), choice }]);
    assert_eq!(press(&mut app, "y"), [], "one answer is enough");
    let connected = m::ConnectEvent::Connected { account: account("x:acme", m::AccountState::Ready) };
    let after = news(&mut app, event(connected));
    assert!(app.layers.is_empty(), "{after:?}");
    app.asked.clear();
    assert!(wait(&mut app, 1).contains(&Effect::Load(Load::Accounts)));
}

#[test]
fn a_connect_that_is_left_stores_nothing() {
    let mut app = app();
    press(&mut app, "5n<Enter>");
    update(&mut app, Msg::Connect(ConnectNews::Started("c1".into())));
    assert_eq!(press(&mut app, "<Esc>"), [Effect::Leave("c1".into())]);
    assert!(app.layers.is_empty());
    press(&mut app, "n<Enter>");
    press(&mut app, "<Esc>");
    // Left before it had a name.
    let late = update(&mut app, Msg::Connect(ConnectNews::Started("c2".into())));
    assert_eq!(late, [Effect::Leave("c2".into())]);
}

#[test]
fn a_pasted_address_goes_to_the_conversation_and_a_slip_may_be_mended() {
    let mut app = app();
    press(&mut app, "5n<Enter>");
    update(&mut app, Msg::Connect(ConnectNews::Started("c1".into())));
    let again = press(&mut app, "p");
    assert!(again.contains(&Effect::Leave("c1".into())), "{again:?}");
    assert!(again.iter().any(|it| matches!(it, Effect::Connect(ask) if ask.paste)), "{again:?}");
    update(&mut app, Msg::Connect(ConnectNews::Started("c2".into())));
    update(&mut app, Msg::Paste(" http://127.0.0.1/oauth/x/callback?code=1\n".into()));
    let address = "http://127.0.0.1/oauth/x/callback?code=1".to_owned();
    let sent = press(&mut app, "<Enter>");
    assert_eq!(sent, [Effect::Pasted { id: "c2".into(), address: address.clone() }]);
    update(&mut app, Msg::Connect(ConnectNews::NotTaken(trouble("bad_address", false))));
    assert_eq!(press(&mut app, "<Enter>"), [Effect::Pasted { id: "c2".into(), address }]);
}

#[test]
fn the_emergency_stop_asks_and_so_does_sending_again() {
    let mut app = app();
    assert_eq!(deeds(press(&mut app, "P")), []);
    assert_eq!(deeds(press(&mut app, "y")), [Deed::Pause]);
    app.status.as_mut().unwrap().pause_reason = Some("the shop burns".into());
    assert_eq!(deeds(press(&mut app, "S")), []);
    let shown = picture(&mut app);
    assert!(shown.contains("Send again?") && shown.contains("the shop burns"), "{shown}");
    assert_eq!(deeds(press(&mut app, "n")), []);
    assert_eq!(deeds(press(&mut app, "Sy")), [Deed::Resume]);
}

#[test]
fn the_palette_finds_by_any_word_and_does_it() {
    let mut app = app();
    press(&mut app, ":go timel<Enter>");
    assert_eq!(app.screen, Screen::Tab(Tab::Timeline));
    press(&mut app, ":emerg send again<Enter>");
    assert!(picture(&mut app).contains("Send again?"));
    press(&mut app, "n");
    // What Enter does on a row has a name, too.
    press(&mut app, ":open the post<Enter>");
    assert_eq!(app.screen, Screen::Tab(Tab::Timeline), "there is none yet");
    let first = press(&mut app, "0");
    serve_pages(&mut app, first, 1);
    press(&mut app, ":open the post<Enter>");
    assert_eq!(app.screen, Screen::Post);
    // Where a text is written the palette opens too.
    press(&mut app, "4");
    press(&mut app, "<C-p>");
    assert!(matches!(app.layers.last(), Some(Layer::Palette(_))));
}

#[test]
fn every_action_is_in_the_palette_or_moves_a_cursor() {
    use crate::tui::keys::{self, Action as A};
    // What a cursor or a text needs of keys; nobody looks for it by name.
    let moves = |it: A| {
        matches!(it, A::Write(_) | A::Up | A::Down | A::PageUp | A::PageDown | A::Top | A::Bottom)
            || matches!(it, A::DayLeft | A::DayRight | A::WeekUp | A::WeekDown | A::Back)
            || matches!(it, A::Newline | A::Backspace | A::DeleteNext | A::DeleteWord | A::DeleteToEnd)
            || it == A::DeleteLine
            || it == A::Palette
    };
    let screens = Tab::ALL.map(Screen::Tab);
    for screen in screens.into_iter().chain([Screen::Post]) {
        let mut app = app();
        app.screen = screen;
        // Where letters are text, the global ones are offered as well.
        let global = keys::KEYS.iter().filter(|it| it.at == keys::At::Global);
        let all: Vec<A> =
            keys::here(&keys::places(&app)).into_iter().chain(global).map(|it| it.action).collect();
        press(&mut app, "<C-p>");
        let Some(Layer::Palette(it)) = app.layers.last() else { panic!("{screen:?}") };
        let it = it.clone();
        for wanted in all.iter().filter(|it| !moves(**it)) {
            assert!(it.all.iter().any(|it| it.action == *wanted), "{screen:?} {wanted:?}");
        }
        for offered in &it.all {
            assert!(all.contains(&offered.action) && !offered.text.is_empty(), "{screen:?} {offered:?}");
        }
    }
}

#[test]
fn events_make_what_is_shown_be_read_again_once_a_tick() {
    let mut app = app();
    app.asked.clear();
    for seq in 1..4 {
        let event = m::LogEvent {
            at: at("2026-11-23T08:00:00Z"),
            level: "info".into(),
            event: "delivery.published".into(),
            message: "x:acme: published".into(),
            post: Some("pst_1".into()),
            delivery: Some("dlv_2".into()),
            account: Some("x:acme".into()),
            seq,
            progress: None,
        };
        assert_eq!(update(&mut app, Msg::Event(Box::new(event))), []);
    }
    let read = wait(&mut app, 1);
    let expected = [Load::Status, Load::Due, Load::Attention, Load::Drafts, Load::Lately].map(Effect::Load);
    assert_eq!(read, expected);
    assert_eq!(wait(&mut app, 1), [], "the answers are still on their way, and nothing is new");
    assert_eq!(app.log.lines.len(), 3);
}

#[test]
fn a_daemon_that_comes_back_is_asked_for_everything_shown() {
    let mut app = app();
    press(&mut app, "2");
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    let shown = picture(&mut app);
    assert!(shown.contains("The daemon does not answer.") && shown.contains("do something"), "{shown}");
    assert_eq!(press(&mut app, "1"), [], "nobody is there to be asked");
    press(&mut app, "2");
    let read = update(&mut app, Msg::Up(Box::new(super::scenes::status())));
    assert!(read.iter().any(|it| matches!(it, Effect::Load(Load::Page { index: 0, .. }))), "{read:?}");
    assert!(picture(&mut app).contains("the daemon is there again"));
}

#[test]
fn a_million_rows_are_a_window_of_pages_that_moves_with_the_cursor() {
    let mut app = app();
    let serve = |app: &mut App, effects: Vec<Effect>| serve_pages(app, effects, usize::MAX);
    let first = press(&mut app, "2");
    serve(&mut app, first);
    // Whatever else was asked for has been answered.
    app.asked.clear();
    for n in 0..2_000 {
        let here = app.timeline.pages.here().unwrap().post.clone();
        assert_eq!(here, format!("pst_{n}"), "no row is left out on the way down");
        if n % 170 == 0 {
            // Something happened: the page under the cursor is read again, and all goes on.
            app.stale.deliveries = true;
            let again = wait(&mut app, 1);
            assert!(again.iter().any(|it| matches!(it, Effect::Load(Load::Page { .. }))), "{again:?}");
            serve(&mut app, again);
        }
        let more = press(&mut app, "j");
        serve(&mut app, more);
    }
    assert!(app.timeline.pages.len() <= 400, "{}", app.timeline.pages.len());
    for n in (1..=2_000).rev() {
        assert_eq!(app.timeline.pages.here().unwrap().post, format!("pst_{n}"), "nor on the way up");
        let more = press(&mut app, "k");
        serve(&mut app, more);
    }
    assert!(app.timeline.pages.len() <= 400);
}

#[test]
fn a_filter_asks_for_its_own_pages_and_takes_no_others() {
    let mut app = app();
    let first = press(&mut app, "2");
    let Some(Effect::Load(old)) = first.into_iter().find(|it| matches!(it, Effect::Load(Load::Page { .. })))
    else {
        panic!()
    };
    let asked = press(&mut app, "/oven<Enter>");
    let wanted = |it: &Effect| matches!(it, Effect::Load(Load::Page { ask, .. }) if ask.text.as_deref() == Some("oven"));
    assert!(asked.iter().any(wanted), "{asked:?}");
    update(&mut app, Msg::Loaded(old, Ok(Loaded::Posts(list(vec![held()])))));
    assert_eq!(app.timeline.pages.len(), 0, "an answer to the older question");
    let all = press(&mut app, "0");
    assert!(all.iter().any(|it| matches!(it, Effect::Load(Load::Page { ask, .. }) if ask.text.is_none())));
}

#[test]
fn the_chart_counts_days_that_are_known_in_full() {
    let mut app = app();
    let out = |id: &str, day: &str| {
        let it = m::Delivery {
            published_at: Some(at(&format!("{day}T12:00:00Z"))),
            ..delivery(&format!("dlv_{id}"), id, "x:acme", m::DeliveryState::Published)
        };
        post(id, "Out", vec![it])
    };
    let posts = vec![out("a", "2026-11-22"), out("b", "2026-11-22"), out("c", "2026-11-20")];
    let mut told = list(posts.clone());
    update(&mut app, Msg::Loaded(Load::Activity, Ok(Loaded::Posts(told.clone()))));
    let days = &app.overview.activity;
    assert_eq!((days.len(), &days[23..]), (28, &[0, 1, 0, 2, 0][..]));
    assert!(picture(&mut app).contains("▄·█·  3 in 28 days"));
    // There is more: of the oldest day some may be missing.
    told.next_cursor = Some("1".into());
    update(&mut app, Msg::Loaded(Load::Activity, Ok(Loaded::Posts(told))));
    assert_eq!(app.overview.activity, [0, 2, 0]);
}

#[test]
fn a_new_post_gets_a_new_page_and_the_one_before_is_among_the_drafts() {
    let mut app = app();
    press(&mut app, "nHello");
    wait(&mut app, 1);
    let saved = m::Post { id: "pst_9".into(), version: 1, ..super::scenes::draft() };
    let key = app.compose.key.clone();
    update(&mut app, Msg::Saved { key, result: Box::new(Ok(saved)) });
    press(&mut app, "<Esc>");
    press(&mut app, "n");
    assert!(app.compose.is_blank() && app.compose.id.is_none());
    // Not kept yet: it stays.
    press(&mut app, "More<Esc>n");
    assert_eq!(app.compose.common.parts[0].text(), "More");
    // On its own screen, too.
    wait(&mut app, 1);
    let saved = m::Post { id: "pst_10".into(), version: 1, ..super::scenes::draft() };
    let key = app.compose.key.clone();
    update(&mut app, Msg::Saved { key, result: Box::new(Ok(saved)) });
    press(&mut app, "<C-n>");
    assert!(app.compose.is_blank() && app.compose.id.is_none());
}
