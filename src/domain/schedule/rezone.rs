//! New rules for a zone: which instants move, and how to notice that the rules are new.
//!
//! A government decides in spring that clocks will not change in autumn. The wall time that a
//! person chose stays; the instant it stands for moves. What was given as an instant stays put.

use jiff::civil::date;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Choice, Due, settle};

/// A due time this close after its instant moved is put to a person: there is no time left to notice.
pub const TOO_CLOSE: SignedDuration = SignedDuration::from_mins(5);

/// The due time by the rules as they are now. `None`: nothing changes.
pub fn recompute(due: &Due, zone: &TimeZone) -> Option<Due> {
    let fresh = match due.choice {
        Choice::Instant => return None,
        Choice::Unique | Choice::FirstOfFold | Choice::MovedByGap => settle(due.civil, zone, &due.zone)?,
        Choice::SecondOfFold => {
            let ambiguous = zone.to_ambiguous_timestamp(due.civil);
            if matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. }) {
                Due { instant: ambiguous.later().ok()?, ..due.clone() }
            } else {
                settle(due.civil, zone, &due.zone)?
            }
        }
    };
    (fresh.instant != due.instant).then_some(fresh)
}

/// Whether a moved time leaves nobody time to object.
pub fn is_too_close(moved: &Due, now: Timestamp) -> bool {
    moved.instant.duration_since(now) < TOO_CLOSE
}

/// A print of a zone's rules over the years that posts are scheduled for. Two databases with the same
/// rules have the same print, whatever they call their version.
pub fn print(zone: &TimeZone) -> [u8; 32] {
    let bound = |year| Offset::UTC.to_timestamp(date(year, 1, 1).at(0, 0, 0, 0));
    let (Ok(from), Ok(to)) = (bound(2024), bound(2064)) else { return [0; 32] };
    let mut hash = Sha256::new();
    hash.update(zone.to_offset(from).seconds().to_be_bytes());
    for change in zone.following(from).take_while(|it| it.timestamp() < to) {
        hash.update(change.timestamp().as_second().to_be_bytes());
        hash.update(change.offset().seconds().to_be_bytes());
    }
    hash.finalize().into()
}
