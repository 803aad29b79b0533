//! Why a delivery stands where it does: every move it made, in words, with what the network said.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::foresee::OTHERWISE;
use crate::control::messages as m;
use crate::domain::attempt::{Attempt, Transition};
use crate::domain::delivery::{AT_WORK, Delivery, LEFT, NOTHING, SAID, State};
use crate::domain::ids::DeliveryId;
use crate::engine::{Wait, WaitFor};
use crate::store::{Source, StoreError, deliveries};

/// The move that begins a publishing call.
const INTEND: &str = "intend";
/// The move that notes one thing that is prepared.
const PREPARE: &str = "prepare";
/// What is no move: it is due, and its account or app waits.
const WAITS: &str = "waits";

/// The moves of a delivery, oldest first.
pub(super) fn why(source: &impl Source, it: &Delivery) -> Result<Vec<m::Why>, StoreError> {
    let moves = deliveries::history(source, it.id)?;
    let mut attempts: VecDeque<Attempt> = deliveries::attempts(source, it.id)?.into();
    let mut story: Vec<m::Why> = Vec::new();
    let mut current: Option<Attempt> = None;
    for row in moves {
        let mut attempt = None;
        if row.event == INTEND {
            current = attempts.pop_front();
            attempt.clone_from(&current);
        } else if row.from == State::Sending && row.to != State::Sending {
            // Whatever is noted during the call (that it is to be taken back) is none of its answer.
            attempt = current.take();
        }
        let live = it.steps.iter().filter(|step| step.published_at.is_some_and(|at| at <= row.at)).count();
        tell(&mut story, line(&row, attempt.as_ref(), live));
    }
    Ok(story)
}

/// One more line, or one more of those that the last line counts.
fn tell(story: &mut Vec<m::Why>, line: m::Why) {
    match story.last_mut().filter(|last| is_piece(last) && is_piece(&line)) {
        Some(run) => fold(run, &line),
        None => story.push(line),
    }
}

/// Whether a line only says that one more piece of a file, or one more of several files, is there.
fn is_piece(it: &m::Why) -> bool {
    it.event == PREPARE && it.reason.is_none() && it.http_status.is_none() && it.raw.is_none()
}

/// Adds a line to the run that it goes on: a film of a thousand pieces is one line.
fn fold(run: &mut m::Why, next: &m::Why) {
    let count = run.count.unwrap_or(1).saturating_add(1);
    (run.count, run.last_at) = (Some(count), Some(next.at));
    run.to.clone_from(&next.to);
    run.message = format!(
        "{count} times something was prepared on the network, until {:.0}; nothing of it is public",
        next.at
    );
}

/// What a delivery that is due waits for together with others: no move of its own, so nothing of it is
/// stored.
pub(super) fn waits(it: &Delivery, wait: &Wait, now: Timestamp) -> m::Why {
    let whom = match &wait.scope {
        WaitFor::Account(_) => "its account waits".to_owned(),
        WaitFor::App(platform, None) => format!("all accounts on {platform} wait"),
        WaitFor::App(platform, Some(server)) => format!("all accounts on {platform} at {server} wait"),
    };
    let state = it.state.as_str().to_owned();
    m::Why {
        at: now,
        last_at: None,
        count: None,
        event: WAITS.to_owned(),
        from: state.clone(),
        to: state,
        message: format!("{whom} until {:.0}", wait.until),
        reason: Some(wait.reason.message.clone()),
        hint: wait.reason.hint.clone(),
        attempt: None,
        http_status: None,
        trace: None,
        raw: None,
    }
}

/// Who fetched the delivery's media by their links, in the order of their first request.
pub(super) fn fetches(source: &impl Source, id: DeliveryId) -> Result<Vec<m::Fetch>, StoreError> {
    let lines = crate::store::fetches::of(source, id)?.0.into_iter().map(|it| m::Fetch {
        media: it.media.to_string(),
        client: it.client,
        agent: it.agent,
        first_at: it.first,
        last_at: it.last,
        requests: it.requests,
        bytes: it.bytes,
        http_status: it.status,
    });
    Ok(lines.collect())
}

