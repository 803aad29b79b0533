//! AT Protocol scopes (atproto.com/specs/permission): what we ask for and whether we got it.

use url::form_urlencoded;

use crate::auth::ScopeNeed;

/// What we need, fine-grained.
pub static SCOPES: &[ScopeNeed] = &[
    ScopeNeed { scope: "atproto", required: true, without: "the account cannot be told from others" },
    ScopeNeed {
        scope: "repo:app.bsky.feed.post",
        required: true,
        without: "posts cannot be published or deleted",
    },
    ScopeNeed { scope: "blob:*/*", required: false, without: "posts cannot carry images" },
];

/// All of [`SCOPES`] as a request has them.
pub(super) const GRANULAR: &str = "atproto repo:app.bsky.feed.post blob:*/*";
/// What older servers know instead: as much as an app password could do.
pub(super) const TRANSITION: &str = "atproto transition:generic";
/// All that may ever be asked for, as the client's document must say.
pub(super) const EVER: &str = "atproto repo:app.bsky.feed.post blob:*/* transition:generic";

/// The needs that `granted` does not meet.
pub(super) fn missing(granted: &[String]) -> Vec<&'static ScopeNeed> {
    SCOPES.iter().filter(|need| !granted.iter().any(|it| meets(it, need.scope))).collect()
}

/// Whether one granted scope is enough for one need. Servers may write a scope in another way than
/// we did (`repo?collection=…`), or a user may grant a wider one.
fn meets(granted: &str, need: &str) -> bool {
    if granted == need {
        return true;
    }
    if granted == "transition:generic" {
        return need != "atproto";
    }
    let (head, query) = granted.split_once('?').unwrap_or((granted, ""));
    let (kind, positional) = head.split_once(':').map_or((head, None), |(kind, rest)| (kind, Some(rest)));
    let named = |name: &str| -> Vec<String> {
        form_urlencoded::parse(query.as_bytes())
            .filter(|(it, _)| it == name)
            .map(|(_, value)| value.into())
            .collect()
    };
    let values = |name: &str| match positional {
        Some(value) => vec![value.to_owned()],
        None => named(name),
    };
    match (kind, need) {
        ("repo", "repo:app.bsky.feed.post") => {
            let actions = named("action");
            // `putRecord` is both a create and an update, and what was published can be deleted.
            let able = actions.is_empty()
                || ["create", "update", "delete"].iter().all(|it| actions.iter().any(|action| action == it));
            able && values("collection").iter().any(|it| it == "*" || it == "app.bsky.feed.post")
        }
        ("blob", "blob:*/*") => values("accept").iter().any(|it| it == "*/*" || it == "image/*"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(granted: &str) -> Vec<&'static str> {
        let granted: Vec<String> = granted.split(' ').map(str::to_owned).collect();
        missing(&granted).iter().map(|need| need.scope).collect()
    }

    #[test]
    fn what_is_asked_is_what_is_needed() {
        let joined: Vec<_> = SCOPES.iter().map(|need| need.scope).collect();
        assert_eq!(joined.join(" "), GRANULAR);
        assert_eq!(format!("{GRANULAR} transition:generic"), EVER);
        assert_eq!(lacking(GRANULAR), [""; 0]);
        assert_eq!(lacking(TRANSITION), [""; 0]);
    }

    #[test]
    fn a_scope_counts_in_every_spelling_and_not_when_it_is_narrower() {
        for (granted, lacks) in [
            ("atproto", vec!["repo:app.bsky.feed.post", "blob:*/*"]),
            ("transition:generic", vec!["atproto"]),
            ("atproto repo:* blob:image/*", vec![]),
            (
                "atproto repo?collection=app.bsky.feed.like&collection=app.bsky.feed.post blob?accept=*/*",
                vec![],
            ),
            ("atproto repo:app.bsky.feed.post?action=create blob:*/*", vec!["repo:app.bsky.feed.post"]),
            ("atproto repo:app.bsky.feed.post?action=create&action=update&action=delete blob:*/*", vec![]),
            (
                "atproto repo:app.bsky.feed.postgate blob:video/mp4",
                vec!["repo:app.bsky.feed.post", "blob:*/*"],
            ),
        ] {
            assert_eq!(lacking(granted), lacks, "{granted}");
        }
    }
}
