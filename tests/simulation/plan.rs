//! What one seed decides: the class, the network's habits, the posts, the troubles, the crashes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Delivery, Step, StepKind};
use sendoff::domain::ids::{AccountId, AccountName, DeliveryId, MediaId, PlatformName, PostId};
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::domain::post::{Content, Post, Source, Target};
use sendoff::domain::schedule::{Choice, Due, Late};
use sendoff::platforms::Class;
use sendoff::store::{accounts, posts, vault};

use super::cast;
use super::coverage::{Label, cells, reachable, reachable_on, shared_cells};
use super::dice::{Rng, secs, start};
use super::networks::{Fault, Network};
use super::world::{Happening, Target as Crash, World};

/// What people and the world around the daemon do.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Cancel(DeliveryId),
    TryNow(DeliveryId),
    Reschedule(DeliveryId, SignedDuration),
    Edit(DeliveryId),
    /// Of one that is held.
    Resolve(DeliveryId),
    Pause(AccountId),
    Resume(AccountId),
    StopAll(bool),
    Disk(bool),
    Reconnect(AccountId),
    Disconnect(AccountId),
    /// A disconnect goes on, begun at that time.
    Close(AccountId, Timestamp),
    Forget(AccountId),
    /// Somebody posts these words on the account, not through us.
    ByHand(AccountId, String),
    /// And deletes what was posted last.
    HandDeletes(AccountId),
    /// The wall clock is set: this far off the true time from now on.
    Clock(SignedDuration),
    Power,
    /// Something other than the words is changed, while nothing of it is live.
    Touch(DeliveryId),
    /// Somebody takes a copy of the store.
    Copy,
    /// And brings it back; the world has moved on.
    BringBack,
}

/// The network a class is played by: one with a real connector, or the plain stand-in of the class.
/// Facebook is both C (reels) and F (texts); its videos do not end by themselves, which c5 needs.
fn platform_of(class: Class, labels: &[Label], dice: &mut Rng) -> PlatformName {
    match class {
        Class::ClientId => PlatformName::Bluesky,
        Class::Key => PlatformName::Mastodon,
        Class::Handle if !labels.contains(&Label::C5) && dice.chance(50) => PlatformName::Facebook,
        Class::Handle => PlatformName::TikTok,
        Class::Reference => PlatformName::LinkedIn,
        Class::Listable => PlatformName::X,
        Class::Opaque if dice.chance(50) => PlatformName::Facebook,
        Class::Opaque => PlatformName::Threads,
    }
}

/// Seeds from here on go over Meta's networks, where comments hang under posts, and stories stand among them.
pub(crate) const FORMS: u64 = 1 << 42;

/// Seeds from here on go over the networks that share a class, so that each meets every label by itself.
pub(crate) const SHARING: u64 = 1 << 40;

/// They have the ids from 1 on.
pub(crate) const ACCOUNTS: u128 = 2;

/// The class, its network and the crash labels of a seed: the cells of the coverage table in turn, so
/// that all are met equally often.
pub(crate) fn aim(seed: u64) -> (Class, PlatformName, [Label; 3]) {
    if let Some(seed) = seed.checked_sub(FORMS) {
        let of_meta = [
            (Class::Handle, PlatformName::Facebook),
            (Class::Handle, PlatformName::Instagram),
            (Class::Opaque, PlatformName::Facebook),
        ];
        let (class, network) = of_meta[usize::try_from(seed % 3).unwrap()];
        let labels = reachable_on(class, network);
        let mut dice = Rng(seed ^ 0xF0_4353);
        return (
            class,
            network,
            [(); 3].map(|()| labels[usize::try_from(dice.below(labels.len() as u64)).unwrap()]),
        );
    }
    let beyond = |from: u64| seed.checked_sub(from);
    let own = beyond(cast::OWN).map(|seed| (seed, cast::cells()));
    if let Some((seed, cells)) = own.or_else(|| beyond(SHARING).map(|seed| (seed, shared_cells()))) {
        let many = cells.len() as u64;
        // 29 and the number of these share no factor either.
        debug_assert_ne!(many % 29, 0);
        let (class, network, first) = cells[usize::try_from(seed * 29 % many).unwrap()];
        let labels = if beyond(cast::OWN).is_some() {
            cast::reachable(class, network)
        } else {
            reachable_on(class, network)
        };
        let mut dice = Rng(seed ^ 0xC0_FFEE);
        let mut pick = || labels[usize::try_from(dice.below(labels.len() as u64)).unwrap()];
        return (class, network, [first, pick(), pick()]);
    }
    let (class, labels) = aim_at_class(seed);
    (class, platform_of(class, &labels, &mut Rng(seed ^ 0xFACE)), labels)
}