/// `live`: how many of its parts were live by then.
fn line(row: &Transition, attempt: Option<&Attempt>, live: usize) -> m::Why {
    let ended = attempt.filter(|_| row.from == State::Sending);
    let seen = row.answer.as_ref();
    let mut message = words(row, attempt);
    if live > 0 && matches!(row.to, State::Cancelled | State::Rejected | State::Missed) {
        let which = if live == 1 {
            "part 1 is live and stays".into()
        } else {
            format!("parts 1 to {live} are live and stay")
        };
        message = format!("{message}; {which} so");
    }
    m::Why {
        at: row.at,
        last_at: None,
        count: None,
        event: row.event.clone(),
        from: row.from.as_str().to_owned(),
        to: row.to.as_str().to_owned(),
        message,
        reason: row.reason.as_ref().map(|it| it.message.clone()),
        hint: row.reason.as_ref().and_then(|it| it.hint.clone()),
        attempt: attempt.map(|it| it.n),
        http_status: ended.and_then(|it| it.status).or_else(|| seen.and_then(|it| it.status)),
        trace: ended.and_then(|it| it.trace.clone()).or_else(|| seen.and_then(|it| it.trace.clone())),
        raw: ended
            .and_then(|it| it.raw.clone())
            .or_else(|| seen.and_then(|it| it.raw.clone()))
            .or_else(|| row.reason.as_ref().and_then(|it| it.raw.clone())),
    }
}

