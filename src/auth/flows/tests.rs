//! Stolen, swapped, late and repeated arrivals, by hand and by the thousand.

use super::*;
use crate::auth::Server;
use crate::auth::testing::{instant, noise};

fn wanted() -> Wanted {
    let purpose = Purpose::New { name: None };
    Wanted { platform: PlatformName::X, instance: None, handle: None, kind: None, purpose }
}

/// What a provider's `begin` makes, and the state it sent out.
fn begin(random: &Random<'_>) -> (Pending, String) {
    let state = secret(random);
    let pending = Pending {
        state: Digest::of(&state),
        verifier: secret(random).to_string().into(),
        redirect_uri: Url::parse("https://me.example/oauth/x/callback").unwrap(),
        expect: None,
        server: Server::X,
    };
    (pending, state.to_string())
}

fn back(state: &str) -> CallbackParams {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("code", "c")
        .append_pair("state", state)
        .finish();
    CallbackParams::from_query(&query).unwrap()
}

/// A connect on its way: what only the right browser or terminal knows.
#[derive(Clone)]
struct Away {
    flow: FlowId,
    state: String,
    /// None at a terminal.
    cookie: Option<String>,
}

fn in_browser(flows: &mut Flows, random: &Random<'_>) -> Away {
    let opened = flows.open(wanted(), instant(0), random).unwrap();
    let redeemed = flows.redeem(&opened.ticket, instant(0), random).unwrap();
    assert_eq!(redeemed.flow, opened.flow);
    let (pending, state) = begin(random);
    flows.begun(&opened.flow, pending, instant(0)).unwrap();
    Away { flow: opened.flow, state, cookie: Some(redeemed.cookie.to_string()) }
}

fn at_terminal(flows: &mut Flows, random: &Random<'_>) -> Away {
    let flow = flows.open_at_terminal(wanted(), instant(0), random).unwrap();
    let (pending, state) = begin(random);
    flows.begun(&flow, pending, instant(0)).unwrap();
    Away { flow, state, cookie: None }
}

/// The one arrival that is right.
fn truly(flows: &mut Flows, away: &Away, seconds: i64) -> Result<Arrived, FlowError> {
    match &away.cookie {
        Some(cookie) => flows.arrive(PlatformName::X, Some(cookie), &back(&away.state), instant(seconds)),
        None => flows.paste(&away.flow, &back(&away.state), instant(seconds)),
    }
}

#[test]
fn a_ticket_works_once_and_for_ten_minutes() {
    let (mut flows, random) = (Flows::default(), noise(1));
    let first = flows.open(wanted(), instant(0), &random).unwrap();
    assert!(first.ticket.len() >= 43, "256 bits");
    assert!(flows.redeem(&first.ticket, instant(599), &random).is_ok());
    assert_eq!(flows.redeem(&first.ticket, instant(599), &random).err(), Some(FlowError::BadTicket));
    let second = flows.open(wanted(), instant(0), &random).unwrap();
    assert_eq!(flows.redeem(&second.ticket, instant(600), &random).err(), Some(FlowError::BadTicket));
}

#[test]
fn a_state_works_once_and_for_ten_minutes() {
    let (mut flows, random) = (Flows::default(), noise(2));
    for make in [in_browser, at_terminal] {
        let away = make(&mut flows, &random);
        let arrived = truly(&mut flows, &away, 599).unwrap();
        assert_eq!(arrived.flow, away.flow);
        assert!(arrived.pending.answers_to(&away.state));
        assert_eq!(truly(&mut flows, &away, 599).err(), Some(FlowError::BadState));
        let late = make(&mut flows, &random);
        assert_eq!(truly(&mut flows, &late, 600).err(), Some(FlowError::BadState));
    }
}

#[test]
fn a_refusal_by_the_network_burns_the_state_too() {
    let (mut flows, random) = (Flows::default(), noise(3));
    let away = in_browser(&mut flows, &random);
    let denied = CallbackParams::from_query(&format!("error=access_denied&state={}", away.state)).unwrap();
    assert!(flows.arrive(PlatformName::X, away.cookie.as_deref(), &denied, instant(1)).is_ok());
    assert_eq!(truly(&mut flows, &away, 2).err(), Some(FlowError::BadState));
}

#[test]
fn a_foreign_browser_is_refused_and_ends_the_connect() {
    let (mut flows, random) = (Flows::default(), noise(4));
    let away = in_browser(&mut flows, &random);
    let other = in_browser(&mut flows, &random);
    for (cookie, away) in [(None, &away), (away.cookie.as_deref(), &other)] {
        let result = flows.arrive(PlatformName::X, cookie, &back(&away.state), instant(1));
        assert_eq!(result.err(), Some(FlowError::ForeignBrowser));
        assert_eq!(truly(&mut flows, away, 2).err(), Some(FlowError::BadState));
        let progress = flows.progress(&away.flow, instant(2));
        assert!(matches!(progress, Some(Progress::Ended(Outcome::Failed { code: "foreign_browser", .. }))));
    }
}

#[test]
fn a_pasted_address_counts_only_at_the_terminal_that_began() {
    let (mut flows, random) = (Flows::default(), noise(5));
    let (terminal, other, browser) =
        (at_terminal(&mut flows, &random), at_terminal(&mut flows, &random), in_browser(&mut flows, &random));
    // At another terminal; through a browser; a browser's answer at a terminal.
    assert!(flows.paste(&other.flow, &back(&terminal.state), instant(1)).is_err());
    let cookie = browser.cookie.as_deref();
    assert!(flows.arrive(PlatformName::X, cookie, &back(&other.state), instant(1)).is_err());
    assert!(flows.paste(&browser.flow, &back(&browser.state), instant(1)).is_err());
}

