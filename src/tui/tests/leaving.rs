//! The end of a console, however it comes: nothing that was written is lost, and what was confirmed is done.

use super::scenes::{app, deeds, draft, filled, fresh, picture, plain, press, status, trouble, wait};
use crate::control::messages as m;
use crate::tui::app::{App, Screen, Tab};
use crate::tui::compose::Time;
use crate::tui::effect::{Deed, Effect, Load, Msg};
use crate::tui::remains::Remains;
use crate::tui::update::{farewell, not_done, update};

fn kept(app: &mut App) -> Vec<Effect> {
    let key = app.compose.key.clone();
    let saved = m::Post { id: "pst_9".into(), version: 1, ..draft() };
    update(app, Msg::Saved { key, result: Box::new(Ok(saved)) })
}

#[test]
fn who_leaves_while_the_daemon_is_away_is_asked_by_name() {
    let mut app = app();
    press(&mut app, "nHalf a thought");
    wait(&mut app, 1);
    kept(&mut app);
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    press(&mut app, ", and the rest<Esc>q");
    assert!(!app.quit);
    let shown = picture(&mut app);
    assert!(shown.contains("“Half a thought, and the rest” is not kept yet: there is no daemon"), "{shown}");
    assert!(shown.contains("into a file of this machine"), "{shown}");
    press(&mut app, "n");
    assert!(!app.quit && app.layers.is_empty());
    press(&mut app, "qy");
    assert!(app.quit);
    assert_eq!(Remains::of(&app).unwrap().parts, ["Half a thought, and the rest"]);
}

#[test]
fn who_leaves_right_after_the_last_word_waits_until_it_is_kept() {
    let mut app = app();
    let effects = press(&mut app, "nHello<Esc>q");
    assert!(!app.quit);
    assert!(effects.iter().any(|it| matches!(it, Effect::Create(_))), "at once: {effects:?}");
    kept(&mut app);
    assert!(app.quit && Remains::of(&app).is_none());
}

#[test]
fn who_leaves_while_the_daemon_stands_still_is_asked_and_whoever_goes_on_is_not() {
    let mut app = app();
    press(&mut app, "nHello<Esc>q");
    wait(&mut app, 1);
    assert!(!app.quit && app.layers.is_empty());
    app.dirty = false;
    wait(&mut app, 1);
    assert!(app.dirty, "what is asked is shown, though nothing but time has passed");
    assert!(picture(&mut app).contains("is not kept yet: the daemon does not answer"));
    press(&mut app, "nq");
    press(&mut app, "4");
    wait(&mut app, 9);
    kept(&mut app);
    assert!(!app.quit && app.layers.is_empty());
}

#[test]
fn who_leaves_with_a_text_that_the_daemon_refused_is_asked() {
    let mut app = app();
    press(&mut app, "nHello");
    wait(&mut app, 1);
    let key = app.compose.key.clone();
    update(&mut app, Msg::Saved { key, result: Box::new(Err(trouble("too_large", false))) });
    press(&mut app, "<Esc>q");
    assert!(!app.quit);
    assert!(picture(&mut app).contains("the daemon says: it says too_large"));
}

#[test]
fn ctrl_c_asks_nothing_and_leaves_what_is_not_kept_for_the_next_start() {
    let mut app = app();
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    app.screen = Screen::Tab(Tab::Compose);
    press(&mut app, "Hello<A-n>there");
    app.compose.to = vec!["x:acme".into()];
    app.compose.time = Some(Time::At("tomorrow 9am".into()));
    press(&mut app, "<C-c>");
    assert!(app.quit);
    let written = serde_json::to_string(&Remains::of(&app).unwrap()).unwrap();

    let mut next = fresh((80, 24), plain());
    next.session = "t".into();
    let remains: Remains = serde_json::from_str(&written).unwrap();
    let path = std::path::PathBuf::from("/home/a/.local/state/sendoff/console-s.json");
    let left = |more| Msg::Left { path: path.clone(), remains: Box::new(remains.clone()), more };
    update(&mut next, left(1));
    let shown = picture(&mut next);
    assert!(shown.contains("“Hello” was written here") && shown.contains("1 more"), "{shown}");
    press(&mut next, "n");
    assert!(next.compose.is_blank(), "it waits for the next start");
    update(&mut next, left(0));
    press(&mut next, "y");
    assert_eq!(next.screen, Screen::Tab(Tab::Compose));
    let asked = next.compose.asked();
    assert_eq!(
        (asked.parts, asked.to),
        (vec!["Hello".to_owned(), "there".into()], vec!["x:acme".to_owned()])
    );
    assert_eq!(next.compose.time, Some(Time::At("tomorrow 9am".into())));
    // The file goes when the daemon has it, and not before.
    let before = update(&mut next, Msg::Up(Box::new(status())));
    let mut before = [before, wait(&mut next, 1)].concat();
    assert!(before.iter().any(|it| matches!(it, Effect::Create(_))), "{before:?}");
    before.retain(|it| matches!(it, Effect::Forget(_)));
    assert_eq!(before, []);
    assert!(kept(&mut next).contains(&Effect::Forget(path.clone())));
}