/// One sentence for a move. Every event of the machine has one.
fn words(row: &Transition, attempt: Option<&Attempt>) -> String {
    let to = row.to;
    let class = row.reason.as_ref().map_or("", |it| it.class.as_str());
    let outcome = attempt.and_then(|it| it.outcome.as_deref()).unwrap_or_default();
    let text = match row.event.as_str() {
        "created" => "made",
        "claim" => "its time had come; the account's lane took it (durable before anything was prepared)",
        PREPARE => "something was prepared on the network; nothing of it is public",
        INTEND => {
            return format!(
                "call {} is about to leave; the intent and the exact request are on the disk",
                attempt.map_or_else(|| "?".to_owned(), |it| it.n.to_string())
            );
        }
        "applied" if row.from == State::Unknown => "it was found on the network: it is live",
        "applied" => "the network took it and named the object: it is live",
        "hand_over" => "it lies in the inbox on the network",
        "defer" if row.from == State::Sending => "the call had no effect for sure, and is made again later",
        "defer" => "not now; nothing had left",
        "refuse" if outcome == "not_sent" => {
            "the call did not leave and is not made again: nothing of it is live"
        }
        "refuse" if row.from == State::Sending => {
            "the network refused it before it acted: nothing of this call is live"
        }
        "refuse" => "given up; no call of it took effect",
        "spare" if class == NOTHING => {
            "the network took the post and could not publish it: nothing is put under what nobody can see"
        }
        "came_to_nothing" => {
            "the network took it and could not publish it; that it was taken stays written, and that it is not live \
             is written beside it"
        }
        "spare" => "the network keeps comments from this app; what the comment was for is live and stays",
        "account_dead" => "the account cannot act until it is connected again; nothing is live of this call",
        "try_now" => "to be tried at once",
        "lose" if outcome == "pending" => {
            "the network took the call in and is at work on it; it is asked until it is live"
        }
        "lose" if matches!(outcome, "refused" | "not_sent") => {
            "this call had no effect, but nobody knows that of an earlier one; it is looked for first"
        }
        "lose" if outcome == "duplicate" => {
            "the network says that it has these words already; whether they are ours is looked up first"
        }
        "lose" if row.from != State::Sending => {
            "an earlier call may have taken effect; it is looked for before anything else"
        }
        "lose" => "nobody knows whether the call took effect; it is looked for before anything is sent again",
        "surface" => {
            "the network says that it is out, by a call that it had refused: nothing more is sent, and it is looked for"
        }
        "look_absent" => "a look did not find it; one look is no proof",
        "look_failed" => "a look found that the network has given up on it; one look is no proof",
        "look_unclear" if class == AT_WORK => "a look found the network still at work on it",
        "look_unclear" => "a look settled nothing",
        "look_live" => "the network says that it is out; which of the account's posts it is, is looked up",
        "look_waits" => "nobody looks yet: it waits until the same request may go out again",
        "look_limited" => {
            "nobody looks yet: the network takes no reads for now, or the account must be connected again"
        }
        "look_asked" => "to be looked at at once, because the user asked for it",
        "look_told" => "to be looked at at once, because the network sent word of it",
        // Written before the kinds of looks had names of their own.
        "look" => "looked for, or to be looked for later; nothing was settled",
        "hold" if row.reason.as_ref().is_some_and(|it| it.class == LEFT) => {
            "left as it is, on your word: nobody looks for it any more, and you are not asked again"
        }
        "hold" => "looking cannot settle it: it waits for the user's word",
        "send_again" => {
            "the same request goes out once more under the same marker, which cannot make a second post"
        }
        "absent" if to != State::Retry => "it is not live for sure",
        "absent" if class == SAID => "you said that it is not live; on your word it may be sent again",
        "absent" => "it is not live for sure, so it may be sent again",
        "cancel" if to == State::Cancelled => "taken back; nothing more of it goes out",
        "cancel" if to == State::Sending => "to be taken back, said during the call; its answer decides",
        "cancel" => "to be taken back; first it is checked whether it is live",
        "miss" => "too late under its policy",
        "reschedule" => "moved to another time",
        "restore" => "it may have gone out without this store knowing: it is looked for first",
        "recovered" if to == State::Unknown => {
            "the daemon had stopped during the call: nobody knows whether it took effect"
        }
        "recovered" => "the daemon had stopped before anything left; it is taken up again",
        "put_back" if to == State::Unknown => {
            "something else was written during the call: nobody knows whether it took effect"
        }
        "put_back" => "something else was written before anything left; it is taken up again",
        "clock_was_ahead" if to != State::Unknown => {
            "its next try was reckoned with a clock that was ahead: it is tried in its time"
        }
        "clock_was_ahead" => {
            "the clock was ahead when it was called or looked for last: its next look comes in its time"
        }
        "reconnected" => "the account is connected again",
        "queue_resumed" => "its queue goes on",
        "config_reloaded" => "the configuration was read again",
        "disconnected" => "its account was disconnected",
        "abandon" => "given up: nobody can find out any more whether it is live",
        "zone_changed" => {
            "the rules of its time zone changed: the same time on the wall is another instant now"
        }
        "at_risk" if class == OTHERWISE => {
            "checked ahead of its time: as things are it would go out otherwise than it was asked for"
        }
        "at_risk" => "checked ahead of its time: as things are it would not go out",
        other => return format!("{}: now {}", other.replace('_', " "), to.as_str()),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::domain::attempt::Answered;
    use crate::domain::delivery::Reason;

    /// The names of all moves that the program writes, out of its own text: those of the machine, and
    /// those that the daemon and the store give a move themselves.
    fn names_in_use() -> BTreeSet<String> {
        fn files(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files(&path, found);
                } else if path.extension().is_some_and(|it| it == "rs") {
                    found.push(path);
                }
            }
        }
        fn quoted(text: &str) -> impl Iterator<Item = &str> {
            text.split('"').skip(1).step_by(2)
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let machine = std::fs::read_to_string(root.join("domain/delivery/event.rs")).unwrap();
        let (_, rest) = machine.split_once("pub fn name(&self) -> &'static str {").unwrap();
        let (names, _) = rest.split_once("\n    }").unwrap();
        let mut all: BTreeSet<String> = quoted(names).map(str::to_owned).collect();
        assert_eq!(all.len() + 1, names.matches("Self::").count(), "all but the kinds of looks: {all:?}");
        let (_, kinds) = machine.split_once("pub fn name(self) -> &'static str {").unwrap();
        let (kinds, _) = kinds.split_once("\n    }").unwrap();
        assert_eq!(quoted(kinds).count(), kinds.matches("Self::").count(), "{kinds}");
        all.extend(quoted(kinds).map(str::to_owned));
        all.extend(["look", "recovered", "put_back", NOTHING].map(str::to_owned));
        let mut sources = Vec::new();
        files(&root, &mut sources);
        let mut calls = 0;
        // The console writes no moves; what it shows in its tests is made up.
        for path in sources.into_iter().filter(|it| !it.to_string_lossy().contains("/tui/")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (at, _) in text.match_indices("Transition::between(") {
                let call = text[at..].split(");").next().unwrap().split('}').next().unwrap();
                all.extend(quoted(call).map(str::to_owned));
                calls += 1;
            }
            // The ledger's, which are given the name.
            for (at, _) in ["moved(tx", "unpark(tx"].iter().flat_map(|it| text.match_indices(it)) {
                all.extend(quoted(text[at..].split("now)").next().unwrap()).map(str::to_owned));
            }
            // A move that is written out, field by field.
            all.extend(text.lines().filter_map(|line| {
                let line = line.trim();
                line.starts_with("event: \"").then(|| quoted(line).next().unwrap().to_owned())
            }));
        }
        assert!(calls > 10, "{calls}");
        all
    }

    #[test]
    fn every_name_a_move_is_written_under_has_a_sentence_of_its_own() {
        let names = names_in_use();
        let moved = ["reconnected", "clock_was_ahead", "queue_resumed", "config_reloaded"];
        for known in ["claim", "abandon", "created", "recovered", "zone_changed", "at_risk", "disconnected"]
            .into_iter()
            .chain(moved)
        {
            assert!(names.contains(known), "`{known}` was not found in the sources: {names:?}");
        }
        for event in names {
            let row = Transition {
                seq: 1,
                at: Timestamp::UNIX_EPOCH,
                event: event.clone(),
                from: State::Scheduled,
                to: State::Retry,
                reason: Some(Reason::new("x", "x")),
                note: None,
                answer: None,
            };
            assert!(!words(&row, None).ends_with("now retry"), "`{event}` is not explained");
        }
    }

    #[test]
    fn the_pieces_of_a_film_are_one_line_and_what_the_network_said_between_them_is_its_own() {
        let row = |second: i64, event: &str, from: State| Transition {
            seq: 1,
            at: Timestamp::from_second(second).unwrap(),
            event: event.into(),
            from,
            to: State::Preparing,
            reason: None,
            note: None,
            answer: None,
        };
        let said = |row: Transition| Transition {
            answer: Some(Answered {
                outcome: "refused".into(),
                status: Some(400),
                raw: Some("no".into()),
                trace: None,
            }),
            ..row
        };
        let mut rows = vec![row(0, "claim", State::Scheduled)];
        rows.extend((1..=400).map(|it| row(it, "prepare", State::Preparing)));
        rows.push(said(row(401, "prepare", State::Preparing)));
        rows.extend((402..=404).map(|it| row(it, "prepare", State::Preparing)));
        let mut story: Vec<m::Why> = Vec::new();
        for row in &rows {
            tell(&mut story, line(row, None, 0));
        }
        let told: Vec<_> = story
            .iter()
            .map(|it| (it.event.as_str(), it.at.as_second(), it.last_at.map(Timestamp::as_second), it.count))
            .collect();
        assert_eq!(
            told,
            [
                ("claim", 0, None, None),
                ("prepare", 1, Some(400), Some(400)),
                ("prepare", 401, None, None),
                ("prepare", 402, Some(404), Some(3)),
            ]
        );
        assert!(story[1].message.starts_with("400 times"), "{}", story[1].message);
        assert!(story[1].message.contains("until 1970-01-01T00:06:40Z"), "{}", story[1].message);
    }

    #[test]
    fn what_the_network_is_at_work_on_is_no_riddle() {
        let row = Transition {
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            event: "lose".into(),
            from: State::Sending,
            to: State::Unknown,
            reason: Some(Reason::new(AT_WORK, "the video is being processed")),
            note: None,
            answer: None,
        };
        let ended = |outcome: &str| Attempt {
            ended: Some(row.at),
            outcome: Some(outcome.into()),
            status: Some(200),
            ..Attempt::begun((DeliveryId::from_u128(1), 0), 1, "m", [0; 32], row.at)
        };
        let told = |outcome: &str| words(&row, Some(&ended(outcome)));
        assert!(told("pending").contains("at work on it"), "{}", told("pending"));
        assert!(told("ambiguous").starts_with("nobody knows"), "{}", told("ambiguous"));
        assert!(told("not_sent").contains("had no effect"), "{}", told("not_sent"));
        let level = |class| State::Unknown.level("lose", class);
        assert_eq!((level(AT_WORK), level("ambiguous")), ("info", "warn"));
        let again = Transition { event: "look_unclear".into(), ..row.clone() };
        assert!(words(&again, None).contains("still at work"), "{}", words(&again, None));
    }
}
