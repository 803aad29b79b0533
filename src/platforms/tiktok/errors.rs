//! What TikTok's error words mean (developers.tiktok.com, the error tables of Content Posting).
//!
//! The status says little: every answer has `error.code`, and success is the word `ok`.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::platforms::{Answer, Failure, FailureClass, Refusal};

const fn refusal(status: u16, code: &'static str, class: FailureClass, evidence: &'static str) -> Refusal {
    Refusal { status, code, class, evidence }
}

/// The answers that prove that `content/init` had no effect. The last piece of a film has none: an
/// address that is "gone" may be gone because everything arrived.
pub const REFUSALS: &[Refusal] = &[
    refusal(401, "access_token_invalid", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(401, "scope_not_authorized", FailureClass::Permission, TOKEN_FIRST),
    refusal(401, "scope_permission_missed", FailureClass::Permission, TOKEN_FIRST),
    refusal(400, "invalid_param", FailureClass::InvalidContent, PARAMS_FIRST),
    refusal(400, "invalid_params", FailureClass::InvalidContent, PARAMS_FIRST),
    refusal(400, "invalid_request", FailureClass::InvalidContent, PARAMS_FIRST),
    refusal(400, "invalid_file_upload", FailureClass::InvalidContent, PARAMS_FIRST),
    refusal(403, "privacy_level_option_mismatch", FailureClass::InvalidContent, RULES_FIRST),
    refusal(403, "url_ownership_unverified", FailureClass::InvalidContent, RULES_FIRST),
    refusal(403, "unaudited_client_can_only_post_to_private_accounts", FailureClass::Policy, RULES_FIRST),
    refusal(403, "spam_risk_too_many_posts", FailureClass::RateLimited, CAP_FIRST),
    refusal(403, "spam_risk_too_many_pending_share", FailureClass::Full, CAP_FIRST),
    refusal(403, "reached_active_user_cap", FailureClass::RateLimited, CAP_FIRST),
    refusal(403, "spam_risk_user_banned_from_posting", FailureClass::Policy, CAP_FIRST),
    // Documented with both: what is refused with 200 says so by its word alone.
    refusal(200, "spam_risk_too_many_posts", FailureClass::RateLimited, CAP_FIRST),
    refusal(200, "spam_risk_too_many_pending_share", FailureClass::Full, CAP_FIRST),
    refusal(200, "reached_active_user_cap", FailureClass::RateLimited, CAP_FIRST),
    refusal(200, "spam_risk_user_banned_from_posting", FailureClass::Policy, CAP_FIRST),
    refusal(403, "app_version_check_failed", FailureClass::Policy, RULES_FIRST),
    refusal(429, "rate_limit_exceeded", FailureClass::RateLimited, LIMIT_FIRST),
];

const TOKEN_FIRST: &str =
    "TikTok's table of error codes: token and scopes are checked before the call is read";
const PARAMS_FIRST: &str = "the reference of photo posts: parameters are checked before a task is made";
const RULES_FIRST: &str = "the reference of photo posts: listed among the reasons why no task is made";
const CAP_FIRST: &str = "TikTok's sharing guidelines: past a cap of 24 hours no task is made";
const LIMIT_FIRST: &str = "TikTok's page on rate limits: a call past the limit is not carried out";

/// Limits of calls are counted over a sliding minute, and no header says when it ends.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
/// Caps are counted over a sliding day: a place may become free any time, and asking costs one call.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The `error` of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: String,
    message: String,
    log_id: String,
}

impl Said {
    /// None: the answer is not of TikTok's making.
    pub(super) fn of(json: &Value) -> Option<Self> {
        let error = &json["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let code = error["code"].as_str()?.to_owned();
        Some(Self { code, message: text("message"), log_id: text("log_id") })
    }

    pub(super) fn is_ok(&self) -> bool {
        self.code == "ok"
    }

    /// In its own words, with the number that its support asks for.
    fn words(&self) -> String {
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        let log = if self.log_id.is_empty() { String::new() } else { format!(" (log {})", self.log_id) };
        format!("TikTok answered `{}`{message}{log}", self.code)
    }
}

/// The data of a success.
pub(super) fn data(answer: &Answer) -> Option<Value> {
    let mut json = answer.json();
    let ok = answer.status == 200 && Said::of(&json).is_some_and(|it| it.is_ok());
    ok.then(|| json["data"].take())
}

/// The row of the allowlist that an answer meets. One that names a task is never a refusal.
pub(super) fn refused(answer: &Answer, said: &Said) -> Option<&'static Refusal> {
    if answer.json()["data"]["publish_id"].is_string() {
        return None;
    }
    REFUSALS.iter().find(|row| row.status == answer.status && row.code == said.code)
}

