//! After a downtime: one after the other, and never without having looked.

use sendoff::engine::Purpose;

use super::*;

/// A day of posts that came due while the daemon was down for two hours, on one account.
fn after_a_downtime(platform: PlatformName) -> (World, Vec<DeliveryId>) {
    let mut world = calm(platform, 1);
    let late: Vec<_> = (1..=5).map(|n| world.post(1, 600 * n, 1, Late::Always)).collect();
    run(&mut world, 60);
    world.down(SignedDuration::from_hours(2));
    (world, late)
}

#[test]
fn what_came_due_during_a_downtime_goes_out_in_order_and_a_minute_or_more_apart() {
    for platform in NETWORKS {
        let (mut world, late) = after_a_downtime(platform);
        let in_time = world.post(1, 3 * 3600, 1, Late::Always);
        let next = world.post(1, 3 * 3600 + 1, 1, Late::Always);
        run(&mut world, 4 * 3600);
        let order: Vec<_> = world.sent.iter().map(|it| it.1).collect();
        assert_eq!(order, [late.clone(), vec![in_time, next]].concat(), "{platform}");
        let gaps: Vec<_> = world.sent.windows(2).map(|it| it[1].0.duration_since(it[0].0)).collect();
        // A minute, and up to a quarter of it by chance.
        let (apart, soon) = (secs(60)..=secs(77), secs(5)..=secs(7));
        assert!(gaps[..4].iter().all(|it| apart.contains(it)), "{platform}: {gaps:?}");
        assert!(gaps[..4].windows(2).any(|it| it[0] != it[1]), "not in lockstep: {gaps:?}");
        assert!(soon.contains(&gaps[5]), "what was in time is not held up: {gaps:?}");
    }
}

#[test]
fn what_came_due_during_a_downtime_is_searched_for_before_it_is_sent() {
    for platform in NETWORKS {
        let (mut world, late) = after_a_downtime(platform);
        let in_time = world.post(1, 3 * 3600, 1, Late::Always);
        run(&mut world, 4 * 3600);
        let searched =
            |id| world.asked.iter().filter(|it| it.1 == id && it.2 == Purpose::Scan).collect::<Vec<_>>();
        for id in late {
            let sent: Vec<_> = world.sent.iter().filter(|it| it.1 == id).collect();
            let [search] = searched(id)[..] else { panic!("{platform}: one search: {:?}", world.asked) };
            assert!(sent.len() == 1 && search.0 < sent[0].0, "{platform}: {sent:?} {search:?}");
        }
        assert!(searched(in_time).is_empty(), "{platform}: what is in time is not");
    }
}

#[test]
fn what_somebody_posted_by_hand_during_a_downtime_is_not_posted_again() {
    // Bluesky's would have to bear a key of the kind that clients make; the world's does not.
    let mut world = calm(PlatformName::X, 1);
    let [first, second] = [10, 20].map(|due| world.post(1, due, 1, Late::Always));
    let late = world.post(1, 600, 1, Late::Always);
    run(&mut world, 60);
    assert!([first, second].iter().all(|id| state(&world, *id).state == State::Published));
    world.down(SignedDuration::from_hours(2));
    let owner = world.accounts[&AccountId::from_u128(1)].remote_id.clone();
    let text = world.posts[&state(&world, late).post].content.parts[0].clone();
    world.network.by_hand(&owner, &text, start() + secs(700));
    run(&mut world, 26 * 3600);
    assert_eq!(world.sent.len(), 2, "{:?}", world.sent);
    assert_ne!(state(&world, late).state, State::Missed);
}