#[test]
fn steps_cannot_be_skipped_or_repeated() {
    let (mut flows, random) = (Flows::default(), noise(6));
    let opened = flows.open(wanted(), instant(0), &random).unwrap();
    assert_eq!(flows.begun(&opened.flow, begin(&random).0, instant(0)), Err(FlowError::WrongStep));
    let away = in_browser(&mut flows, &random);
    assert_eq!(flows.begun(&away.flow, begin(&random).0, instant(0)), Err(FlowError::WrongStep));
    let mut bluesky = wanted();
    bluesky.platform = PlatformName::Bluesky;
    let flow = flows.open_at_terminal(bluesky, instant(0), &random).unwrap();
    assert_eq!(flows.begun(&flow, begin(&random).0, instant(0)), Err(FlowError::WrongPlatform));
}

#[test]
fn there_is_an_end_to_how_many_can_run_and_time_makes_room() {
    let (mut flows, random) = (Flows::default(), noise(7));
    for _ in 0..FLOWS_MAX {
        flows.open(wanted(), instant(0), &random).unwrap();
    }
    assert_eq!(flows.open(wanted(), instant(599), &random).err(), Some(FlowError::TooMany));
    assert!(flows.open(wanted(), instant(600), &random).is_ok());
}

#[test]
fn the_outcome_is_shown_to_its_browser_and_its_terminal_alone() {
    let (mut flows, random) = (Flows::default(), noise(8));
    let (away, other) = (in_browser(&mut flows, &random), in_browser(&mut flows, &random));
    let cookie = away.cookie.clone().unwrap();
    truly(&mut flows, &away, 1).unwrap();
    assert_eq!(flows.progress_by_cookie(&cookie, instant(1)), Some(Progress::Back));
    let outcome = Outcome::Found { who: "@acme".into() };
    flows.settle(&away.flow, outcome.clone(), instant(2));
    assert_eq!(flows.progress_by_cookie(&cookie, instant(3)), Some(Progress::Ended(&outcome)));
    assert_eq!(flows.progress(&away.flow, instant(3)), Some(Progress::Ended(&outcome)));
    assert_eq!(flows.progress(&other.flow, instant(3)), Some(Progress::Away));
    assert_eq!(flows.progress_by_cookie("", instant(3)), None);
    assert_eq!(flows.progress_by_cookie(&cookie, instant(602)), None);
    assert!(flows.cancel(&other.flow) && !flows.cancel(&other.flow));
    assert_eq!(truly(&mut flows, &other, 3).err(), Some(FlowError::BadState));
}

/// One arrival that is wrong in one way, chosen by `die`. Returns what the registry said.
fn mutated(
    flows: &mut Flows,
    away: &[Away],
    one: usize,
    die: &dyn Fn(usize) -> usize,
) -> Result<Arrived, FlowError> {
    let it = away[one].clone();
    let other = away[(one + 1 + die(away.len() - 1)) % away.len()].clone();
    let cookie = it.cookie.as_deref();
    let damage = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        let at = die(bytes.len());
        match die(4) {
            0 => bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' },
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b'-'),
            _ => bytes.truncate(at),
        }
        String::from_utf8(bytes).unwrap()
    };
    let (x, now) = (PlatformName::X, instant(1));
    match die(8) {
        // A damaged state.
        0 if cookie.is_some() => flows.arrive(x, cookie, &back(&damage(&it.state)), now),
        0 => flows.paste(&it.flow, &back(&damage(&it.state)), now),
        // Another connect's state, and this one's cookie or terminal.
        1 if cookie.is_some() => flows.arrive(x, cookie, &back(&other.state), now),
        1 => flows.paste(&it.flow, &back(&other.state), now),
        // No cookie, or a damaged one.
        2 => flows.arrive(x, None, &back(&it.state), now),
        3 => flows.arrive(x, Some(&damage(cookie.unwrap_or("cookie"))), &back(&it.state), now),
        // Too late.
        4 => truly(flows, &it, 600 + i64::try_from(die(100_000)).unwrap()),
        // To another network's address; a browser has nothing to say for a terminal at all.
        5 => flows.arrive(PlatformName::ALL[[0, 1, 3, 4, 5, 6, 7][die(7)]], cookie, &back(&it.state), now),
        // The other way of coming back.
        6 if cookie.is_some() => flows.paste(&it.flow, &back(&it.state), now),
        6 => flows.arrive(x, other.cookie.as_deref(), &back(&it.state), now),
        // A second time.
        _ => {
            truly(flows, &it, 1).unwrap();
            truly(flows, &it, 1)
        }
    }
}

#[test]
fn no_mutated_arrival_is_ever_accepted() {
    let seed = std::env::var("AUTH_SEED").map_or(0x5e4d_0ff1, |it| it.parse().expect("AUTH_SEED is a u64"));
    println!("replay: AUTH_SEED={seed} cargo test --lib auth::flows");
    let random = noise(seed);
    let die = |sides: usize| {
        let mut bytes = [0; 4];
        random(&mut bytes);
        u32::from_le_bytes(bytes) as usize % sides
    };
    let mut accepted = 0;
    for round in 0..12_000 {
        let mut flows = Flows::default();
        let make: [fn(&mut Flows, &Random<'_>) -> Away; 4] =
            [in_browser, at_terminal, in_browser, at_terminal];
        let away = make.map(|it| it(&mut flows, &random));
        let one = die(away.len());
        accepted += usize::from(mutated(&mut flows, &away, one, &die).is_ok());
        // The registry itself is not simply deaf: a connect nobody touched still ends well.
        if round % 100 == 0 {
            let fresh = in_browser(&mut flows, &random);
            assert!(truly(&mut flows, &fresh, 1).is_ok(), "seed {seed}");
        }
    }
    assert_eq!(accepted, 0, "seed {seed}");
}
