//! Every table, with its key order explained.
//!
//! A table's key and value types are part of its stored identity: changing one means a new name
//! (`….v2`) and a migration. Names are never reused. Ids are UUIDv7 as `u128`, so rows that were
//! made together lie together. Times in keys are unix milliseconds; the exact instant is in the
//! row. Values of type `&[u8]` are framed records (see `records`), except sealed bytes, which carry
//! their own authentication.

use redb::TableDefinition as T;

/// Name → number: `schema`, `created_ms`, `high_water_ms`, `generation`, `paused_ms`, `read_back_upto` …
/// `schema` stays readable here for ever: an older binary must be able to see that it is too old.
pub(super) const META: T<'static, &str, u64> = T::new("meta.v1");

/// Name → text: `pause_reason`.
pub(super) const NOTES: T<'static, &str, &str> = T::new("notes.v1");

/// Post → record.
pub(super) const POSTS: T<'static, u128, &[u8]> = T::new("posts.v1");
/// (due, or creation for a draft; post) → (). The order of an unfiltered list.
pub(super) const POSTS_BY_TIME: T<'static, (i64, u128), ()> = T::new("posts_by_time.v1");
/// (media, post) → (). Says whether a media file is still wanted.
pub(super) const BY_MEDIA: T<'static, (u128, u128), ()> = T::new("by_media.v1");

/// Media file → what its bytes said, from its upload until it is removed.
pub(super) const MEDIA: T<'static, u128, &[u8]> = T::new("media.v1");

/// Delivery → record.
pub(super) const DELIVERIES: T<'static, u128, &[u8]> = T::new("deliveries.v1");
/// (when to look at it, delivery) → (account, whether it is unknown). The next work is the first row,
/// so a tick costs what is due and not what is stored; the value says which lane it belongs to
/// without reading the delivery.
pub(super) const DUE: T<'static, (i64, u128), (u128, bool)> = T::new("due.v1");
/// Delivery → (), for those a worker owned: what start-up must look at.
pub(super) const IN_FLIGHT: T<'static, u128, ()> = T::new("in_flight.v1");
/// (post, delivery) → ().
pub(super) const BY_POST: T<'static, (u128, u128), ()> = T::new("by_post.v1");
/// (account, due, post, delivery) → (). All deliveries of an account, in the order of their time.
pub(super) const BY_ACCOUNT: T<'static, (u128, i64, u128, u128), ()> = T::new("by_account.v1");
/// As `BY_ACCOUNT`, without the ended ones: disconnecting need not read years of history.
pub(super) const OPEN_BY_ACCOUNT: T<'static, (u128, i64, u128, u128), ()> = T::new("open_by_account.v1");
/// (word, due, post, delivery) → (). The word is a state, `held` (beside its `unknown` row), or
/// `draft` (delivery 0, by creation). The order of a list filtered by state.
pub(super) const BY_STATE: T<'static, (&str, i64, u128, u128), ()> = T::new("by_state.v1");
/// Word as in `BY_STATE`, without `draft` → how many deliveries.
pub(super) const COUNTS: T<'static, &str, u64> = T::new("counts.v1");
/// (account, delivery) → (), for those in `needs_reconnect`: what a reconnect sets going again.
pub(super) const NEEDS: T<'static, (u128, u128), ()> = T::new("needs.v1");
/// (account, first half of SHA-256 of the marker, delivery) → (). Deliveries that may be live under a
/// marker and are being looked up: another one of the same words must wait for them.
pub(super) const OPEN_MARKERS: T<'static, (u128, u128, u128), ()> = T::new("open_markers.v1");
/// (when it was missed, delivery) → (), for those nobody has taken up since. What came too late is told
/// by the time at which that was found, which may be days after its own.
pub(super) const MISSED: T<'static, (i64, u128), ()> = T::new("missed.v1");
/// As `MISSED`, for what a network took and could not publish.
pub(super) const NOTHING: T<'static, (i64, u128), ()> = T::new("came_to_nothing.v1");
/// (delivery, n) → publishing call. Append-only; completed once.
pub(super) const ATTEMPTS: T<'static, (u128, u32), &[u8]> = T::new("attempts.v1");
/// (delivery, seq) → move of the state. Append-only.
pub(super) const HISTORY: T<'static, (u128, u32), &[u8]> = T::new("history.v1");
/// (account, first half of SHA-256 of the remote id) → (delivery, step). A remote object belongs to
/// one step for ever, also after the post's own rows are deleted; hence no readable id.
pub(super) const BOUND: T<'static, (u128, u128), (u128, u16)> = T::new("bound.v1");
/// (account, marker) → when. Markers that must never be sent again.
pub(super) const TOMBSTONES: T<'static, (u128, &str), i64> = T::new("tombstones.v1");

/// Delivery → who fetched its media by link.
pub(super) const FETCHES: T<'static, u128, &[u8]> = T::new("fetches.v1");

/// Account → record.
pub(super) const ACCOUNTS: T<'static, u128, &[u8]> = T::new("accounts.v1");
/// `platform:handle` → account. Unique.
pub(super) const ACCOUNT_NAMES: T<'static, &str, u128> = T::new("account_names.v1");
/// (platform, remote id) → account. Unique: connecting again finds the same account.
pub(super) const ACCOUNT_REMOTE: T<'static, (&str, &str), u128> = T::new("account_remote.v1");

