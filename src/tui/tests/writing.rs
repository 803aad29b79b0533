//! A post that is written: kept while it is written, sent when it is said, and never lost.

use super::scenes::{draft, filled, picture, plain, post, press, scheduled, trouble, wait};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, Screen, Tab};
use crate::tui::compose::{Field, Time};
use crate::tui::effect::{Deed, Effect, Entry, Load, Loaded, Msg, Outcome, Source};
use crate::tui::update::update;

fn composing() -> App {
    let mut app = filled((80, 24), plain());
    press(&mut app, "n");
    app
}

fn created(effects: &[Effect]) -> Option<&r::CreatePost> {
    effects.iter().find_map(|it| if let Effect::Create(ask) = it { Some(&**ask) } else { None })
}

fn edited(effects: &[Effect]) -> Option<&r::EditPost> {
    effects.iter().find_map(|it| if let Effect::Edit { ask, .. } = it { Some(&**ask) } else { None })
}

fn kept(app: &mut App, version: u32) -> Vec<Effect> {
    let saved = m::Post { id: "pst_9".into(), version, ..draft() };
    let key = app.compose.key.clone();
    update(app, Msg::Saved { key, result: Box::new(Ok(saved)) })
}

fn not_kept(app: &mut App, code: &str, lost: bool) -> Vec<Effect> {
    let key = app.compose.key.clone();
    update(app, Msg::Saved { key, result: Box::new(Err(trouble(code, lost))) })
}

#[test]
fn what_is_written_is_kept_a_second_later_once_and_then_changed() {
    let mut app = composing();
    assert_eq!(created(&press(&mut app, "Hello")), None);
    let effects = wait(&mut app, 1);
    let ask = created(&effects).unwrap();
    assert_eq!((ask.parts.clone(), ask.unfinished), (vec!["Hello".to_owned()], true));
    assert_eq!((ask.when.clone(), ask.key.is_some()), (Some(r::When::Draft), true));
    press(&mut app, " you");
    assert_eq!(created(&wait(&mut app, 1)), None, "one at a time");
    let effects = kept(&mut app, 1);
    let ask = edited(&effects).unwrap();
    assert_eq!((ask.parts.clone(), ask.version), (Some(vec!["Hello you".to_owned()]), Some(1)));
    kept(&mut app, 2);
    assert!(app.compose.is_kept());
    assert!(wait(&mut app, 9).iter().all(|it| !matches!(it, Effect::Edit { .. })), "nothing is new");
}

#[test]
fn a_creation_whose_answer_was_lost_is_repeated_word_for_word() {
    let mut app = composing();
    press(&mut app, "Hello");
    let first = created(&wait(&mut app, 1)).cloned().unwrap();
    press(&mut app, " again");
    assert_eq!(not_kept(&mut app, "broken", true), [], "not in a circle");
    // The same key with other words would be refused.
    assert_eq!(created(&wait(&mut app, 1)), Some(&first));
    let effects = kept(&mut app, 1);
    assert_eq!(edited(&effects).unwrap().parts, Some(vec!["Hello again".to_owned()]));
}

#[test]
fn a_draft_that_somebody_else_took_away_becomes_a_new_one() {
    for code in ["unknown_id", "changed_meanwhile"] {
        let mut app = composing();
        press(&mut app, "Hello");
        let first = created(&wait(&mut app, 1)).cloned().unwrap();
        kept(&mut app, 1);
        press(&mut app, "!");
        wait(&mut app, 1);
        not_kept(&mut app, code, false);
        let mut effects = wait(&mut app, 1);
        effects.extend(wait(&mut app, 1));
        let second = created(&effects).unwrap();
        assert_eq!(second.parts, ["Hello!"], "{code}");
        assert_ne!(second.key, first.key, "{code}");
    }
}