#[test]
fn a_creation_whose_answer_was_not_seen_is_repeated_by_the_next_run() {
    let mut app = app();
    press(&mut app, "nHello");
    let first = wait(&mut app, 1).into_iter().find(|it| matches!(it, Effect::Create(_))).unwrap();
    press(&mut app, " you<C-c>");
    let remains = Remains::of(&app).unwrap();
    let mut next = filled((80, 24), plain());
    next.session = "t".into();
    update(&mut next, Msg::Left { path: "/f".into(), remains: Box::new(remains), more: 0 });
    press(&mut next, "y");
    assert!(wait(&mut next, 1).contains(&first), "the very same one makes one draft");
    let effects = kept(&mut next);
    let Some(Effect::Edit { ask, .. }) = effects.iter().find(|it| matches!(it, Effect::Edit { .. })) else {
        panic!("{effects:?}")
    };
    assert_eq!(ask.parts, Some(vec!["Hello you".to_owned()]));
    assert!(!effects.contains(&Effect::Forget("/f".into())), "{effects:?}");
}

#[test]
fn a_confirmed_cancel_is_done_however_the_console_ends() {
    let mut app = app();
    assert_eq!(deeds(press(&mut app, "jcy")), [Deed::Cancel("dlv_1".into())]);
    assert_eq!(deeds(farewell(&mut app)), [], "it is on its way");
    // And told of, if the daemon never heard of it.
    update(&mut app, Msg::Done(Deed::Cancel("dlv_1".into()), Err(trouble("unreachable", true))));
    let open = not_done(&app);
    assert!(open[0].contains("“Good morning from the oven") && open.len() == 1, "{open:?}");
}

/// A cancel that was asked for while the daemon was there, and confirmed when it was not.
fn confirmed_too_late() -> App {
    let mut app = app();
    press(&mut app, "jc");
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    assert_eq!(deeds(press(&mut app, "y")), []);
    app
}

#[test]
fn a_confirmed_cancel_waits_for_a_daemon_that_is_away() {
    let mut app = confirmed_too_late();
    assert_eq!(deeds(wait(&mut app, 60)), []);
    let shown = picture(&mut app);
    assert!(
        shown.contains("cancelling “Good morning from the oven") && shown.contains("waits for"),
        "{shown}"
    );
    press(&mut app, "q");
    assert!(!app.quit, "nobody would do it");
    assert!(picture(&mut app).contains("Not done, and not done if you leave: cancelling “Good morning"));
    press(&mut app, "n");
    update(&mut app, Msg::Up(Box::new(status())));
    let cancel = Deed::Cancel("dlv_1".into());
    assert_eq!(deeds(wait(&mut app, 1)), std::slice::from_ref(&cancel));
    // Killed before it could answer.
    assert_eq!(deeds(update(&mut app, Msg::Done(cancel.clone(), Err(trouble("broken", true))))), []);
    update(&mut app, Msg::Down(trouble("unreachable", true)));
    assert_eq!(deeds(wait(&mut app, 1)), []);
    update(&mut app, Msg::Up(Box::new(status())));
    assert_eq!(deeds(wait(&mut app, 1)), [cancel]);
}

#[test]
fn a_cancel_that_waits_can_still_be_taken_back() {
    let mut app = confirmed_too_late();
    wait(&mut app, 60);
    press(&mut app, "u");
    update(&mut app, Msg::Up(Box::new(status())));
    assert_eq!(deeds(wait(&mut app, 1)), []);
    press(&mut app, "q");
    assert!(app.quit);
}

