//! Order on one account, whatever is due at once (I1, I11).

use std::collections::BTreeMap;

use super::*;

/// R7. That no two calls of an account are in flight at once, and that no part leaves before the one it
/// follows is live, the world checks with every call; here is the volume, and the order.
#[test]
fn a_thousand_deliveries_due_in_one_second_go_out_one_by_one_on_each_account() {
    for platform in [PlatformName::X, PlatformName::Bluesky] {
        let mut world = calm(platform, 50);
        // Some calls go wrong on the way, so that lanes wait for looks and retries as well.
        let (limited, lost) = (Fault::NotSent, Fault::LostAfter);
        world.network.script = (0..300).map(|n| [&Fault::None, &limited, &lost][n % 3].clone()).collect();
        let all: Vec<_> = (0..1000)
            .map(|n| world.post(1 + n % 50, 60, if n % 10 == 0 { 3 } else { 1 }, Late::Always))
            .collect();
        run(&mut world, 7 * 24 * 3600);
        let mut last = BTreeMap::new();
        for (at, _, account) in &world.sent {
            if let Some(before) = last.insert(*account, *at) {
                let apart = at.duration_since(before);
                assert!(apart >= secs(5), "{account}: {apart:#}");
            }
        }
        assert_eq!(last.len(), 50);
        let ended = all.iter().filter(|id| {
            let it = state(&world, **id);
            it.state == State::Published || it.held
        });
        assert_eq!(ended.count(), 1000, "{platform}");
    }
}