fn aim_at_class(seed: u64) -> (Class, [Label; 3]) {
    let cells = cells();
    let many = cells.len() as u64;
    // In strides, so that few seeds meet all classes too; 29 and the number of cells share no factor.
    let (class, first) = cells[usize::try_from(seed * 29 % many).unwrap()];
    let labels = reachable(class);
    let round = seed / many;
    let pick = |n: u64| labels[usize::try_from(n % labels.len() as u64).unwrap()];
    (class, [first, pick(round), pick(round / labels.len() as u64 + 3 * round + 1)])
}

/// The world of a seed, ready to run.
pub(crate) fn world(seed: u64) -> World {
    let (class, network, labels) = aim(seed);
    let mut dice = Rng(seed ^ 0xD1CE_0000_0000);
    let mut network = Network::new(network);
    network.own = (cast::OWN..FORMS).contains(&seed);
    habits(&mut network, &mut dice, class);
    let mut world = World::new(seed, class, network);
    for (nth, label) in labels.into_iter().enumerate() {
        let rare = matches!(label, Label::C5 | Label::C14 | Label::C15);
        let skip = if rare || dice.chance(60) { 0 } else { dice.below(3) };
        // By the time of the third there is not much left to do, which must be enough.
        let skip = if nth == 2 { 0 } else { skip };
        world.targets.push_back(Crash { label, skip });
    }
    if dice.chance(40) {
        world.targets.push_back(Crash { label: Label::Between, skip: dice.below(120) });
    }
    let aims = |label| labels.contains(&label);
    if aims(Label::C13) {
        world.network.script = (0..2).map(|_| doubt(&mut dice)).collect();
    }
    if aims(Label::C14) || dice.chance(30) {
        world.token_life = Some(dice.secs(1200, 5400));
        world.forgives = dice.chance(60);
        world.refresh_trouble = dice.below(30);
    }
    if world.network.own && world.network.platform == PlatformName::LinkedIn {
        // Nobody renews its tokens, and none ends within a run.
        world.token_life = None;
    }
    if class == Class::Opaque && dice.chance(20) {
        world.settings.resend_when_absent.insert(world.network.platform);
    }
    // Drawn beside the rest, so that no other seed is changed by it.
    world.watch.pace.scarce = world.network.platform == PlatformName::X && Rng(seed ^ 0x005C_A2CE).chance(25);
    world.watch.forms = seed >= FORMS;
    people(&mut world, &mut dice, aims(Label::C3));
    // Of its own dice, too: one of the accounts is disconnected, whatever it is at.
    let mut dice = Rng(seed ^ 0x01EA_7E50);
    if dice.chance(8) {
        let account = AccountId::from_u128(1 + u128::from(dice.below(2)));
        let after = if dice.chance(60) { dice.secs(0, 1200) } else { dice.secs(0, 12_000) };
        world.at(start() + after, Happening::User(Wish::Disconnect(account)));
    }
    world.at(start(), Happening::Boot);
    world
}

fn doubt(dice: &mut Rng) -> Fault {
    if dice.chance(50) { Fault::LostBefore } else { Fault::LostAfter }
}

