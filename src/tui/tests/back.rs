//! Second thoughts, and deeds that come too late: what goes back in which order, and what is refused before it
//! is asked for.

use super::scenes::{
    account, answer, app, deeds, delivery, list, picture, post, press, scheduled, trouble, undo, wait,
};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, Screen, Tab};
use crate::tui::effect::{Deed, Load, Loaded, Msg, Trouble};
use crate::tui::layer::Layer;
use crate::tui::update::update;

/// Cancels both deliveries of the post that is due, then moves it: tickets `a`, `b`, `c`.
fn three_deeds() -> App {
    let mut app = app();
    for (keys, ticket) in [("jcy", "a"), ("jcy", "b"), ("m<Enter>+2h<Enter>", "c")] {
        let deed = deeds(press(&mut app, keys)).remove(0);
        answer(&mut app, &deed, Some(ticket));
    }
    app
}

#[test]
fn each_deed_has_its_own_way_back_and_the_last_one_goes_first() {
    let mut app = three_deeds();
    assert!(picture(&mut app).contains("u takes it back, then 2 more"));
    wait(&mut app, 20);
    let shown = picture(&mut app);
    assert!(
        shown.contains("moved “Good morning from") && shown.contains("(35 s), 2 more before it"),
        "{shown}"
    );
    // Pressed twice at once: the older one waits, or it would overtake the newer one.
    assert_eq!(deeds(press(&mut app, "uu")), [undo("c")]);
    assert_eq!(deeds(answer(&mut app, &undo("c"), None)), [undo("b")]);
    assert_eq!(deeds(answer(&mut app, &undo("b"), None)), []);
    assert!(picture(&mut app).contains("taken back (u takes back the one before)"));
    assert_eq!(deeds(press(&mut app, "u")), [undo("a")]);
    answer(&mut app, &undo("a"), None);
    assert_eq!(deeds(press(&mut app, "u")), []);
    assert!(picture(&mut app).contains("there is nothing to take back"));
}

#[test]
fn each_way_back_has_its_own_minute() {
    let mut app = app();
    let first = deeds(press(&mut app, "jcy")).remove(0);
    answer(&mut app, &first, Some("a"));
    wait(&mut app, 40);
    let second = deeds(press(&mut app, "jcy")).remove(0);
    answer(&mut app, &second, Some("b"));
    wait(&mut app, 20);
    let shown = picture(&mut app);
    assert!(shown.contains("u takes it back (35 s)") && !shown.contains("more before it"), "{shown}");
    assert_eq!(deeds(press(&mut app, "u")), [undo("b")]);
}

#[test]
fn a_way_that_stays_open_is_offered_on_and_a_shut_one_is_not() {
    let mut app = three_deeds();
    for (code, lost, then) in [
        ("broken", true, "c"),
        ("disk_full", false, "c"),
        ("nothing_to_undo", false, "b"),
        ("changed_meanwhile", false, "a"),
    ] {
        let sent = deeds(press(&mut app, "u"));
        update(&mut app, Msg::Done(sent[0].clone(), Err(trouble(code, lost))));
        app.layers.clear();
        let next = app.undo.last().map(|it| it.ticket.clone());
        assert_eq!(next.as_deref(), Some(then), "after {code}");
    }
}

#[test]
fn a_move_on_the_wire_is_not_passed_over_for_an_older_deed() {
    let mut app = app();
    let cancel = deeds(press(&mut app, "jcy")).remove(0);
    answer(&mut app, &cancel, Some("a"));
    let moved = deeds(press(&mut app, "m<Enter>+2h<Enter>")).remove(0);
    assert_eq!(deeds(press(&mut app, "u")), []);
    assert!(picture(&mut app).contains("on its way"));
    answer(&mut app, &moved, Some("b"));
    assert_eq!(deeds(press(&mut app, "u")), [undo("b")]);
}

#[test]
fn what_is_to_be_read_does_not_swallow_the_key_that_takes_back() {
    let mut app = three_deeds();
    let refused = deeds(press(&mut app, "cy")).remove(0);
    update(&mut app, Msg::Done(refused, Err(trouble("busy", false))));
    assert!(matches!(app.layers.last(), Some(Layer::Sheet(_))) && picture(&mut app).contains("Not done"));
    assert_eq!(deeds(press(&mut app, "u")), [undo("c")]);
    assert!(app.layers.is_empty());
    // With nothing to take back the sheet stays.
    let mut app = self::app();
    app.say(crate::tui::look::Tone::Bad, "word ".repeat(200));
    press(&mut app, "u");
    assert!(matches!(app.layers.last(), Some(Layer::Sheet(_))));
}

