//! Decides what happens next: `apply(input, now) -> effects`. Does nothing itself.