#[test]
fn a_cancel_that_came_too_late_stays_on_the_screen_by_name() {
    let mut app = app();
    let cancel = deeds(press(&mut app, "jcy")).remove(0);
    update(&mut app, Msg::Done(cancel, Err(trouble("is_out", false))));
    wait(&mut app, 600);
    let shown = picture(&mut app);
    assert!(shown.contains("Not done") && shown.contains("“Good morning from the oven"), "{shown}");
    assert!(shown.contains("it says is_out") && shown.contains("do something"), "{shown}");
}

#[test]
fn a_refusal_names_the_post() {
    let mut app = app();
    let deed = deeds(press(&mut app, "jr")).remove(0);
    update(&mut app, Msg::Done(deed, Err(trouble("not_failed", false))));
    let shown = picture(&mut app);
    assert!(shown.contains("“Good morning from the oven") && shown.contains("it says not_failed"), "{shown}");
}

#[test]
fn a_file_goes_to_the_page_and_the_part_it_was_chosen_for() {
    let stored = || m::Uploaded {
        id: "med_1".into(),
        name: "film.mp4".into(),
        kind: "video".into(),
        bytes: 2_048,
        width: 8,
        height: 8,
    };
    let mut app = app();
    press(&mut app, "nOne<Tab>");
    let effects = press(&mut app, "<Enter>j<Enter>/tmp/film.mp4<Enter>");
    let Some(Effect::Upload { ticket, path }) =
        effects.into_iter().find(|it| matches!(it, Effect::Upload { .. }))
    else {
        panic!()
    };
    wait(&mut app, 1);
    kept(&mut app);
    // No other page takes its place meanwhile.
    press(&mut app, "<C-n>");
    assert_eq!(app.compose.common.parts[0].text(), "One");
    assert!(picture(&mut app).contains("/tmp/film.mp4 is still on its way up"));
    let opened = crate::tui::effect::Loaded::Post(Box::new(draft()));
    update(&mut app, Msg::Loaded(Load::Open("pst_3".into()), Ok(opened)));
    assert_eq!(app.compose.common.parts[0].text(), "One");
    press(&mut app, "<Esc>q");
    assert!(!app.quit, "nor is it left");
    press(&mut app, "n4<BackTab><A-n>Two");
    let msg = |ticket| Msg::Uploaded { ticket, path: path.clone(), result: Box::new(Ok(stored())) };
    update(&mut app, msg(ticket));
    let media = app.compose.asked().media;
    assert_eq!((media.len(), media[0].part), (1, Some(1)), "the part that was written then");

    // A page that was thrown away has no file for the next one.
    let effects = press(&mut app, "<Tab><Enter>j<Enter>/tmp/film.mp4<Enter>");
    let Some(Effect::Upload { ticket, .. }) = effects.iter().find(|it| matches!(it, Effect::Upload { .. }))
    else {
        panic!("{effects:?}")
    };
    press(&mut app, "<A-x>y");
    update(&mut app, msg(*ticket));
    assert!(app.compose.media.is_empty());
    assert!(picture(&mut app).contains("a page that is gone"));
}

#[test]
fn a_post_whose_sending_was_not_answered_does_not_go_out_twice() {
    let mut app = app();
    press(&mut app, "nHello");
    app.compose.to = vec!["x:acme".into()];
    app.compose.time = Some(Time::Now);
    press(&mut app, "<C-s>");
    let deed = deeds(kept(&mut app)).remove(0);
    assert!(matches!(&deed, Deed::Schedule { id, .. } if id == "pst_9"));
    update(&mut app, Msg::Done(deed, Err(trouble("broken", true))));
    press(&mut app, "!<C-s>");
    let key = app.compose.key.clone();
    let refused = Box::new(Err(trouble("not_a_draft", false)));
    let mut after = update(&mut app, Msg::Saved { key, result: refused });
    let shown = picture(&mut app);
    assert!(shown.contains("It may be out already") && shown.contains("“Hello!”"), "{shown}");
    after.extend(wait(&mut app, 2));
    assert!(after.iter().any(|it| matches!(it, Effect::Create(_))), "it is kept: {after:?}");
    after.extend(kept(&mut app));
    after.extend(wait(&mut app, 2));
    assert_eq!(deeds(after), [], "and not sent");
    let shown = press(&mut app, "y");
    assert!(shown.contains(&Effect::Load(Load::Post("pst_9".into()))), "{shown:?}");
}
