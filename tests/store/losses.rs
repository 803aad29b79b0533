//! What went wrong when nobody could do anything about it any more is told by the time at which it was found,
//! for a while, and not after its post is gone.

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::ledger::Ledger;
use sendoff::domain::attempt::Transition;
use sendoff::domain::delivery::{Delivery, Event, Frozen, Live, NOTHING, Reason, State};
use sendoff::domain::ids::DeliveryId;
use sendoff::engine::Evidence;
use sendoff::store::missed::{self, Loss};
use sendoff::store::{Store, deliveries, posts};

use super::{check, made, memory, minutes};

fn told(store: &Store, loss: Loss, at: Timestamp) -> Vec<DeliveryId> {
    store.read(|rx| missed::lately(rx, loss, at, SignedDuration::from_hours(24), 9)).unwrap()
}

fn moved(store: &Store, was: &Delivery, events: Vec<Event>, at: Timestamp) -> Delivery {
    let now = events.into_iter().fold(was.clone(), |it, event| it.apply(event, at).unwrap());
    let (was, kept) = (was.clone(), now.clone());
    let row = Transition::between(&was, &now, "applied", at);
    store
        .write_blocking(move |tx| deliveries::put(tx, Some(&was), &kept, Some(row.clone())).map(drop))
        .unwrap();
    now
}

fn nothing(store: &Store, id: DeliveryId, at: Timestamp) -> Option<Delivery> {
    let answer =
        Evidence { outcome: "failed", status: Some(200), raw: b"PUBLISH_FAILED".to_vec(), trace: None };
    let reason = Reason::new(NOTHING, "it could not be published");
    store.write_blocking(Ledger::came_to_nothing(id, reason, answer, at)).unwrap()
}

#[test]
fn what_came_to_nothing_is_told_from_when_it_was_found_until_its_post_is_removed() {
    let store = memory();
    let (post, all) = made(&store, 1, Some(minutes(0)), &[1, 2]);
    let step = |id: &str| {
        let live = Live { remote_id: Some(id.into()), permalink: None, extra: [].into(), verified: false };
        let frozen = Frozen { marker: id.into(), body: Vec::new() };
        [
            Event::Claim,
            Event::Intend { frozen, ahead: SignedDuration::ZERO },
            Event::Applied { live, next_part_at: minutes(1) },
        ]
    };
    let events = (0..all[0].steps.len()).flat_map(|n| step(&format!("urn:{n}"))).collect();
    let ended = moved(&store, &all[0], events, minutes(1));
    assert_eq!(ended.state, State::Published);
    assert_eq!(nothing(&store, all[1].id, minutes(2)), None, "what has not ended is left alone");
    assert_eq!(told(&store, Loss::Nothing, minutes(2)), []);
    let noted = nothing(&store, ended.id, minutes(200)).unwrap();
    assert!(noted.came_to_nothing() && noted.state == State::Published && noted.steps == ended.steps);
    assert_eq!(noted.reason.unwrap().raw.as_deref(), Some("PUBLISH_FAILED"));
    assert_eq!(nothing(&store, ended.id, minutes(201)), None, "once is enough");
    let history = store.read(|rx| deliveries::history(rx, ended.id)).unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.event.as_str(), last.from, last.to), (NOTHING, State::Published, State::Published));
    assert!(last.answer.is_some() && last.note.as_ref().unwrap().contains("not published after all"));
    check(&store);
    assert_eq!(told(&store, Loss::Nothing, minutes(201)), [ended.id]);
    assert_eq!(told(&store, Loss::Missed, minutes(201)), []);
    assert_eq!(told(&store, Loss::Nothing, minutes(200 + 24 * 60 + 1)), [], "a day after it was found");
    moved(&store, &all[1], vec![Event::Cancel { reason: Reason::new("cancelled", "x") }], minutes(202));
    store.write_blocking(move |tx| posts::delete(tx, post.id)).unwrap();
    assert_eq!(told(&store, Loss::Nothing, minutes(203)), []);
    check(&store);
}
