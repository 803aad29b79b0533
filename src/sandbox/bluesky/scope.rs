//! Scopes of the AT Protocol (atproto.com/specs/permission): what exists, and what one allows.

/// Whether the server knows a scope of this form.
pub(super) fn is_known(scope: &str) -> bool {
    let (name, query) = scope.split_once('?').unwrap_or((scope, ""));
    let (kind, positional) = name.split_once(':').unwrap_or((name, ""));
    let has = |wanted: &str| params(query).any(|(name, value)| name == wanted && !value.is_empty());
    match kind {
        "atproto" => scope == "atproto",
        "transition" => matches!(scope, "transition:generic" | "transition:email" | "transition:chat.bsky"),
        "repo" => {
            let collections = !positional.is_empty() || has("collection");
            collections
                && params(query).all(|(name, value)| match name {
                    "action" => matches!(value, "create" | "update" | "delete"),
                    "collection" => positional.is_empty(),
                    _ => false,
                })
        }
        "blob" => positional.contains('/') || has("accept"),
        "rpc" => has("aud") && (!positional.is_empty() || has("lxm")),
        "account" | "identity" => !positional.is_empty(),
        _ => false,
    }
}

fn params(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|it| !it.is_empty()).map(|it| it.split_once('=').unwrap_or((it, "")))
}

/// Whether one of `granted` allows `action` on records of `collection`.
pub(super) fn allows_repo(granted: &[String], collection: &str, action: &str) -> bool {
    granted.iter().any(|scope| {
        if scope == "transition:generic" {
            return true;
        }
        let (name, query) = scope.split_once('?').unwrap_or((scope, ""));
        let (kind, positional) = name.split_once(':').unwrap_or((name, ""));
        let here = |it: &str| it == "*" || it == collection;
        let mut actions = params(query).filter(|(name, _)| *name == "action").peekable();
        kind == "repo"
            && (here(positional) || params(query).any(|(name, value)| name == "collection" && here(value)))
            && (actions.peek().is_none() || actions.any(|(_, value)| value == action))
    })
}

/// Whether one of `granted` allows uploading a file of type `mime`.
pub(super) fn allows_blob(granted: &[String], mime: &str) -> bool {
    let fits = |pattern: &str| match pattern.split_once('/') {
        Some(("*", "*")) => true,
        Some((family, "*")) => mime.split('/').next() == Some(family),
        _ => pattern == mime,
    };
    granted.iter().any(|scope| {
        let (name, query) = scope.split_once('?').unwrap_or((scope, ""));
        match name.split_once(':').unwrap_or((name, "")) {
            ("transition", "generic") => true,
            ("blob", pattern) => {
                fits(pattern) || params(query).any(|(name, value)| name == "accept" && fits(value))
            }
            _ => false,
        }
    })
}