#[test]
fn a_post_is_kept_then_given_its_time_and_the_page_is_new() {
    let mut app = composing();
    press(&mut app, "Hello<BackTab><Enter> <Enter>");
    assert_eq!(app.compose.to, ["bluesky:acme"]);
    app.compose.time = Some(Time::At("tomorrow 9am".into()));
    let effects = press(&mut app, "<C-s>");
    assert!(created(&effects).is_some(), "first of all it is kept: {effects:?}");
    let effects = kept(&mut app, 1);
    let to = r::Move::At("tomorrow 9am".into());
    let deed = Deed::Schedule { id: "pst_9".into(), to, tz: None };
    assert!(effects.contains(&Effect::Do(deed.clone())), "{effects:?}");
    let mut done = scheduled();
    done.notices = vec!["scheduled for Tue".into()];
    update(&mut app, Msg::Done(deed, Ok(Outcome::Post(Box::new(done)))));
    assert_eq!(app.screen, Screen::Post);
    assert!(app.compose.is_blank() && app.compose.id.is_none());
    assert!(picture(&mut app).contains("scheduled for Tue"));
}

#[test]
fn a_refusal_leaves_the_text_and_says_all_that_is_wrong() {
    let mut app = composing();
    press(&mut app, "Hello");
    app.compose.to = vec!["x:acme".into()];
    app.compose.time = Some(Time::Now);
    press(&mut app, "<C-s>");
    let effects = kept(&mut app, 1);
    let deed =
        effects.into_iter().find_map(|it| if let Effect::Do(it) = it { Some(it) } else { None }).unwrap();
    update(&mut app, Msg::Done(deed, Err(trouble("validation", false))));
    assert_eq!(app.compose.common.parts[0].text(), "Hello");
    assert!(!app.compose.sending);
    assert!(picture(&mut app).contains("× it says validation"));
}

#[test]
fn what_is_missing_is_said_before_anything_is_sent() {
    let mut app = composing();
    for (keys, said, field) in [
        ("<C-s>", "there is nothing to post yet", Field::Text),
        ("Hello<C-s>", "choose at least one account", Field::To),
        ("<Enter> <Enter><C-s>", "choose when it goes out", Field::When),
    ] {
        let effects = press(&mut app, keys);
        assert!(effects.iter().all(|it| !matches!(it, Effect::Do(_))), "{keys}: {effects:?}");
        assert!(picture(&mut app).contains(said), "{keys}");
        assert_eq!(app.compose.field, field, "{keys}");
    }
}

