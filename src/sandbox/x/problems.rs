//! X's documented errors on order, for faults: each as `x-response-examples.json` and the documents of
//! response codes (docs.x.com/x-api/fundamentals/response-codes-and-errors) show it. Nothing happens.

use jiff::Timestamp;
use serde_json::json;

use super::{PROBLEMS, WINDOW, blank, invalid_one, with_budget};
use crate::sandbox::wire::{Answer, Budget};

/// The names under which a fault orders them.
pub(in crate::sandbox) const NAMES: &[&str] = &[
    "unauthorized",
    "credits",
    "credits_depleted",
    "client_forbidden",
    "usage_capped",
    "unsupported_authentication",
    "not_permitted",
    "reply_refused",
    "reply_gone",
    "duplicate",
    "invalid",
    "media_invalid",
    "too_large",
    "not_found",
    "unavailable",
    "not_authorized",
    "legacy_limit",
    "daily_limit",
];

/// A problem of one of the documented types.
pub(super) fn problem(status: u16, title: &str, detail: &str, kind: &str) -> Answer {
    let kind = format!("{PROBLEMS}/{kind}");
    let body = json!({ "title": title, "detail": detail, "status": status, "type": kind });
    Answer::problem(status, &body)
}

/// The error of that name. What is none is a 503.
pub(in crate::sandbox) fn named(name: &str, now: Timestamp) -> Answer {
    let forbidden = |detail: &str| blank(403, "Forbidden", detail);
    let answer = match name {
        "unauthorized" => blank(401, "Unauthorized", "Unauthorized"),
        "credits" => {
            let detail = "Your enrolled account [1] does not have any credits to fulfill this request.";
            problem(402, "CreditsDepleted", detail, "credits")
        }
        "credits_depleted" => problem(402, "Payment Required", "credits depleted", "credits-depleted"),
        "client_forbidden" => {
            let detail = "When authenticating requests to the X API v2 endpoints, you must use keys and tokens \
                          from an app that is attached to a project.";
            problem(403, "Client Forbidden", detail, "client-forbidden")
        }
        "usage_capped" => {
            problem(403, "UsageCapExceeded", "Usage cap exceeded: Monthly product cap", "usage-capped")
        }
        "unsupported_authentication" => {
            let detail = "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.";
            problem(403, "Unsupported Authentication", detail, "unsupported-authentication")
        }
        "not_permitted" => forbidden("You are not permitted to perform this action."),
        "reply_refused" => forbidden(
            "Reply to this conversation is not allowed because you have not been mentioned or otherwise \
             engaged by the author of the post you are replying to.",
        ),
        "reply_gone" => forbidden("You attempted to reply to a Tweet that is deleted or not visible to you."),
        "duplicate" => forbidden("You are not allowed to create a Tweet with duplicate content."),
        "invalid" => invalid_one("text", "", "ordered by a fault"),
        "media_invalid" => invalid_one("media.media_ids", "", "Your media IDs are invalid."),
        "too_large" => Answer::new(413, "text/plain; charset=utf-8", ""),
        "not_found" => {
            problem(404, "Not Found Error", "Could not find what was asked for.", "resource-not-found")
        }
        "not_authorized" => {
            let detail = "Sorry, you are not authorized to see the Tweet with that id.";
            problem(403, "Authorization Error", detail, "not-authorized-for-resource")
        }
        // The shape of the API before this one, without a header that tells when it ends.
        "legacy_limit" => {
            Answer::json(429, &json!({ "errors": [{ "code": 88, "message": "Rate limit exceeded" }] }))
        }
        // The window has room; the user's day has none.
        "daily_limit" => {
            let hour = 60 * 60;
            let window =
                Budget { limit: 100, remaining: 99, reset: now.as_second() + WINDOW, exceeded: false };
            with_budget(blank(429, "Too Many Requests", "Too Many Requests"), window)
                .with("x-user-limit-24hour-limit", "100")
                .with("x-user-limit-24hour-remaining", "0")
                .with("x-user-limit-24hour-reset", &(now.as_second() + 12 * hour).to_string())
        }
        _ => blank(503, "Service Unavailable", "Service Unavailable"),
    };
    // Made up, hence nobody's fault.
    Answer { refusal: None, ..answer }
}
