//! Why a delivery stands where it does: every move it made, in words, with what the network said.

use std::collections::VecDeque;

use crate::control::messages as m;
use crate::domain::attempt::{Attempt, Transition};
use crate::domain::delivery::{Delivery, LEFT, State};
use crate::domain::ids::DeliveryId;
use crate::store::{Source, StoreError, deliveries};

/// The moves of a delivery, oldest first.
pub(super) fn why(source: &impl Source, it: &Delivery) -> Result<Vec<m::Why>, StoreError> {
    let moves = deliveries::history(source, it.id)?;
    let mut attempts: VecDeque<Attempt> = deliveries::attempts(source, it.id)?.into();
    let mut story = Vec::with_capacity(moves.len());
    let mut current: Option<Attempt> = None;
    for row in moves {
        let mut attempt = None;
        if row.to == State::Sending {
            current = attempts.pop_front();
            attempt.clone_from(&current);
        } else if row.from == State::Sending {
            attempt = current.take();
        }
        story.push(line(&row, attempt.as_ref()));
    }
    Ok(story)
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

fn line(row: &Transition, attempt: Option<&Attempt>) -> m::Why {
    let ended = attempt.filter(|_| row.from == State::Sending);
    let raw = ended.and_then(|it| it.raw.clone());
    m::Why {
        at: row.at,
        event: row.event.clone(),
        from: row.from.as_str().to_owned(),
        to: row.to.as_str().to_owned(),
        message: words(row, attempt),
        reason: row.reason.as_ref().map(|it| it.message.clone()),
        hint: row.reason.as_ref().and_then(|it| it.hint.clone()),
        attempt: attempt.map(|it| it.n),
        http_status: ended.and_then(|it| it.status),
        trace: ended.and_then(|it| it.trace.clone()),
        raw: raw.or_else(|| row.reason.as_ref().and_then(|it| it.raw.clone())),
    }
}

/// One sentence for a move. Every event of the machine has one.
fn words(row: &Transition, attempt: Option<&Attempt>) -> String {
    let to = row.to;
    let text = match row.event.as_str() {
        "created" => "made",
        "claim" => "its time had come; the account's lane took it (durable before anything was prepared)",
        "prepare" => "something was prepared on the network; nothing of it is public",
        "intend" => {
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
        "refuse" if row.from == State::Sending => "the network refused it before it acted: nothing is live",
        "refuse" => "given up before anything left",
        "account_dead" => "the account cannot act until it is connected again; nothing is live of this call",
        "try_now" => "to be tried at once",
        "lose" => "nobody knows whether the call took effect; it is looked for before anything is sent again",
        "look" if row.reason.is_some() => "a look settled nothing",
        "look" => "a look did not find it; one look is no proof",
        "hold" if row.reason.as_ref().is_some_and(|it| it.class == LEFT) => "left as it is by the user",
        "hold" => "looking cannot settle it: it waits for the user's word",
        "send_again" => {
            "the same request goes out once more under the same marker, which cannot make a second post"
        }
        "absent" if row.reason.is_some() && to != State::Retry => "it is not live for sure",
        "absent" => "it is not live for sure, so it may be sent again",
        "cancel" if to == State::Cancelled => "taken back before anything was live",
        "cancel" => "to be taken back; first it is checked whether it is live",
        "miss" => "too late under its policy",
        "reschedule" => "moved to another time",
        "restore" => "it may have gone out without this store knowing: it is looked for first",
        "recovered" if to == State::Unknown => {
            "the daemon had stopped during the call: nobody knows whether it took effect"
        }
        "recovered" => "the daemon had stopped before anything left; it is taken up again",
        "reconnected" => "the account is connected again",
        "queue_resumed" => "its queue goes on",
        "disconnected" => "its account was disconnected",
        "abandon" => "given up: nobody can find out any more whether it is live",
        "zone_changed" => {
            "the rules of its time zone changed: the same time on the wall is another instant now"
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
        assert_eq!(all.len(), names.matches("Self::").count(), "{all:?}");
        let mut sources = Vec::new();
        files(&root, &mut sources);
        let mut calls = 0;
        for path in sources {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (at, _) in text.match_indices("Transition::between(") {
                let call = text[at..].split(");").next().unwrap().split('}').next().unwrap();
                all.extend(quoted(call).map(str::to_owned));
                calls += 1;
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
        for known in ["claim", "abandon", "created", "recovered", "zone_changed", "at_risk", "disconnected"] {
            assert!(names.contains(known), "`{known}` was not found in the sources: {names:?}");
        }
        for event in names {
            let row = Transition {
                seq: 1,
                at: jiff::Timestamp::UNIX_EPOCH,
                event: event.clone(),
                from: State::Scheduled,
                to: State::Retry,
                reason: Some(Reason::new("x", "x")),
                note: None,
            };
            assert!(!words(&row, None).ends_with("now retry"), "`{event}` is not explained");
        }
    }
}