#[test]
fn a_cancel_that_was_done_and_said_again_is_not_called_undone() {
    let mut app = app();
    let cancel = deeds(press(&mut app, "jcy")).remove(0);
    let message = "`dlv_1` is cancelled already: it is not sent".to_owned();
    let already = Trouble { message, ..trouble("already_over", false) };
    update(&mut app, Msg::Done(cancel, Err(already)));
    let shown = picture(&mut app);
    assert!(shown.contains("Already over") && shown.contains("is cancelled already"), "{shown}");
    assert!(!shown.contains("Not done"), "{shown}");
}

/// The overview with one post, due, whose deliveries are these.
fn with(deliveries: Vec<m::Delivery>) -> App {
    let mut app = app();
    press(&mut app, "2");
    let load = app.asked.iter().find(|it| matches!(it, Load::Page { .. })).cloned().unwrap();
    let posts = list(vec![post("pst_1", "Bread", deliveries)]);
    update(&mut app, Msg::Loaded(load, Ok(Loaded::Posts(posts))));
    app
}

#[test]
fn a_cancel_of_what_is_over_is_refused_at_the_key_with_what_to_do_instead() {
    use m::DeliveryState as D;
    for (state, why) in [
        (D::Published, "is published; x deletes it there"),
        (D::HandedOver, "inbox of the network; x deletes it"),
        (D::Cancelled, "is cancelled already"),
        (D::Missed, "r sends it after all"),
        (D::Rejected, "r tries it again"),
    ] {
        let mut app = with(vec![delivery("dlv_1", "pst_1", "x:acme", state)]);
        press(&mut app, "c");
        let shown = picture(&mut app);
        assert!(app.layers.is_empty() && shown.contains(why), "{state}: {shown}");
        assert!(shown.contains("“Bread” for x:acme"), "{shown}");
    }
    for state in [D::Scheduled, D::Preparing, D::Sending, D::Unknown, D::Retry, D::NeedsReconnect] {
        let mut app = with(vec![delivery("dlv_1", "pst_1", "x:acme", state)]);
        press(&mut app, "c");
        assert!(matches!(app.layers.last(), Some(Layer::Confirm(_))), "{state}");
    }
    // All of a post at once, on its own screen.
    let over = vec![
        delivery("dlv_1", "pst_1", "x:acme", D::Published),
        delivery("dlv_2", "pst_1", "bluesky:acme", D::Cancelled),
    ];
    let mut app = with(over.clone());
    press(&mut app, "<Enter>");
    let it = post("pst_1", "Bread", over);
    update(&mut app, Msg::Loaded(Load::Post("pst_1".into()), Ok(Loaded::Post(Box::new(it)))));
    press(&mut app, "C");
    assert!(app.layers.is_empty() && picture(&mut app).contains("nothing of “Bread” waits any more"));
}

#[test]
fn what_was_replaced_says_so_and_by_what() {
    use m::DeliveryState as D;
    let rows = || {
        vec![
            delivery("dlv_1", "pst_1", "x:acme", D::Cancelled),
            delivery("dlv_2", "pst_1", "x:acme", D::Scheduled),
            delivery("dlv_3", "pst_1", "bluesky:acme", D::Cancelled),
        ]
    };
    let mut app = with(rows());
    let shown = picture(&mut app);
    let words = |account: &str, shown: &str| -> Vec<String> {
        let lines = shown.lines().filter(|it| it.contains(account)).map(str::trim_end);
        lines.map(|it| it.replace(account, "").split_whitespace().nth(4).unwrap_or_default().into()).collect()
    };
    let states = words("x:acme", &shown);
    assert_eq!(
        states.iter().map(|it| it.trim_start_matches('›')).collect::<Vec<_>>(),
        ["replaced", "scheduled"],
        "{shown}"
    );
    assert_eq!(words("bluesky:acme", &shown), ["cancelled"], "{shown}");
    press(&mut app, "c");
    assert!(picture(&mut app).contains("another delivery stands in its place"));
    press(&mut app, "<Enter>");
    let it = post("pst_1", "Bread", rows());
    update(&mut app, Msg::Loaded(Load::Post("pst_1".into()), Ok(Loaded::Post(Box::new(it)))));
    let shown = picture(&mut app);
    assert!(shown.contains(" replaced          by one due Mon 23 Nov 10:00\n"), "{shown}");
    press(&mut app, "G");
    press(&mut app, "ggk");
    app.post.at = 0;
    let mut seen = picture(&mut app);
    for _ in 0..10 {
        press(&mut app, "<PageDown>");
        seen += &picture(&mut app);
    }
    assert!(seen.contains("replaced by the one due Mon 23 Nov 10:00, which is scheduled"), "{seen}");
    assert!(seen.contains("cancelled and replaced"), "{seen}");

    // One that was refused and tried anew needs nobody.
    let mut app = self::app();
    let refused = vec![
        delivery("dlv_1", "pst_1", "x:acme", D::Rejected),
        delivery("dlv_2", "pst_1", "x:acme", D::Published),
        delivery("dlv_3", "pst_1", "bluesky:acme", D::Rejected),
    ];
    let posts = list(vec![post("pst_1", "Bread", refused)]);
    update(&mut app, Msg::Loaded(Load::Attention, Ok(Loaded::Posts(posts))));
    let all: Vec<_> = app.overview.attention.rows.iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(all, ["dlv_3"]);
}

