//! The same words again: for an account that has them already, where networks refuse a repeat, and for
//! several accounts of a network whose rules forbid it.
//!
//! Looked for among what is due within a day or two of the post in question, by the index of an account's
//! times: it costs what lies around that time and not what is stored.

use jiff::{SignedDuration, Timestamp};

use crate::domain::account::Account;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{AccountId, PlatformName, PostId};
use crate::platforms::{self, Platform};
use crate::store::{Source, StoreError, accounts, deliveries, posts};

/// For so long networks are known to refuse a repeat, or to name the first one although it was deleted.
const LATELY: SignedDuration = SignedDuration::from_hours(48);
/// On several accounts the same words count as the same message for a day.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Deliveries of an account that are looked at, those latest due first; and accounts of a network.
const MOST: usize = 200;
const ACCOUNTS: usize = 50;

/// A post of the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Same {
    pub(super) post: PostId,
    /// When it went out, or is to.
    pub(super) at: Timestamp,
    pub(super) is_out: bool,
}

impl Same {
    /// `went out at …`, `is scheduled for …`
    fn tell(self) -> String {
        let word = if self.is_out { "went out at" } else { "is scheduled for" };
        format!("`{}`, which {word} {:.0}", self.post, self.at)
    }
}

/// What a delivery that bears the words has come to; `None`: nothing goes out of it.
fn same(delivery: &Delivery) -> Option<Same> {
    let (at, is_out) = match delivery.state {
        State::Published | State::HandedOver => (delivery.published_at.unwrap_or(delivery.due.instant), true),
        State::Rejected | State::Cancelled | State::Missed => return None,
        _ => (delivery.due.instant, false),
    };
    Some(Same { post: delivery.post, at, is_out })
}

/// The post of these words that this account has around an instant, `except` one; of several one that went
/// out, and of those the latest.
fn of_account(
    source: &impl Source,
    account: AccountId,
    parts: &[String],
    (around, span): (Timestamp, SignedDuration),
    except: Option<PostId>,
) -> Result<Option<Same>, StoreError> {
    // Files alone are no words.
    if parts.iter().all(|it| it.trim().is_empty()) {
        return Ok(None);
    }
    let from = around.saturating_sub(span).unwrap_or(Timestamp::MIN);
    let to = around.saturating_add(span).unwrap_or(Timestamp::MAX);
    let mut found: Option<Same> = None;
    for id in deliveries::of_account_between(source, account, (from, to), MOST)? {
        let Some(delivery) = deliveries::get(source, id)?.filter(|it| Some(it.post) != except) else {
            continue;
        };
        let Some(it) = same(&delivery) else { continue };
        if found.is_some_and(|best| (best.is_out, best.at) >= (it.is_out, it.at)) {
            continue;
        }
        let post = posts::get(source, delivery.post)?;
        if post.is_some_and(|post| post.content_for(&delivery.name).parts == parts) {
            found = Some(it);
        }
    }
    Ok(found)
}

/// The post of these words that went out by this account lately.
pub(super) fn went_out(
    source: &impl Source,
    delivery: &Delivery,
    parts: &[String],
) -> Result<Option<Same>, StoreError> {
    let around = (delivery.due.instant, LATELY);
    let found = of_account(source, delivery.account, parts, around, Some(delivery.post))?;
    Ok(found.filter(|it| it.is_out))
}

/// What is worth knowing before these words go out by this account around an instant, in sentences. `except`:
/// the post in question, where it is stored already; `beside`: accounts that are told of elsewhere.
pub(super) fn notices(
    source: &impl Source,
    account: &Account,
    parts: &[String],
    around: Timestamp,
    except: Option<PostId>,
    beside: &[AccountId],
) -> Result<Vec<String>, StoreError> {
    let mut all = Vec::new();
    let platform = account.name.platform();
    if let Some(it) = of_account(source, account.id, parts, (around, LATELY), except)? {
        all.push(format!(
            "{} has the same words in {}; {} may refuse a repeat",
            account.name,
            it.tell(),
            platform.title()
        ));
    }
    let Some(rule) = platforms::find(platform).and_then(Platform::same_words) else { return Ok(all) };
    for other in others(source, platform, account.id)? {
        if beside.contains(&other.id) {
            continue;
        }
        if let Some(it) = of_account(source, other.id, parts, (around, A_DAY), except)? {
            all.push(format!("{} has the same text in {}: {rule}", other.name, it.tell()));
        }
    }
    Ok(all)
}

fn others(source: &impl Source, platform: PlatformName, than: AccountId) -> Result<Vec<Account>, StoreError> {
    let all = accounts::list(source)?.into_iter();
    Ok(all.filter(|it| it.name.platform() == platform && it.id != than).take(ACCOUNTS).collect())
}
