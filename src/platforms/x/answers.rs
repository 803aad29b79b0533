//! What X's answers mean. X has four error shapes: problem+json, validation, the old
//! `{errors:[{code}]}`, and OAuth's. The host inside `type` is changing, so only its last segment
//! counts; for `about:blank` the words of `title` and `detail` do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::domain::delivery::Live;
use crate::platforms::{Answer, Failure, FailureClass, Quota, Refusal, Verdict};

/// The answers that prove a create call had no effect. `code` is the last segment of the problem
/// `type`, `code:N` of the old shape, or `title:` / `detail:` with words in lower case.
pub const REFUSALS: &[Refusal] = &[
    Refusal {
        status: 401,
        code: "title:unauthorized",
        class: FailureClass::AuthExpired,
        evidence: "x-response-examples.json, `unauthorized`: the token is checked before the request is read",
    },
    Refusal {
        status: 402,
        code: "credits",
        class: FailureClass::Billing,
        evidence: "x-response-examples.json, `credits_depleted_old`: credit is checked before the post is made",
    },
    Refusal {
        status: 402,
        code: "credits-depleted",
        class: FailureClass::Billing,
        evidence: "x-response-examples.json, `credits_depleted_new`: as above, newer name",
    },
    Refusal {
        status: 403,
        code: "unsupported-authentication",
        class: FailureClass::Config,
        evidence: "x-response-examples.json, `wrong_auth_kind`: an app-only token, refused at the door",
    },
    Refusal {
        status: 403,
        code: "client-forbidden",
        class: FailureClass::Config,
        evidence: "docs.x.com, response codes: the app is not enrolled for the endpoint",
    },
    Refusal {
        status: 403,
        code: "usage-capped",
        class: FailureClass::AppLimited,
        evidence: "docs.x.com, response codes: the product's cap is reached, nothing is counted further",
    },
    Refusal {
        status: 403,
        code: "not-authorized-for-resource",
        class: FailureClass::Policy,
        evidence: "docs.x.com, response codes: replying to that post, or quoting it, is not allowed",
    },
    Refusal {
        status: 403,
        code: "detail:reply to this conversation is not allowed",
        class: FailureClass::Policy,
        evidence: "x-response-examples.json, `reply_not_allowed`: the reply rule is checked before the post is made",
    },
    Refusal {
        status: 403,
        code: "detail:deleted or not visible to you",
        class: FailureClass::NotReady,
        evidence: "github.com/plhery/node-twitter-api-v2/issues/366: the part before it does not show there yet; \
                   a reply to what is not there is not made",
    },
    Refusal {
        status: 403,
        code: "detail:you are not permitted to perform this action",
        class: FailureClass::Permission,
        evidence: "x-response-examples.json, `not_permitted`: rights are checked before the post is made",
    },
    Refusal {
        status: 400,
        code: "invalid-request",
        class: FailureClass::InvalidContent,
        evidence: "x-response-examples.json, `invalid_request`: the body failed validation",
    },
    Refusal {
        status: 429,
        code: "title:too many requests",
        class: FailureClass::RateLimited,
        evidence: "x-response-examples.json, `rate_limited_window`: the limiter answers before the endpoint",
    },
    Refusal {
        status: 429,
        code: "code:88",
        class: FailureClass::RateLimited,
        evidence: "x-response-examples.json, `rate_limited_v1_shape`: as above, old shape",
    },
];

/// What the answer to `POST /2/tweets` proves.
pub fn judge(answer: &Answer, username: &str, now: Timestamp) -> Verdict {
    let json = answer.json();
    if (200..300).contains(&answer.status) {
        // An id proves it, even beside an `errors` array; success without an id proves nothing.
        return match json["data"]["id"].as_str().filter(|id| super::is_id(id)) {
            Some(id) => Verdict::Applied(live(id, username, false)),
            None => Verdict::Ambiguous { message: format!("X answered {} without an id", answer.status) },
        };
    }
    if answer.status == 403 && says(&json, "detail", "duplicate content") {
        return Verdict::Duplicate { message: words(&json, answer.status), original: None };
    }
    match REFUSALS.iter().find(|row| row.status == answer.status && matches(&json, row.code)) {
        // "Your media IDs are invalid.": ended, or never finished. Nothing is wrong with the files.
        Some(_)
            if answer.status == 400 && words(&json, answer.status).to_lowercase().contains("media id") =>
        {
            Verdict::Refused(of_class(FailureClass::MediaGone, &json, answer, now))
        }
        Some(row) => Verdict::Refused(of_class(row.class, &json, answer, now)),
        None => Verdict::Ambiguous { message: words(&json, answer.status) },
    }
}

/// The facts of a live post.
pub fn live(id: &str, username: &str, verified: bool) -> Live {
    Live {
        remote_id: Some(id.to_owned()),
        permalink: Some(format!("https://x.com/{username}/status/{id}")),
        extra: BTreeMap::new(),
        verified,
    }
}