fn habits(network: &mut Network, dice: &mut Rng, class: Class) {
    network.trouble = 5 + dice.below(55);
    network.patience = 2 + dice.below(24);
    network.refuses_repeats = dice.chance(50);
    network.list_lag = if dice.chance(40) { secs(0) } else { dice.secs(0, 600) };
    let it = &mut network.abilities;
    if class == Class::Key && dice.chance(30) {
        it.key_lag = dice.secs(1, 25);
    }
    it.once = dice.chance(50);
    it.inbox = dice.chance(20);
    it.hides_id = dice.chance(20);
    it.handle_life = if dice.chance(50) { dice.secs(1200, 7200) } else { SignedDuration::from_hours(24) };
    it.processing = if dice.chance(50) { secs(0) } else { dice.secs(5, 240) };
    it.window = if dice.chance(70) { SignedDuration::from_hours(24) } else { dice.secs(7200, 14_400) };
    network.facebook.works = network.abilities.processing;
    network.instagram.works = network.abilities.processing;
    network.instagram.life = Some(network.abilities.handle_life);
    // What a look shows may be as old as a list is.
    network.facebook.queued = network.list_lag;
}

fn people(world: &mut World, dice: &mut Rng, with_images: bool) {
    let platform = world.network.platform;
    let mut people: Vec<Account> = Vec::new();
    for n in 1..=ACCOUNTS {
        let mut account = account(n, platform);
        if world.network.own {
            cast::dress(&mut account, world.class);
        }
        // The first token may have ended before the first post, so that it is refreshed at once.
        let end = world
            .token_life
            .filter(|_| account.can_refresh)
            .map(|_| start() + secs(if dice.chance(70) { 60 } else { 1500 }));
        account.expires_at = end;
        account.issued_at = Some(start() - secs(3600));
        world.tokens.insert(account.id, (1, end));
        world.owners.insert(account.id, account.remote_id.clone());
        people.push(account);
    }
    let hidden = world.network.abilities.hides_id && world.class == Class::Handle;
    let single = hidden || world.network.abilities.inbox || world.network.is_of_meta();
    let single = single || (world.network.own && platform != PlatformName::X);
    let mut made = Vec::new();
    for n in 1..=3 + u128::from(dice.below(4)) {
        let account = &people[usize::try_from(dice.below(2)).unwrap()];
        let threads = if single { 1 } else { 1 + dice.below(3) };
        let parts = usize::try_from(if dice.chance(50) { 1 } else { threads }).unwrap();
        let wait = if dice.chance(60) { dice.secs(0, 600) } else { dice.secs(0, 9000) };
        let late = match dice.below(4) {
            0 => Late::Within(SignedDuration::from_hours(1)),
            1 => Late::Within(SignedDuration::from_hours(6)),
            2 if n % 2 == 0 => Late::Exact,
            _ => Late::Always,
        };
        let images = with_images || dice.chance(30);
        let (mut post, delivery) = post(n, account, wait, parts, late, images);
        if platform == PlatformName::Facebook && world.class == Class::Handle {
            make_reel(&mut post);
        }
        made.push((post, delivery));
    }
    files_for_meta(world, &mut made, with_images);
    if world.network.own {
        cast::furnish(world, &mut made);
    }
    if world.watch.forms {
        comments_and_stories(world, &mut made);
    }
    wishes(world, dice, &people, &made);
    let accounts_of = people.clone();
    let store_of = made.clone();
    world.set_scene(move |tx| {
        for account in &accounts_of {
            accounts::put(tx, account)?;
            vault::put_grant(
                tx,
                account.id,
                None,
                &1_u64.to_le_bytes(),
                account.issued_at,
                account.expires_at,
            )?;
        }
        for (post, delivery) in &store_of {
            posts::create(tx, post, std::slice::from_ref(delivery), None, None)?;
        }
        Ok(())
    });
}

