//! Named places at which the process can be made to die, to prove that dying there is harmless.
//!
//! `cp!("c7")` is nothing unless the crate is built with the feature `failpoints`, which no release
//! is. With it, `SENDOFF_FAILPOINT=c7:3` makes the third passage of `c7` abort the process: no
//! destructor runs, nothing is flushed, as after `kill -9`. The names are those of the crash points
//! in `docs/guarantees.md`. `cp!("c1", when)` counts only the passages at which `when` holds.

/// Marks a crash point. Expands to nothing without the feature `failpoints`.
#[macro_export]
macro_rules! cp {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::passed($name);
    };
    ($name:literal, $when:expr) => {
        #[cfg(feature = "failpoints")]
        if $when {
            $crate::failpoint::passed($name);
        }
    };
}

pub use cp;

#[cfg(feature = "failpoints")]
fn chosen() -> Option<&'static (String, u64)> {
    use std::sync::OnceLock;
    static AIM: OnceLock<Option<(String, u64)>> = OnceLock::new();
    AIM.get_or_init(|| aim(std::env::var("SENDOFF_FAILPOINT").ok().as_deref())).as_ref()
}

/// Counts a passage, and aborts if it is the one asked for.
#[cfg(feature = "failpoints")]
pub fn passed(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SEEN: AtomicU64 = AtomicU64::new(0);
    if let Some((wanted, n)) = chosen()
        && wanted == name
        && SEEN.fetch_add(1, Ordering::SeqCst) + 1 == *n
    {
        std::process::abort();
    }
}

/// The bytes in two halves with a crash point between them: dying there leaves half a request on
/// the wire. `None` unless `name` is what this process is to die at, or there is nothing to halve.
#[cfg(feature = "failpoints")]
pub fn halves(
    name: &'static str,
    whole: bytes::Bytes,
) -> Option<impl futures_util::Stream<Item = Result<bytes::Bytes, std::convert::Infallible>> + Send> {
    let middle = whole.len() / 2;
    let wanted = chosen().is_some_and(|(wanted, _)| wanted == name);
    (wanted && middle > 0).then(|| {
        futures_util::stream::unfold((whole, 0), move |(whole, turn)| async move {
            match turn {
                0 => Some((Ok(whole.slice(..middle)), (whole, 1))),
                1 => {
                    // What was handed over goes out while the rest is waited for.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    passed(name);
                    Some((Ok(whole.slice(middle..)), (whole, 2)))
                }
                _ => None,
            }
        })
    })
}

/// `c7:3`, or `c7` for the first passage.
#[cfg(any(feature = "failpoints", test))]
fn aim(text: Option<&str>) -> Option<(String, u64)> {
    let text = text?;
    let (name, n) = text.split_once(':').unwrap_or((text, "1"));
    Some((name.to_owned(), n.parse().ok().filter(|n| *n > 0)?))
}

#[cfg(test)]
mod tests {
    use super::aim;

    #[test]
    fn a_label_and_a_count_are_read_and_nonsense_is_nothing() {
        assert_eq!(aim(Some("c7:3")), Some(("c7".to_owned(), 3)));
        assert_eq!(aim(Some("c12")), Some(("c12".to_owned(), 1)));
        assert!(aim(Some("c7:0")).is_none() && aim(Some("c7:x")).is_none() && aim(None).is_none());
    }
}
