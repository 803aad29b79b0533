//! Tokens: what they hold, and that no other is taken.

use super::*;
use crate::keys::derive::Purpose;
use crate::keys::master::MasterKey;

fn links(byte: u8, purpose: Purpose) -> Links {
    let master = MasterKey::generate(|bytes| {
        bytes.fill(byte);
        Ok(())
    });
    Links::new(Signer::new(&master.unwrap(), purpose))
}

fn now() -> Timestamp {
    "2030-03-05T08:14:00Z".parse().unwrap()
}

fn part(fit: Option<Fit>) -> FilePart {
    let kind = if fit.is_some() { MediaKind::Jpeg } else { MediaKind::Mp4 };
    FilePart { id: MediaId::from_u128(77), kind, fit, range: None }
}

fn token_of(url: &str) -> &str {
    url.split('/').nth(4).unwrap()
}

#[test]
fn an_address_names_file_delivery_and_conversion_and_lives_six_hours_at_most() {
    let links = links(1, Purpose::MediaUrl);
    let public = "https://post.example.org".parse().unwrap();
    let fit = Fit { width: 1440, height: 1800, bytes_max: 8_000_000, flatten: false };
    for fit in [None, Some(fit)] {
        let url = links.address(&public, DeliveryId::from_u128(5), &part(fit), now());
        let name = if fit.is_some() { "media.jpg" } else { "media.mp4" };
        assert!(url.starts_with("https://post.example.org/m/") && url.ends_with(name), "{url}");
        let said = links.read(token_of(&url), now()).unwrap();
        assert_eq!(
            (said.delivery, said.media, said.fit),
            (DeliveryId::from_u128(5), MediaId::from_u128(77), fit)
        );
        let left = said.end - now().as_second();
        assert!((5 * 3600..=6 * 3600).contains(&left), "{left}");
        // A request that is made again a minute later names the same address.
        let later = now() + SignedDuration::from_mins(1);
        assert_eq!(links.address(&public, DeliveryId::from_u128(5), &part(fit), later), url);
        let end = Timestamp::from_second(said.end).unwrap();
        assert!(links.read(token_of(&url), end - SignedDuration::from_secs(1)).is_some());
        assert!(links.read(token_of(&url), end).is_none());
    }
}

#[test]
fn no_changed_bit_no_other_key_and_no_other_purpose_is_taken() {
    let ours = links(1, Purpose::MediaUrl);
    let claims = Claims {
        delivery: DeliveryId::from_u128(5),
        media: MediaId::from_u128(77),
        end: now().as_second() + 60,
        fit: None,
    };
    let token = ours.token(&claims);
    assert_eq!(ours.read(&token, now()), Some(claims));
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(&changed), now()), None, "bit {bit}");
    }
    // Nor another spelling of the same bytes.
    for at in 0..token.len() {
        for letter in ["A", "z", "-", "_", "+", "=", "%", "é"] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, letter);
            assert!(changed == token || ours.read(&changed, now()).is_none(), "{at} {letter}");
        }
    }
    for other in [links(2, Purpose::MediaUrl), links(1, Purpose::Cursor), links(1, Purpose::OauthState)] {
        assert_eq!(ours.read(&other.token(&claims), now()), None);
    }
    let cut = &token[..token.len() - 1];
    for odd in ["", "A", cut, &format!("{token}A"), &"A".repeat(118), &"A".repeat(4000)] {
        assert_eq!(ours.read(odd, now()), None, "{odd}");
    }
    // Signed with the right key for something else.
    let bytes = claims.bytes();
    let tag = ours.signer.sign(&[b"preview", &bytes]);
    let foreign = URL_SAFE_NO_PAD.encode([&bytes[..], &tag[..]].concat());
    assert_eq!(ours.read(&foreign, now()), None);
}

#[test]
fn a_flood_of_requests_takes_bounded_memory() {
    let links = links(1, Purpose::MediaUrl);
    let one = |n: u128| Fetched {
        media: MediaId::from_u128(1),
        client: format!("192.0.2.{n}"),
        agent: "a\u{1b}[2J".repeat(1000),
        first: now(),
        last: now(),
        requests: 1,
        bytes: 1,
        status: 200,
    };
    for n in 0..5000 {
        links.note(DeliveryId::from_u128(n), one(n));
        links.note(DeliveryId::from_u128(1), one(n));
    }
    let kept = links.fetched();
    assert_eq!(kept.len(), WAITING_MAX);
    assert!(kept.values().all(|it| it.0.len() <= fetches::LINES_MAX));
    let agent = &kept[&DeliveryId::from_u128(1)].0[0].agent;
    assert!(agent.chars().count() <= AGENT_MAX && !agent.contains('\u{1b}'));
    drop(kept);
}
