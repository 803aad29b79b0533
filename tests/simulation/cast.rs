//! The networks played by the whole of their connectors: TikTok's films and photos, LinkedIn's pages and
//! members with their files, X with files. The plain connectors of `standins.rs`, which borrow the names of
//! two of them, have more of their class's trouble; these have the real conversations.

use sendoff::domain::account::Account;
use sendoff::domain::delivery::Delivery;
use sendoff::domain::ids::PlatformName;
use sendoff::domain::media::MediaItem;
use sendoff::domain::post::Post;
use sendoff::platforms::Class;

use super::coverage::Label;
use super::dice::Rng;
use super::plan::{film, picture};
use super::world::World;

/// Seeds from here on.
pub(crate) const OWN: u64 = 1 << 41;

/// Who is played, as what class, and how many seeds of a round each of its cells gets.
pub(crate) const PLAYED: [(Class, PlatformName, usize, &str); 5] = [
    (Class::Handle, PlatformName::TikTok, 4, "C tiktok"),
    (Class::Opaque, PlatformName::TikTok, 4, "F tiktok"),
    (Class::Reference, PlatformName::LinkedIn, 5, "D linkedin"),
    (Class::Listable, PlatformName::LinkedIn, 4, "E linkedin"),
    (Class::Listable, PlatformName::X, 5, "E x files"),
];

/// A film of TikTok that needs more than one piece, and one that needs one.
const LONG: u64 = 70_000_000;
const SHORT: u64 = 1_000_000;

/// The labels that one of them can reach. What is uploaded to X and LinkedIn has no end within a run; their
/// tokens and TikTok's are another matter.
pub(crate) fn reachable(class: Class, network: PlatformName) -> Vec<Label> {
    use Label as L;
    let mut all = vec![L::C1, L::C2, L::C6, L::C7, L::C8, L::C9, L::C10, L::C11, L::C12, L::C13, L::C15];
    match (class, network) {
        // A task is made and its address ends an hour later.
        (Class::Handle, _) => all.extend([L::C4, L::C14]),
        (Class::Opaque, _) => all.push(L::C14),
        // Nobody renews LinkedIn's tokens.
        (_, PlatformName::LinkedIn) => all.push(L::C3),
        _ => all.extend([L::C3, L::C14]),
    }
    all.sort();
    all
}

pub(crate) fn cells() -> Vec<(Class, PlatformName, Label)> {
    let of = |(class, network, weight, _): (Class, PlatformName, usize, &str)| {
        let cells = reachable(class, network).into_iter().map(move |it| (class, network, it));
        cells.flat_map(move |it| std::iter::repeat_n(it, weight))
    };
    PLAYED.into_iter().flat_map(of).collect()
}

/// An account as its network knows it.
pub(crate) fn dress(account: &mut Account, class: Class) {
    match account.name.platform() {
        PlatformName::LinkedIn => {
            let (kind, tier) = if class == Class::Listable {
                ("organization", Some("organization"))
            } else {
                ("person", None)
            };
            account.remote_id = format!("urn:li:{kind}:{}", account.remote_id);
            account.tier = tier.map(str::to_owned);
            account.can_refresh = false;
        }
        PlatformName::TikTok => account.tier = Some("direct".into()),
        _ => {}
    }
}

/// What its posts are made of.
pub(crate) fn furnish(world: &mut World, made: &mut [(Post, Delivery)]) {
    let mut dice = Rng(world.rng.0 ^ 0x0CA5_7000);
    let (platform, class) = (world.network.platform, world.class);
    for (post, _) in made {
        match (platform, class) {
            (PlatformName::TikTok, Class::Handle) => {
                let bytes = if dice.chance(40) { LONG } else { SHORT };
                post.media = vec![MediaItem { bytes, ..film() }];
                let mode = if dice.chance(50) { "direct" } else { "inbox" };
                post.options = [(platform, options(mode))].into();
            }
            (PlatformName::TikTok, _) => {
                post.media = (0..=dice.below(3)).map(|n| picture(9 + u128::from(n))).collect();
                post.options = [(platform, options("direct"))].into();
            }
            (PlatformName::LinkedIn, _) => {
                post.media = match dice.below(4) {
                    0 => Vec::new(),
                    1 => vec![MediaItem { bytes: 9_000_000, ..film() }],
                    n => (1..n).map(|n| picture(9 + u128::from(n))).collect(),
                };
            }
            // A part of the thread for each, as long as there are some.
            _ => {
                let parts = u16::try_from(post.content.parts.len()).unwrap();
                for part in 0..parts {
                    let item = match dice.below(4) {
                        0 => continue,
                        1 => MediaItem { width: 720, height: 1280, bytes: 2_500_000, ..film() },
                        _ => picture(9 + u128::from(part)),
                    };
                    post.media.push(MediaItem { part, ..item });
                }
            }
        }
    }
    let works = world.network.abilities.processing;
    world.network.tiktok.works = works;
    world.network.linkedin.works = works;
    world.network.x.works = works;
    world.network.linkedin.remembers = dice.secs(0, 1200);
}

fn options(mode: &str) -> std::collections::BTreeMap<String, String> {
    let direct = [("privacy", "PUBLIC_TO_EVERYONE"), ("consent", "music")];
    let all = direct.into_iter().filter(|_| mode == "direct").chain([("mode", mode)]);
    all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