/// What posts on Facebook and Instagram are made of: pictures, carousels and reels there, texts and photos
/// here. Some containers come to nothing the first time. Dice of its own: nothing else about the seed changes.
fn files_for_meta(world: &mut World, made: &mut [(Post, Delivery)], with_images: bool) {
    let mut dice = Rng(world.rng.0 ^ 0x1236_0000);
    let some = |count: u64| (0..u128::from(count)).map(|n| picture(9 + n)).collect::<Vec<_>>();
    let (platform, class) = (world.network.platform, world.class);
    for (post, _) in made {
        match (platform, class) {
            (PlatformName::Instagram, _) => {
                post.media = match dice.below(10) {
                    0..3 => some(1),
                    3..6 => vec![film()],
                    6..8 => some(2 + dice.below(2)),
                    // Of one shape, or it is refused.
                    _ => [some(1), vec![MediaItem { height: 1080, ..film() }]].concat(),
                };
            }
            (PlatformName::Facebook, Class::Opaque) if with_images || dice.chance(30) => {
                post.media = some(1 + dice.below(3));
            }
            _ => {}
        }
    }
    world.network.facebook.hides_photos = dice.chance(30);
    if dice.chance(30) {
        world.network.instagram.flaws = 1 + u32::try_from(dice.below(2)).unwrap();
    }
}

/// A third of the posts become stories, where the class has them, and half of the others get a comment. Dice
/// of its own.
fn comments_and_stories(world: &mut World, made: &mut [(Post, Delivery)]) {
    let mut dice = Rng(world.rng.0 ^ 0xF0_0000);
    let (platform, class) = (world.network.platform, world.class);
    let has_stories = platform == PlatformName::Instagram || class == Class::Opaque;
    for (n, (post, delivery)) in made.iter_mut().enumerate() {
        if has_stories && dice.chance(35) {
            // Each of a file of its own: what it was made of is all that tells one from another.
            let id = MediaId::from_u128(40 + n as u128);
            post.media = vec![MediaItem { id, ..if dice.chance(50) { film() } else { picture(1) } }];
            post.content.parts = vec![String::new()];
            post.options = [(platform, [("format".into(), "story".into())].into())].into();
            world.watch.stories.insert(delivery.id);
        } else if dice.chance(50) {
            post.content.comment = Some(format!("more of {n}: example.com/{n} & so on"));
            delivery.steps.push(Step::new(StepKind::Comment));
        }
    }
}

/// A copy of the store is taken and brought back later. Meanwhile people move to an earlier time, and
/// change, what was on its way; a network that refuses at first leaves markers in the copy that are not
/// used again. Dice of its own: nothing else about the seed changes.
pub(crate) fn copies(world: &mut World) {
    let mut dice = Rng(world.rng.0 ^ 0xC16_0000);
    let copied = dice.secs(400, 3000);
    let until = if dice.chance(70) { dice.secs(60, 6000) } else { dice.secs(6000, 100_000) };
    if dice.chance(60) {
        for _ in 0..=dice.below(2) {
            let busy = Fault::Refused(world.network.limited_somehow(&mut dice));
            world.network.script.insert(0, busy);
        }
    }
    let rows: Vec<_> = world.watch.rows.values().map(|it| (it.id, it.due.instant)).collect();
    for (id, due) in rows {
        if due > start() + copied && dice.chance(60) {
            let at = start() + copied + dice.secs(5, 300);
            world.at(at, Happening::User(Wish::Reschedule(id, dice.secs(1, 120))));
        }
        if dice.chance(60) {
            let at = start() + copied + dice.secs(1, 300);
            world.at(at, Happening::User(Wish::Touch(id)));
        }
    }
    world.at(start() + copied, Happening::User(Wish::Copy));
    world.at(start() + copied + until, Happening::User(Wish::BringBack));
}

/// Nothing goes wrong, nobody dies and nobody meddles: then there is nothing but to send everything, in
/// time.
pub(crate) fn calm(world: &mut World) {
    world.network.trouble = 0;
    world.has_slow_uploads = false;
    world.watch.pace.scarce = false;
    world.network.script.clear();
    world.network.instagram.flaws = 0;
    world.network.instagram.life = None;
    world.refresh_trouble = 0;
    world.forgives = true;
    world.abandoned.clear();
    world.watch.contested.clear();
    world.targets.clear();
    world.nobody_meddles();
    world.must_publish = true;
    world.idle_most = secs(3);
}