#[test]
fn a_post_that_has_its_time_is_changed_in_one_piece_and_its_copy_goes() {
    let mut app = filled((80, 24), plain());
    let opened = Msg::Loaded(Load::Open("pst_1".into()), Ok(Loaded::Post(Box::new(scheduled()))));
    update(&mut app, opened);
    press(&mut app, " Come.");
    let effects = wait(&mut app, 1);
    let copy = created(&effects).expect("what is written is kept beside the post, not in it");
    assert!(copy.parts[0].ends_with(" Come."));
    kept(&mut app, 1);
    let effects = press(&mut app, "<C-s>");
    let [Effect::Do(Deed::Amend { id, ask, to, copy })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((id.as_str(), copy.as_deref(), to), ("pst_1", Some("pst_9"), &None));
    assert_eq!((ask.unfinished, ask.to.clone(), ask.version), (false, None, Some(1)));
    assert_eq!(ask.parts, Some(vec!["Good morning from the oven ☀️ 👩‍🍳 Come.".to_owned()]));
}

#[test]
fn of_a_published_post_the_words_alone_are_sent() {
    let mut app = filled((80, 24), plain());
    let out = super::scenes::delivery("dlv_1", "pst_1", "x:acme", m::DeliveryState::Published);
    let out = post("pst_1", "Out", vec![out]);
    update(&mut app, Msg::Loaded(Load::Open("pst_1".into()), Ok(Loaded::Post(Box::new(out)))));
    press(&mut app, "!");
    wait(&mut app, 1);
    kept(&mut app, 1);
    let effects = press(&mut app, "<C-s>");
    let [Effect::Do(Deed::Amend { ask, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    let only = r::EditPost {
        parts: Some(vec!["Out!".into()]),
        comment: Some(String::new()),
        version: Some(1),
        ..r::EditPost::default()
    };
    assert_eq!(**ask, only);
}

#[test]
fn an_own_text_goes_to_its_account_and_a_thread_keeps_its_parts() {
    let mut app = composing();
    app.compose.to = vec!["x:acme".into(), "bluesky:acme".into()];
    press(&mut app, "One<A-n>Two");
    // The fifth line of the menu: bluesky, x, then the accounts.
    press(&mut app, "<A-v>jjjj<Enter><A-j>, and more");
    let ask = app.compose.asked();
    assert_eq!(ask.parts, ["One", "Two"]);
    let own: Vec<_> = ask.variants.iter().map(|(name, it)| (name.as_str(), it.parts.clone())).collect();
    assert_eq!(own, [("bluesky:acme", vec!["One".to_owned(), "Two, and more".to_owned()])]);
    press(&mut app, "<A-d>");
    assert_eq!(app.compose.asked().variants["bluesky:acme"].parts, ["One"]);
}

#[test]
fn a_file_is_sent_up_and_described_and_goes_with_its_part() {
    let mut app = composing();
    press(&mut app, "Hello<Tab>");
    assert_eq!(app.compose.field, Field::Media);
    let effects = press(&mut app, "<Enter>j<Enter>'/tmp/an oven.jpg'<Enter>");
    let path = std::path::PathBuf::from("/tmp/an oven.jpg");
    assert!(effects.contains(&Effect::Upload { ticket: 1, path: path.clone() }), "{effects:?}");
    press(&mut app, "<C-s>");
    assert!(picture(&mut app).contains("still on its way up"));
    let stored = m::Uploaded {
        id: "med_1".into(),
        name: "an oven.jpg".into(),
        kind: "image".into(),
        bytes: 2_048,
        width: 8,
        height: 8,
    };
    update(&mut app, Msg::Uploaded { ticket: 1, path, result: Box::new(Ok(stored)) });
    let looked = press(&mut app, "<Enter>jjj<Enter>");
    let source = Source::Kept("med_1".into());
    assert!(matches!(&looked[..], [Effect::Look { source: it, .. }] if *it == source), "{looked:?}");
    press(&mut app, "<Esc><Esc><Enter>jj<Enter>Our oven<Enter>");
    let media = app.compose.asked().media;
    let expected = r::MediaRef { id: "med_1".into(), alt: Some("Our oven".into()), part: Some(1) };
    assert_eq!(media, [expected]);
}

#[test]
fn a_file_is_chosen_from_a_directory() {
    let mut app = composing();
    let effects = press(&mut app, "<Tab><Enter><Enter>");
    assert!(effects.contains(&Effect::Browse(".".into())), "{effects:?}");
    let entry =
        |name: &str, bytes| Entry { name: name.into(), path: format!("/home/a/{name}").into(), bytes };
    let found = vec![entry("loaves", None), entry("oven.jpg", Some(2_048))];
    update(&mut app, Msg::Browsed(Ok(("/home/a".into(), found.clone()))));
    let shown = picture(&mut app);
    assert!(shown.contains("Add a file from /home/a"), "{shown}");
    assert!(shown.contains("../") && shown.contains("loaves/") && shown.contains("2.0 KiB"), "{shown}");
    assert!(press(&mut app, "j<Enter>").contains(&Effect::Browse("/home/a/loaves".into())));
    update(&mut app, Msg::Browsed(Err("/home/a/loaves: permission denied".into())));
    assert!(picture(&mut app).contains("permission denied"));
    // The next time it begins where it was.
    assert!(press(&mut app, "<Enter><Enter>").contains(&Effect::Browse("/home/a".into())));
    update(&mut app, Msg::Browsed(Ok(("/home/a".into(), found))));
    let effects = press(&mut app, "jj<Enter>");
    let path = "/home/a/oven.jpg".into();
    assert!(effects.contains(&Effect::Upload { ticket: 1, path }), "{effects:?}");
    assert_eq!(app.compose.uploads.len(), 1);
}

#[test]
fn own_texts_stand_beside_the_common_one_where_there_is_room() {
    let mut app = filled((200, 50), plain());
    press(&mut app, "n");
    app.compose.to = vec!["x:acme".into(), "bluesky:acme".into()];
    press(&mut app, "For all<A-v>jj<Enter>, and X");
    let shown = picture(&mut app);
    let row = shown.lines().find(|it| it.contains("For all, and X")).unwrap();
    assert!(row.contains("│For all  "), "the common text stands beside it: {row}");
    assert!(shown.contains(" Text for everybody else ") && shown.contains(" Own text of x "), "{shown}");
    // Keys and mouse go from one to the other; what is typed goes where the cursor is.
    press(&mut app, "<A-l>!");
    assert_eq!((app.compose.voice.clone(), app.compose.common.parts[0].text()), (None, "For all!"));
    press(&mut app, "<A-h>?");
    assert_eq!(app.compose.voices["x"].parts[0].text(), "For all, and X?");
    app.size = (80, 24);
    let shown = picture(&mut app);
    assert!(!shown.contains("For all!") && shown.contains("For all, and X?"), "no room here: {shown}");
}

#[test]
fn an_own_text_is_kept_while_nobody_gets_it() {
    let mut app = composing();
    app.compose.to = vec!["x:acme".into()];
    press(&mut app, "For all<A-v>j<Enter>, and X");
    app.compose.to.clear();
    let effects = wait(&mut app, 1);
    assert_eq!(created(&effects).unwrap().variants["x"].parts, ["For all, and X"]);
}

#[test]
fn options_are_a_form_and_only_those_of_chosen_networks_are_sent() {
    let mut app = composing();
    app.compose.to = vec!["x:acme".into()];
    app.compose.field = Field::Options;
    press(&mut app, "<Enter><Enter>j<Enter>");
    let asked = app.compose.asked().options;
    assert_eq!(asked["x"]["reply_settings"], "following");
    app.compose.to = vec!["bluesky:acme".into()];
    assert!(app.compose.asked().options.is_empty());
}

#[test]
fn what_the_network_says_stands_beside_the_text_as_it_is_written() {
    let mut app = composing();
    app.compose.to = vec!["x:acme".into()];
    let effects = press(&mut app, "H");
    let Some(Effect::Check { revision, ask }) = effects.iter().find(|it| matches!(it, Effect::Check { .. }))
    else {
        panic!("{effects:?}")
    };
    assert_eq!(ask.parts, ["H"]);
    assert!(press(&mut app, "i").iter().all(|it| !matches!(it, Effect::Check { .. })), "one at a time");
    let problem = m::Problem {
        account: None,
        field: "parts[0]".into(),
        code: "text_too_long".into(),
        message: "the text is too long".into(),
        hint: Some("shorten it".into()),
    };
    let target = m::CheckTarget {
        account: "x:acme".into(),
        ok: false,
        length: m::Length { used: 281, max: 280, unit: "weighted characters".into() },
        comment: None,
        problems: vec![problem],
        preview: serde_json::Value::Null,
        files: vec![],
        notices: vec![],
        cost_usd: None,
        costs: vec![],
    };
    let check = m::Check { ok: false, targets: vec![target], cost_usd: None };
    let msg = Msg::Checked { revision: *revision, result: Box::new(Ok(check)) };
    let again = update(&mut app, msg);
    assert!(
        again.iter().any(|it| matches!(it, Effect::Check { ask, .. } if ask.parts == ["Hi"])),
        "{again:?}"
    );
    let shown = picture(&mut app);
    assert!(shown.contains("281 of 280 weighted characters") && shown.contains("shorten it"), "{shown}");
}

#[test]
fn in_an_outage_the_text_stays_and_is_kept_afterwards() {
    let mut app = composing();
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    assert_eq!(press(&mut app, "Still here"), []);
    assert_eq!(wait(&mut app, 30), []);
    let shown = picture(&mut app);
    assert!(shown.contains("Still here") && shown.contains("no daemon: your text stays"), "{shown}");
    update(&mut app, Msg::Up(Box::new(super::scenes::status())));
    assert_eq!(created(&wait(&mut app, 1)).map(|it| it.parts.clone()), None, "it is on its way already");
    assert!(app.compose.saving.is_some());
}

#[test]
fn a_page_is_thrown_away_only_by_a_yes() {
    let mut app = composing();
    press(&mut app, "Hello");
    wait(&mut app, 1);
    kept(&mut app, 1);
    press(&mut app, "<A-x>n");
    assert_eq!(app.compose.common.parts[0].text(), "Hello");
    let effects = press(&mut app, "<A-x>y");
    let gone = Effect::Do(Deed::Delete { id: "pst_9".into(), local_only: true, open: false });
    assert!(effects.contains(&gone), "{effects:?}");
    assert!(app.compose.is_blank());
}

#[test]
fn a_text_comes_back_from_another_editor_and_can_be_undone() {
    let mut app = composing();
    press(&mut app, "Hello");
    assert!(press(&mut app, "<A-e>").contains(&Effect::Editor("Hello".into())));
    update(&mut app, Msg::Edited(Ok("Hello, world\n".into())));
    assert_eq!(app.compose.common.parts[0].text(), "Hello, world");
    press(&mut app, "<C-z>");
    assert_eq!(app.compose.common.parts[0].text(), "Hello");
    update(&mut app, Msg::Edited(Err("`vi` ended badly".into())));
    assert!(picture(&mut app).contains("ended badly"));
}

#[test]
fn a_draft_is_opened_from_the_overview() {
    let mut app = filled((80, 24), plain());
    let effects = press(&mut app, "jjj<Enter>");
    assert!(effects.contains(&Effect::Load(Load::Open("pst_3".into()))), "{effects:?}");
    update(&mut app, Msg::Loaded(Load::Open("pst_3".into()), Ok(Loaded::Post(Box::new(draft())))));
    assert_eq!(app.screen, Screen::Tab(Tab::Compose));
    assert_eq!((app.compose.id.as_deref(), app.compose.original.is_none()), (Some("pst_3"), true));
    assert!(app.compose.is_kept());
}

#[test]
fn a_page_that_is_thrown_away_while_it_is_kept_leaves_no_draft_behind() {
    let mut app = composing();
    press(&mut app, "Hello");
    wait(&mut app, 1);
    let key = app.compose.key.clone();
    press(&mut app, "<A-x>y");
    let saved = m::Post { id: "pst_9".into(), ..draft() };
    let effects = update(&mut app, Msg::Saved { key, result: Box::new(Ok(saved)) });
    let gone = Effect::Do(Deed::Delete { id: "pst_9".into(), local_only: true, open: false });
    assert!(effects.contains(&gone), "{effects:?}");
    assert_eq!(app.compose.id, None);
}

#[test]
fn when_it_goes_out_is_kept_with_the_draft_and_stands_there_when_it_is_opened_again() {
    let mut app = composing();
    press(&mut app, "Hello");
    app.compose.time = Some(Time::At("tomorrow 9am".into()));
    let first = wait(&mut app, 1);
    let meant = r::When::At("tomorrow 9am".into());
    assert_eq!(created(&first).unwrap().intended, Some(meant.clone()));
    kept(&mut app, 1);
    for (time, told) in [
        (Some(Time::Queue("mornings".into())), r::When::Queue("mornings".into())),
        (Some(Time::Now), r::When::Now),
        (None, r::When::Draft),
    ] {
        app.compose.time = time.clone();
        app.compose.touch(app.now);
        let effects = wait(&mut app, 1);
        assert_eq!(edited(&effects).unwrap().intended, Some(told.clone()));
        kept(&mut app, 1);
        let mut next = filled((80, 24), plain());
        press(&mut next, "jjj<Enter>");
        let post = m::Post { intended: Some(told).filter(|it| *it != r::When::Draft), ..draft() };
        update(&mut next, Msg::Loaded(Load::Open("pst_3".into()), Ok(Loaded::Post(Box::new(post)))));
        assert_eq!(next.compose.time, time);
    }
}

#[test]
fn a_page_that_is_thrown_away_after_its_creation_was_lost_leaves_no_draft_behind() {
    let mut app = composing();
    press(&mut app, "Hello");
    let first = wait(&mut app, 1);
    let ask = created(&first).cloned().unwrap();
    let key = app.compose.key.clone();
    let lost =
        || Msg::Saved { key: ask.key.clone().unwrap(), result: Box::new(Err(trouble("broken", true))) };
    update(&mut app, lost());
    // The daemon may have it: the very same creation tells which draft it is, and makes none beside it.
    let effects = press(&mut app, "<A-x>y");
    assert_eq!(created(&effects), Some(&ask), "{effects:?}");
    assert_eq!(created(&wait(&mut app, 9)), None, "it is on its way");
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    update(&mut app, lost());
    let effects = update(&mut app, Msg::Up(Box::new(super::scenes::status())));
    assert_eq!(created(&effects), Some(&ask), "and once more: {effects:?}");
    let saved = m::Post { id: "pst_9".into(), ..draft() };
    let effects = update(&mut app, Msg::Saved { key, result: Box::new(Ok(saved)) });
    let gone = Effect::Do(Deed::Delete { id: "pst_9".into(), local_only: true, open: false });
    assert!(effects.contains(&gone), "{effects:?}");
    assert!(app.discarded.is_empty() && app.compose.is_blank());
}

#[test]
fn a_draft_that_is_opened_takes_no_page_away_that_is_written_on() {
    let mut app = composing();
    press(&mut app, "Hello");
    update(&mut app, Msg::Loaded(Load::Open("pst_3".into()), Ok(Loaded::Post(Box::new(draft())))));
    assert_eq!(app.compose.common.parts[0].text(), "Hello");
}

#[test]
fn nothing_is_written_on_a_page_that_is_on_its_way() {
    let mut app = composing();
    press(&mut app, "Hello");
    app.compose.to = vec!["x:acme".into()];
    app.compose.time = Some(Time::Now);
    press(&mut app, "<C-s>");
    press(&mut app, " more");
    assert_eq!(app.compose.common.parts[0].text(), "Hello");
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    press(&mut app, " more");
    assert_eq!(app.compose.common.parts[0].text(), "Hello more");
}

/// The picture that is asked for, by its ticket.
fn looks_at(effects: &[Effect], path: &str) -> u64 {
    match effects {
        [Effect::Look { ticket, source: Source::File(it) }] if it == std::path::Path::new(path) => *ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_picture_is_looked_at_before_it_is_chosen_and_the_files_stay_below() {
    let mut app = composing();
    press(&mut app, "Hello<Tab><Enter><Enter>");
    let file = |name: &str, bytes| Entry { name: name.into(), path: format!("/home/a/{name}").into(), bytes };
    let found = vec![file("ovens", None), file("loaf.png", Some(9))];
    update(&mut app, Msg::Browsed(Ok(("/home/a".into(), found))));
    assert_eq!(press(&mut app, "ji"), [], "a directory is no picture");
    let ticket = looks_at(&press(&mut app, "ji"), "/home/a/loaf.png");
    let shown = picture(&mut app);
    assert!(shown.contains("Reading the picture…") && shown.contains("loaf.png"), "{shown}");
    // Closed before it was read: the files are there again, and the answer opens nothing.
    press(&mut app, "<Esc>");
    let answer = |ticket| {
        let why = "/home/a/loaf.png: this is not a picture that can be shown".to_owned();
        Msg::Picture { ticket, result: Box::new(Err(why)) }
    };
    update(&mut app, answer(ticket));
    let shown = picture(&mut app);
    assert!(shown.contains("ovens/") && !shown.contains("not a picture"), "{shown}");
    let ticket = looks_at(&press(&mut app, "i"), "/home/a/loaf.png");
    update(&mut app, answer(ticket));
    let shown = picture(&mut app);
    assert!(shown.contains("not a picture") && shown.contains("ovens/"), "{shown}");
    let chosen = press(&mut app, "<Enter>");
    assert!(matches!(&chosen[..], [Effect::Upload { path, .. }] if path.ends_with("loaf.png")), "{chosen:?}");
}
