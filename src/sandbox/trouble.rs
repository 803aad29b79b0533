//! The networks' own errors, for faults: each network in its own shape.

use serde_json::json;

use super::faults::is_oauth;
use super::wire::{Answer, Call};
use super::{bluesky, facebook, instagram, linkedin, tiktok, x};

/// The network a route belongs to: what stands before its point.
fn network(route: &str) -> &str {
    route.split('.').next().unwrap_or_default()
}

/// Too many calls, with the headers that go with it.
pub(super) fn too_many(route: &str, call: &Call) -> Answer {
    match network(route) {
        "x" => x::too_many(call.now),
        "instagram" => instagram::too_many(),
        "linkedin" => linkedin::too_many(),
        "tiktok" => tiktok::too_many(),
        "facebook" => facebook::too_many(),
        _ => bluesky::too_many(call.now),
    }
}

/// The network's fault.
pub(super) fn broken(route: &str) -> Answer {
    match network(route) {
        "x" => x::broken(),
        "instagram" => instagram::broken(),
        "linkedin" => linkedin::broken(),
        "tiktok" => tiktok::broken(),
        "facebook" => facebook::broken(),
        _ => bluesky::broken(),
    }
}

/// One of the errors that the network has by name.
pub(super) fn named(route: &str, name: &str, call: &Call) -> Answer {
    match network(route) {
        "linkedin" => linkedin::problems::named(name, call),
        _ => x::problems::named(name, call.now),
    }
}

/// An error with this code, which the order of faults has found fit for the network.
pub(super) fn with_code(route: &str, call: &Call, status: u16, code: &str) -> Answer {
    if tiktok::is_upload(&call.method, &call.path) {
        return tiktok::turned_away(status, call);
    }
    let message = format!("{code}: ordered by a fault");
    if is_oauth(route) {
        // TikTok adds the number that its support asks for.
        let answer = match network(route) {
            "tiktok" => tiktok::flat(status, code, &message),
            _ => Answer::json(status, &json!({ "error": code, "error_description": message })),
        };
        return Answer { refusal: None, ..answer };
    }
    match network(route) {
        "facebook" | "instagram" => {
            let mut numbers = code.split('.').map(|it| it.parse().unwrap_or_default());
            let (code, sub) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
            facebook::error(status, code, sub, &message)
        }
        "linkedin" => linkedin::problems::coded(status, code, &message),
        "tiktok" => tiktok::error(status, code, &message),
        _ => bluesky::ordinary(status, code, &message),
    }
}