/// The seed of the `n`th world with Instagram's whole connector and every form of post.
pub(crate) fn lying(n: u64) -> u64 {
    FORMS + 1 + 3 * n
}

/// Instagram refuses in the words of its documents what it has published.
pub(crate) fn lies(world: &mut World) {
    world.network.instagram.lies = true;
    let words = [None, Some("ERROR"), Some("EXPIRED"), Some("FINISHED"), None];
    world.network.instagram.unsays = words[usize::try_from(world.rng.0 % 5).unwrap()];
    if world.network.instagram.unsays.is_some() {
        // What nobody heard before a death cannot be known after it.
        world.targets.clear();
    }
}

/// Nothing but one short death: what is due while the daemon lives goes out in time, and what the death
/// left in doubt is settled as soon as its class allows.
pub(crate) fn one_short_crash(world: &mut World) {
    let mut first = world.targets.pop_front();
    calm(world);
    // One that comes only after a long sleep, or only where a token is lost, is another matter.
    if let Some(it) = first.as_mut().filter(|it| matches!(it.label, Label::C5 | Label::C14)) {
        it.label = Label::C9;
    }
    world.targets.extend(first);
    world.short_crashes = true;
    let settings = &world.settings;
    let (key_wait, settle, gap) = (settings.key_wait, settings.settle, settings.absence_gap);
    // What the looks themselves take, and the daemon's next glance at the clock.
    let calls = secs(15);
    world.settles_within = calls
        + match world.class {
            Class::ClientId => secs(45),
            Class::Key => key_wait,
            Class::Handle | Class::Reference => settle,
            Class::Listable | Class::Opaque => settle + gap,
        };
}

pub(crate) fn picture(id: u128) -> MediaItem {
    MediaItem::new(MediaId::from_u128(id), "a.jpg", MediaKind::Jpeg, 900, (1080, 1080))
}

/// A film that can be a reel everywhere.
pub(crate) fn film() -> MediaItem {
    MediaItem {
        id: MediaId::from_u128(20),
        name: "a.mp4".into(),
        kind: MediaKind::Mp4,
        bytes: 900,
        width: 1080,
        height: 1920,
        alt: None,
        part: 0,
        detail: Detail {
            video: Some(Video {
                duration_ms: 20_000,
                frame_rate_milli: 30_000,
                codec: "h264".into(),
                audio: Some("aac".into()),
                index_first: true,
                ..Video::default()
            }),
            ..Detail::default()
        },
    }
}

fn make_reel(post: &mut Post) {
    post.media = vec![film()];
    post.options = [(PlatformName::Facebook, [("format".into(), "reel".into())].into())].into();
}