#[test]
fn what_cannot_be_edited_is_told_at_the_key_and_no_page_opens() {
    let why = "x:acme is published, and X lets nothing of it be changed";
    let fixed = m::Post { fixed: Some(why.into()), ..scheduled() };
    let mut app = app();
    press(&mut app, "je");
    update(&mut app, Msg::Loaded(Load::Open("pst_1".into()), Ok(Loaded::Post(Box::new(fixed.clone())))));
    let told = |app: &mut App| {
        let shown = picture(app).replace('\n', " ");
        assert!(
            shown.contains("cannot be edited: x:acme is published") && shown.contains("x deletes it"),
            "{shown}"
        );
    };
    told(&mut app);
    assert!(app.screen == Screen::Tab(Tab::Overview) && app.compose.is_blank());
    // Known already on the post's own screen.
    press(&mut app, "<Enter>");
    update(&mut app, Msg::Loaded(Load::Post("pst_1".into()), Ok(Loaded::Post(Box::new(fixed)))));
    assert_eq!(press(&mut app, "e"), []);
    told(&mut app);
    // What can be is opened.
    press(&mut app, "1je");
    update(&mut app, Msg::Loaded(Load::Open("pst_1".into()), Ok(Loaded::Post(Box::new(scheduled())))));
    assert_eq!(app.screen, Screen::Tab(Tab::Compose));
}

#[test]
fn a_new_time_among_changes_is_taken_back_like_a_move() {
    let mut app = app();
    let ask = Box::new(r::EditPost::default());
    let to = Some(r::Move::At("tomorrow 9am".into()));
    let deed = Deed::Amend { id: "pst_1".into(), ask, to, copy: None };
    answer(&mut app, &deed, Some("t1"));
    assert!(picture(&mut app).contains("(u takes the new time back)"));
    assert_eq!(deeds(press(&mut app, "u")), [undo("t1")]);
}

#[test]
fn one_key_empties_a_line_to_fill_in() {
    let mut app = app();
    press(&mut app, "2/bread and rolls<Left><Left><C-u>");
    let empty =
        |app: &App| matches!(app.layers.last(), Some(Layer::Prompt(it)) if it.entry.text().is_empty());
    assert!(empty(&app));
    press(&mut app, "oven<Enter>");
    assert_eq!(app.timeline.filter.text.as_deref(), Some("oven"));
    press(&mut app, "/<C-u><Enter>");
    assert_eq!(app.timeline.filter.text, None);
    // In a text of lines it deletes to the beginning of one, and can be taken back.
    press(&mut app, "nfirst line<Enter>second line<Left><Left><C-u>");
    assert_eq!(app.compose.common.parts[0].text(), "first line\nne");
    press(&mut app, "<C-z>");
    assert_eq!(app.compose.common.parts[0].text(), "first line\nsecond line");
}

#[test]
fn an_account_that_pays_nothing_has_no_tier_none() {
    let mut app = app();
    let x = |tier: &str| m::Account { tier: Some(tier.into()), ..account("x:acme", m::AccountState::Ready) };
    for (tier, told) in [("None", "no paid one"), ("Premium", "Premium")] {
        app.accounts = vec![x(tier)];
        press(&mut app, "5");
        app.size = (80, 40);
        let shown = picture(&mut app);
        let line = shown.lines().find(|it| it.contains("tier")).unwrap_or_default();
        assert!(line.contains(told) && !line.contains("None"), "{shown}");
    }
}
