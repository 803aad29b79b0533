//! Known bugs that can be switched on, so that the simulation can show it would notice them.
//!
//! Without the feature `planted-bugs`, which no release is built with, [`planted`] is a constant
//! `false` and the compiler removes what stands behind it.

/// Whether the bug of this name is switched on.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
#[allow(clippy::inline_always)] // a constant
pub(crate) const fn planted(_name: &str) -> bool {
    false
}

/// Whether the bug of this name is switched on.
#[cfg(feature = "planted-bugs")]
pub(crate) fn planted(name: &str) -> bool {
    let on = ON.load(std::sync::atomic::Ordering::Relaxed);
    on > 0 && ALL.get(on - 1).is_some_and(|it| *it == name)
}

/// One more than the place of the bug in [`ALL`]; 0 for none.
#[cfg(feature = "planted-bugs")]
static ON: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Switches one bug on, or all off.
#[cfg(feature = "planted-bugs")]
pub fn plant(name: Option<&str>) {
    let place = name.map_or(0, |name| 1 + ALL.iter().position(|it| *it == name).expect("a bug of the list"));
    ON.store(place, std::sync::atomic::Ordering::Relaxed);
}

/// Every bug there is, by the rule it breaks.
#[cfg(feature = "planted-bugs")]
pub const ALL: &[&str] = &[
    "key life from the last attempt",
    "key life checked before the intent",
    "sending becomes retry at start",
    "no settle",
    "unlisted refusal believed",
    "refusal believed unasked",
    "cancel while ambiguous",
    "one negative read",
    "second container",
    "newest item is proof",
    "settle from the first loss",
    "send outside the lane",
    "earlier attempt ignored",
    "network's clock ignored",
    "clock set back forgotten",
    "marker of a copy believed",
    "what is ahead not marked",
    "missed at once",
    "late after preparing",
    "everything held",
    "catch-up not spaced",
    "late and not looked for",
    "breaker never opens",
    "quota ignored",
    "disconnect cancels what may be live",
    "a lost refresh is the end",
    "token renewed before a send",
];
