//! LinkedIn's errors and what they mean
//! (learn.microsoft.com/linkedin/shared/api-guide/concepts/error-handling, …/shares/posts-api).
//!
//! The shape is `{"status","code","serviceErrorCode","message","errorDetails"}`, and any part of it may be
//! missing. A row of the allowlist is a `code`, a number of `serviceErrorCode`, words of `message`, or the
//! `status` in an answer that has words.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::domain::account::Account;
use crate::platforms::{Answer, Failure, FailureClass, Refusal};

const fn refusal(status: u16, code: &'static str, class: FailureClass, evidence: &'static str) -> Refusal {
    Refusal { status, code, class, evidence }
}

/// The answers that prove a create call had no effect.
pub const REFUSALS: &[Refusal] = &[
    refusal(401, "EXPIRED_ACCESS_TOKEN", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(401, "REVOKED_ACCESS_TOKEN", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(401, "65600", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(401, "65601", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(403, "ACCESS_DENIED", FailureClass::Permission, RIGHTS_FIRST),
    refusal(403, "message:not enough permissions", FailureClass::Permission, RIGHTS_FIRST),
    refusal(400, "VERSION_MISSING", FailureClass::Config, VERSION_FIRST),
    refusal(426, "NONEXISTENT_VERSION", FailureClass::Config, VERSION_FIRST),
    refusal(429, "message:throttle", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "MISSING_FIELD", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "INVALID_VALUE_FOR_FIELD", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "INVALID_VALUE_BLANK_FIELD", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "FIELD_LENGTH_TOO_LONG", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "INVALID_URN_ID", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "INVALID_URN_TYPE", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "INVALID_VIDEO_ID", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(422, "message:unrecognized field", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(422, "status:422", FailureClass::InvalidContent, FIELDS_FIRST),
    refusal(400, "MEDIA_ASSET_WAITING_UPLOAD", FailureClass::NotReady, MEDIA_FIRST),
    refusal(400, "MEDIA_ASSET_PROCESSING", FailureClass::NotReady, MEDIA_FIRST),
    refusal(400, "MEDIA_ASSET_PROCESSING_FAILED", FailureClass::InvalidContent, MEDIA_FIRST),
];

const TOKEN_FIRST: &str = "linkedin-response-examples.json, `userinfo`: the token is checked before the call";
const RIGHTS_FIRST: &str =
    "linkedin-response-examples.json, `permission`: rights are checked before the call";
const VERSION_FIRST: &str =
    "linkedin-response-examples.json, `version_sunset`: a version that is not served carries nothing out";
const LIMIT_FIRST: &str =
    "LinkedIn's page on rate limits: while a limit holds, calls fail and have no effect";
const FIELDS_FIRST: &str =
    "LinkedIn's Posts API, table of errors: the fields are checked before a post is made";
const MEDIA_FIRST: &str =
    "LinkedIn's Posts API, table of errors: no post is made of a file that is not there";

/// For so long after it was issued a good token may be called revoked
/// (github.com/jclusso/omniauth-linkedin-openid/issues/6).
const FRESH: SignedDuration = SignedDuration::from_mins(1);

/// The row of the allowlist that an answer meets.
pub(super) fn refused(answer: &Answer, json: &Value) -> Option<&'static Refusal> {
    REFUSALS.iter().find(|row| row.status == answer.status && meets(json, row.code))
}

fn meets(json: &Value, row: &str) -> bool {
    if let Some(words) = row.strip_prefix("message:") {
        return json["message"].as_str().is_some_and(|it| it.to_lowercase().contains(words));
    }
    if let Some(status) = row.strip_prefix("status:") {
        // In its own words: what speaks of a double is looked into, however it is put.
        let message = json["message"].as_str().map(str::to_lowercase);
        let double = message.is_none_or(|it| it.contains("duplicate"));
        return !double && json["status"].as_u64() == status.parse().ok();
    }
    match row.parse::<i64>() {
        Ok(number) => json["serviceErrorCode"].as_i64() == Some(number),
        Err(_) => json["code"] == row,
    }
}

/// An error as the failure of a class, with the network's words and what to do. `issued`: when the token
/// was, if that is known.
pub(super) fn of_class(
    class: FailureClass,
    json: &Value,
    answer: &Answer,
    issued: Option<Timestamp>,
    now: Timestamp,
) -> Failure {
    let young = issued.is_some_and(|at| now.duration_since(at) < FRESH);
    let class = if class == FailureClass::AuthExpired && young { FailureClass::Transient } else { class };
    Failure { class, message: words(json, answer), hint: hint(class).map(str::to_owned), until: None }
}

/// What a failed call that is safe to repeat means.
pub(super) fn failure(answer: &Answer, account: &Account, now: Timestamp) -> Failure {
    let json = answer.json();
    let class = refused(answer, &json).map_or(
        match answer.status {
            401 => FailureClass::AuthExpired,
            403 => FailureClass::Permission,
            426 => FailureClass::Config,
            429 => FailureClass::RateLimited,
            400 | 404 | 422 => FailureClass::InvalidContent,
            _ => FailureClass::Transient,
        },
        |row| row.class,
    );
    of_class(class, &json, answer, account.issued_at, now)
}

/// Whether the network has these words already (github.com/Arisamiga/Linkedin-RSS/issues/5).
pub(super) fn is_duplicate(answer: &Answer, json: &Value) -> bool {
    let says = || json["message"].as_str().is_some_and(|it| it.contains("is a duplicate of"));
    answer.status == 422 && (json["code"] == "DUPLICATE_POST" || says())
}

/// The object of which it then says that this would be a duplicate.
pub(super) fn duplicate_of(json: &Value) -> Option<String> {
    let mut words =
        json["message"].as_str()?.split_whitespace().map(|it| it.trim_end_matches(['.', ',', '"', ')']));
    words.find(|it| super::is_post(it)).map(str::to_owned)
}

/// LinkedIn's own words, with what its support asks for.
pub(super) fn words(json: &Value, answer: &Answer) -> String {
    let code = json["code"].as_str().map(|it| format!("{it}: ")).unwrap_or_default();
    let details = json["errorDetails"]["inputErrors"].as_array().into_iter().flatten();
    let details: Vec<_> = details.filter_map(|it| it["description"].as_str()).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
    match json["message"].as_str() {
        Some(message) => format!("{code}{message}{details}"),
        None => format!("LinkedIn answered {}", answer.status),
    }
}

fn hint(class: FailureClass) -> Option<&'static str> {
    Some(match class {
        FailureClass::Permission => {
            "see that the app still has its product, and you your role on the page; then connect the account \
             again"
        }
        FailureClass::Config => {
            "set `linkedin_version` in [platforms.linkedin] to a version that LinkedIn serves, and reload"
        }
        FailureClass::InvalidContent => "change the post and send it again",
        FailureClass::RateLimited => "LinkedIn counts calls from midnight to midnight UTC",
        _ => return None,
    })
}