/// The class of an answer to a call that is safe to repeat: what is not listed is transient.
pub fn failure(answer: &Answer, now: Timestamp) -> Failure {
    let json = answer.json();
    let class = REFUSALS
        .iter()
        .find(|row| row.status == answer.status && matches(&json, row.code))
        .map(|row| row.class)
        .or(match answer.status {
            401 => Some(FailureClass::AuthExpired),
            402 => Some(FailureClass::Billing),
            403 => Some(FailureClass::Permission),
            429 => Some(FailureClass::RateLimited),
            400..=499 => Some(FailureClass::InvalidContent),
            _ => None,
        })
        .unwrap_or(FailureClass::Transient);
    of_class(class, &json, answer, now)
}

fn of_class(class: FailureClass, json: &Value, answer: &Answer, now: Timestamp) -> Failure {
    let hint = match class {
        FailureClass::Billing => Some("buy credits at console.x.com; sending goes on by itself after that"),
        FailureClass::Config => {
            Some("check the app at console.x.com: product, permissions, user authentication")
        }
        FailureClass::Permission => Some(
            "the app needs `Read and write`; change it at console.x.com, then `sendoff account connect x`",
        ),
        FailureClass::AppLimited => Some(
            "the cap of the app's product at X is reached: see the usage at console.x.com, where it can be raised",
        ),
        FailureClass::InvalidContent => Some("change the text and post it again"),
        FailureClass::Policy => Some(
            "X does not allow this reply or quote (quotes need an Enterprise plan); post it by hand or leave it",
        ),
        _ => None,
    };
    Failure {
        class,
        message: words(json, answer.status),
        hint: hint.map(str::to_owned),
        until: match class {
            FailureClass::RateLimited => reset(answer, now),
            FailureClass::AppLimited => reset(answer, now).or_else(|| now.checked_add(CAPPED).ok()),
            _ => None,
        },
    }
}

/// The cap of a product lasts until its next cycle, whose begin X does not tell; it may be raised any time.
const CAPPED: SignedDuration = SignedDuration::from_hours(6);

/// The latest reset among the limit groups that are used up (X sends no Retry-After, but it is
/// honoured). Three groups: the window, the app's day, the user's day.
fn reset(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    let number = |name: &str| number(answer, name);
    let spent = GROUPS
        .iter()
        .filter(|it| number(&format!("{it}-remaining")) == Some(0))
        .filter_map(|it| number(&format!("{it}-reset")))
        .filter_map(|seconds| Timestamp::from_second(seconds).ok())
        .max()
        .map(|at| answer.by_ours(at, now));
    let retry = number("retry-after")
        .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds.clamp(0, 86_400))).ok());
    spent.max(retry)
}

/// How much of each limit group the answer says is used (docs.x.com/x-api/fundamentals/rate-limits).
pub fn quotas(answer: &Answer, now: Timestamp) -> Vec<Quota> {
    let quota = |group: &&str| {
        let limit = number(answer, &format!("{group}-limit")).filter(|it| *it > 0)?;
        let left = number(answer, &format!("{group}-remaining"))?.clamp(0, limit);
        let resets = Timestamp::from_second(number(answer, &format!("{group}-reset"))?).ok()?;
        let resets = answer.by_ours(resets, now);
        #[allow(clippy::cast_precision_loss)] // limits are small numbers
        let used = 1.0 - left as f64 / limit as f64;
        Some(Quota { app: group.contains("app"), used, left: u32::try_from(left).ok(), resets })
    };
    GROUPS.iter().filter_map(quota).collect()
}

/// The limit groups of X: the endpoint's window, the app's day, the user's day.
const GROUPS: [&str; 3] = ["x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour"];

fn number(answer: &Answer, name: &str) -> Option<i64> {
    answer.header(name).and_then(|it| it.trim().parse().ok())
}

/// The first problem says that there is no such object.
pub fn is_missing(json: &Value) -> bool {
    let kind = json["errors"][0]["type"].as_str().and_then(|it| it.rsplit('/').next());
    kind == Some("resource-not-found")
}

fn matches(json: &Value, code: &str) -> bool {
    if let Some(words) = code.strip_prefix("title:") {
        return says(json, "title", words);
    }
    if let Some(words) = code.strip_prefix("detail:") {
        return says(json, "detail", words);
    }
    if let Some(number) = code.strip_prefix("code:") {
        return json["errors"][0]["code"].as_i64().is_some_and(|it| it.to_string() == number);
    }
    json["type"].as_str().and_then(|it| it.rsplit('/').next()) == Some(code)
}

fn says(json: &Value, field: &str, words: &str) -> bool {
    json[field].as_str().is_some_and(|it| it.to_lowercase().contains(words))
}

/// X's own words, the most telling ones first.
fn words(json: &Value, status: u16) -> String {
    let first = json["errors"][0]["message"].as_str();
    let detail = json["detail"].as_str().or_else(|| json["error_description"].as_str());
    match (detail, first) {
        (Some(detail), Some(first)) if detail != first => format!("{detail} ({first})"),
        (Some(text), _) | (None, Some(text)) => text.to_owned(),
        (None, None) => match json["title"].as_str() {
            Some(title) => title.to_owned(),
            None => format!("X answered {status}"),
        },
    }
}