/// Account → sealed tokens and their times.
pub(super) const GRANTS: T<'static, u128, &[u8]> = T::new("grants.v1");
/// Account → a refresh that was sent and not yet answered.
pub(super) const REFRESH_INTENTS: T<'static, u128, &[u8]> = T::new("refresh_intents.v1");
/// Name → sealed key of the application itself (Bluesky's client key).
pub(super) const CLIENT_KEYS: T<'static, &str, &[u8]> = T::new("client_keys.v1");
/// Account → how far its erasure has come. A row here at start-up is work a crash interrupted.
pub(super) const ERASURES: T<'static, u128, &[u8]> = T::new("erasures.v1");

/// The user's key → (SHA-256 of what was asked for, the post it made).
pub(super) const IDEMPOTENCY: T<'static, &str, ([u8; 32], u128)> = T::new("idempotency.v1");
/// (queue, local date-time) → post. Unique: a slot is used once, whatever the clocks do.
pub(super) const SLOTS: T<'static, (&str, &str), u128> = T::new("slots.v1");
/// Queue → when it was paused. No row: it runs.
pub(super) const QUEUE_PAUSED: T<'static, &str, i64> = T::new("queue_paused.v1");

/// (recurring post, local date-time) → (the post its run made, or 0: passed over; the version it had
/// when it was made or last brought up to date). Unique: a run is made once, whatever the clocks do.
pub(super) const RUNS: T<'static, (&str, &str), (u128, u32)> = T::new("runs.v1");
/// Recurring post → how far it has come.
pub(super) const SERIES: T<'static, &str, &[u8]> = T::new("series.v1");
/// Time zone → print of its rules, for every zone a due time was reckoned in.
pub(super) const ZONES: T<'static, &str, [u8; 32]> = T::new("zones.v1");
/// Delivery → (), for those that new zone rules would send almost at once: they wait for a person.
pub(super) const ZONE_HELD: T<'static, u128, ()> = T::new("zone_held.v1");

/// Number of the event → (when, delivery or 0, number in its history or 0). The order of the log. A
/// move's words are in the delivery's history and go with it; delivery 0 means a row of `EVENTS`.
pub(super) const JOURNAL: T<'static, u64, (i64, u128, u32)> = T::new("journal.v1");
/// Number of the event → what happened beside the deliveries.
pub(super) const EVENTS: T<'static, u64, &[u8]> = T::new("events.v1");

/// Receipt → record.
pub(super) const RECEIPTS: T<'static, u128, &[u8]> = T::new("receipts.v1");
/// Confirmation code → receipt.
pub(super) const RECEIPT_CODES: T<'static, &str, u128> = T::new("receipt_codes.v1");
/// Keyed hash of whose data is to go → the latest request for it, a receipt. Who asks twice is
/// answered the same. The hash names nobody, so that it may stay when everything else is gone.
pub(super) const REQUESTS: T<'static, &str, u128> = T::new("requests.v1");
/// Request → (), for those with accounts that are not gone yet. Ids begin with their time, so the
/// oldest comes first; a row here at start-up is work a crash interrupted.
pub(super) const REQUESTS_OPEN: T<'static, u128, ()> = T::new("requests_open.v1");
/// (time, sequence within the millisecond) → what was done, and by whom. Append-only.
pub(super) const AUDIT: T<'static, (i64, u32), &[u8]> = T::new("audit.v1");

/// (account, or the letters of a network's name; year and month, 202611) → what was paid for calls.
pub(super) const SPENT: T<'static, (u128, u32), &[u8]> = T::new("spent.v1");

/// Hands the names of all tables to another macro.
macro_rules! every {
    ($go:ident) => {
        $go!(META NOTES POSTS POSTS_BY_TIME BY_MEDIA MEDIA DELIVERIES DUE IN_FLIGHT BY_POST BY_ACCOUNT
            OPEN_BY_ACCOUNT BY_STATE COUNTS NEEDS OPEN_MARKERS MISSED NOTHING ATTEMPTS HISTORY FETCHES BOUND TOMBSTONES ACCOUNTS
            ACCOUNT_NAMES ACCOUNT_REMOTE GRANTS REFRESH_INTENTS CLIENT_KEYS ERASURES IDEMPOTENCY SLOTS QUEUE_PAUSED RUNS
            SERIES ZONES ZONE_HELD JOURNAL EVENTS RECEIPTS RECEIPT_CODES REQUESTS REQUESTS_OPEN AUDIT SPENT)
    };
}

/// Creates every table, so that no reader meets one that does not exist.
pub(super) fn create_all(tx: &redb::WriteTransaction) -> Result<(), redb::TableError> {
    macro_rules! create { ($($table:ident)*) => { $( drop(tx.open_table($table)?); )* }; }
    every!(create);
    Ok(())
}

/// Whether a store of the same schema was made before one of the tables was thought of.
pub(super) fn some_missing(rx: &redb::ReadTransaction) -> Result<bool, redb::TableError> {
    macro_rules! look {
        ($($table:ident)*) => { $(
            match rx.open_table($table) {
                Ok(_) => {}
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(true),
                Err(error) => return Err(error),
            }
        )* };
    }
    every!(look);
    Ok(false)
}