/// The class of a word, where it is known.
fn class_of(code: &str) -> Option<FailureClass> {
    Some(match code {
        "invalid_publish_id" => FailureClass::InvalidContent,
        "spam_risk" | "spam_risk_text" => FailureClass::Policy,
        "internal_error" | "internal" => FailureClass::Transient,
        _ => REFUSALS.iter().find(|row| row.code == code)?.class,
    })
}

/// What a failed call that is safe to repeat means.
pub(super) fn failure(answer: &Answer, now: Timestamp) -> Failure {
    let said = Said::of(&answer.json()).filter(|it| !it.is_ok());
    let Some(said) = said else {
        let message = format!("TikTok answered {} and nothing that can be read", answer.status);
        let class = match answer.status {
            401 => FailureClass::AuthExpired,
            429 => FailureClass::RateLimited,
            _ => FailureClass::Transient,
        };
        return with_time(Failure { class, ..Failure::transient(message) }, "", now);
    };
    of_class(class_of(&said.code).unwrap_or(FailureClass::Transient), &said, now)
}

/// An error as the failure of a class, with the network's words and what to do.
pub(super) fn of_class(class: FailureClass, said: &Said, now: Timestamp) -> Failure {
    let failure = Failure { class, message: said.words(), hint: hint(&said.code), until: None };
    with_time(failure, &said.code, now)
}

fn with_time(failure: Failure, code: &str, now: Timestamp) -> Failure {
    let wait = match code {
        "spam_risk_too_many_posts" | "spam_risk_too_many_pending_share" | "reached_active_user_cap" => HOUR,
        _ => MINUTE,
    };
    let waits = matches!(failure.class, FailureClass::RateLimited | FailureClass::Full);
    let until = waits.then(|| now.saturating_add(wait).unwrap_or(now));
    Failure { until, ..failure }
}

/// What a person can do.
pub(super) fn hint(code: &str) -> Option<String> {
    let text = match code {
        "scope_not_authorized" | "scope_permission_missed" => {
            "connect the account again and allow everything that is asked for; if TikTok does not ask for \
             it, the app lacks the product (Content Posting API, Direct Post) or its review"
        }
        "privacy_level_option_mismatch" => {
            "choose one of the audiences that the account offers now: `sendoff post edit`"
        }
        "url_ownership_unverified" => {
            "verify the address of `server.public_url` under `URL properties` in TikTok's developer portal \
             (docs/platforms/tiktok.md), then `sendoff post retry`"
        }
        "unaudited_client_can_only_post_to_private_accounts" => {
            "TikTok has not audited this app: set the account to private in TikTok's app and use \
             `privacy=SELF_ONLY`, or send the post to the inbox with `mode=inbox`"
        }
        "reached_active_user_cap" => {
            "the app has posted for as many accounts as TikTok allows it in a day (5 before its audit); it \
             is tried again every hour"
        }
        "spam_risk_too_many_posts" => {
            "the account has posted as often as TikTok allows in 24 hours, by all apps together; it is \
             tried again every hour"
        }
        "spam_risk_too_many_pending_share" => {
            "five posts wait in the creator's inbox: finish or discard some in TikTok's app; it is tried \
             again every hour, and direct posts of the account go on"
        }
        "spam_risk_user_banned_from_posting" => {
            "TikTok has stopped the account from posting: open TikTok's app and see what it says there"
        }
        "app_version_check_failed" => "the creator must update TikTok's app, then `sendoff post retry`",
        "spam_risk_text" => "change the words: `sendoff post edit`",
        "spam_risk" => "see TikTok's community guidelines; the same again would be refused again",
        _ => return None,
    };
    Some(text.to_owned())
}