fn wishes(world: &mut World, dice: &mut Rng, people: &[Account], made: &[(Post, Delivery)]) {
    let at = |world: &mut World, after: SignedDuration, wish| {
        world.at(start() + after, Happening::User(wish));
    };
    for (post, delivery) in made {
        let id = delivery.id;
        let due = delivery.due.instant.duration_since(start());
        if dice.chance(20) {
            let after = if dice.chance(60) { due + dice.secs(0, 120) } else { dice.secs(0, 4000) };
            at(world, after, Wish::Cancel(id));
        }
        if dice.chance(15) {
            at(world, due + dice.secs(1, 3000), Wish::TryNow(id));
        }
        if dice.chance(10) {
            at(world, dice.secs(0, 600), Wish::Reschedule(id, dice.secs(60, 7200)));
        }
        if dice.chance(30) {
            // A held one waits for days; most users come back some time.
            at(world, due + dice.secs(1800, 200_000), Wish::Resolve(id));
        }
        if dice.chance(10) {
            at(world, dice.secs(0, 600), Wish::Edit(id));
        }
        if dice.chance(10) {
            // Another person says the same, on another account of the network.
            let words = post.content.parts[0].clone();
            let stranger = people.iter().find(|it| it.id != delivery.account).unwrap().id;
            at(world, due + dice.secs(0, 600), Wish::ByHand(stranger, words));
        }
        if dice.chance(10) {
            // The same words on the same account, long before: never ours.
            let words = post.content.parts[0].clone();
            let early = dice.chance(50);
            let (mine, when) = (delivery.account, secs(0));
            if due > secs(900) && early {
                at(world, when, Wish::ByHand(mine, words));
                if dice.chance(50) {
                    at(world, secs(300), Wish::HandDeletes(mine));
                }
            } else {
                let other = format!("{words} or so");
                at(world, due + dice.secs(0, 300), Wish::ByHand(mine, other));
            }
        }
        if dice.chance(3) {
            // The same words on the same account while ours may be on its way: nobody can tell
            // them apart, and all that is asked for is that ours is not there twice.
            let words = post.content.parts[0].clone();
            world.watch.contested.insert(id);
            at(world, due + dice.secs(0, 1200), Wish::ByHand(delivery.account, words));
        }
    }
    for account in people {
        if dice.chance(10) {
            let from = dice.secs(0, 3000);
            at(world, from, Wish::Pause(account.id));
            at(world, from + dice.secs(10, 3600), Wish::Resume(account.id));
        }
        if dice.chance(5) {
            world.abandoned.insert(account.id);
        }
    }
    if dice.chance(10) {
        let from = dice.secs(0, 3000);
        at(world, from, Wish::StopAll(true));
        at(world, from + dice.secs(10, 3600), Wish::StopAll(false));
    }
    if dice.chance(10) {
        let from = dice.secs(0, 3000);
        at(world, from, Wish::Disk(false));
        at(world, from + dice.secs(10, 7200), Wish::Disk(true));
    }
    if dice.chance(15) {
        at(world, dice.secs(0, 7200), Wish::Power);
    }
    if dice.chance(8) {
        // The wall clock goes wrong for a while, by minutes, days or years, in either direction (R13).
        let by = match dice.below(10) {
            0..=4 => dice.secs(1, 600),
            5..=7 => dice.secs(600, 300_000),
            _ => dice.secs(300_000, 315_576_000),
        };
        let from = dice.secs(0, 5000);
        at(world, from, Wish::Clock(if dice.chance(50) { by } else { -by }));
        at(world, from + dice.secs(60, 20_000), Wish::Clock(secs(0)));
    }
}

fn account(n: u128, platform: PlatformName) -> Account {
    let name = AccountName::new(platform, &format!("a{n}")).unwrap();
    let remote_id =
        if platform == PlatformName::Bluesky { format!("did:plc:a{n}") } else { format!("{}", 1000 + n) };
    Account {
        username: format!("a{n}"),
        display_name: format!("A {n}"),
        can_refresh: true,
        ..Account::new(AccountId::from_u128(n), name, remote_id, start())
    }
}

fn post(
    n: u128,
    account: &Account,
    wait: SignedDuration,
    parts: usize,
    late: Late,
    images: bool,
) -> (Post, Delivery) {
    let instant = start() + wait;
    let civil = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let due = Due { instant, civil, zone: "UTC".into(), choice: Choice::Instant };
    let texts = (0..parts).map(|part| format!("post {n} part {part} & more, see example.com/{n}")).collect();
    let image = MediaItem::new(MediaId::from_u128(n), "a.png", MediaKind::Png, 10, (1, 1));
    let takes = matches!(account.name.platform(), PlatformName::Bluesky | PlatformName::Mastodon);
    let post = Post {
        id: PostId::from_u128(n),
        to: vec![Target { account: account.id, name: account.name.clone() }],
        content: Content { parts: texts, comment: None },
        variants: BTreeMap::new(),
        options: BTreeMap::new(),
        media: if takes && images { vec![image] } else { Vec::new() },
        due: Some(due.clone()),
        late,
        slot: None,
        intended: None,
        source: Source::Cli,
        key: None,
        created_at: start(),
        version: 1,
    };
    let steps =
        (0..parts).map(|it| Step::new(if it == 0 { StepKind::Post } else { StepKind::Thread })).collect();
    let id = DeliveryId::from_u128(n);
    let delivery = Delivery::new(id, post.id, account.id, account.name.clone(), due, late, steps, start());
    (post, delivery)
}
