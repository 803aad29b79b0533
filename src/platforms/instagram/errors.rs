//! What Instagram's own error numbers mean, beside those that all of Meta's networks share
//! (developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/error-codes).
//!
//! The same subcodes stand in answers and, as text, in the `status` of a container that failed.

use jiff::{SignedDuration, Timestamp};

use crate::platforms::meta::errors::{self as shared, GraphError};
use crate::platforms::{Answer, Failure, FailureClass, Refusal};

const fn refusal(code: &'static str, class: FailureClass, evidence: &'static str) -> Refusal {
    Refusal { status: 400, code, class, evidence }
}

/// The answers that prove that `media_publish`, or a comment, had no effect. Whatever says that the
/// container is unknown is not among them: a container that has published may be answered like that.
pub const REFUSALS: &[Refusal] = &[
    refusal("190", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal("102", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal("10", FailureClass::Permission, RIGHTS_FIRST),
    refusal("200", FailureClass::Permission, RIGHTS_FIRST),
    refusal("25/2207050", FailureClass::Permission, ACCOUNT_FIRST),
    refusal("4", FailureClass::AppLimited, LIMIT_FIRST),
    refusal("17", FailureClass::RateLimited, LIMIT_FIRST),
    refusal("32", FailureClass::RateLimited, LIMIT_FIRST),
    refusal("613", FailureClass::RateLimited, LIMIT_FIRST),
    refusal("80002", FailureClass::RateLimited, LIMIT_FIRST),
    refusal("9/2207042", FailureClass::RateLimited, QUOTA_FIRST),
    refusal("9007/2207027", FailureClass::NotReady, STATE_FIRST),
];

/// Those beside them that prove it of a comment: nothing else was made before that could be meant.
const OF_COMMENTS: &[Refusal] = &[refusal("100", FailureClass::InvalidContent, PARAMETERS_FIRST)];

const PARAMETERS_FIRST: &str = "Meta's table of error codes: a bad parameter, or an object that is not there";
const TOKEN_FIRST: &str = "Meta's table of error codes: the token is checked before the call is read";
const RIGHTS_FIRST: &str = "Meta's table of error codes: rights and review level are checked before the call";
const ACCOUNT_FIRST: &str =
    "Instagram's table of error codes: the account is stopped until a person acts in the app";
const LIMIT_FIRST: &str = "Meta's rate limiting page: while a limit holds, calls fail and have no effect";
const QUOTA_FIRST: &str = "Instagram's table of error codes: the limit of posts is checked before publishing";
const STATE_FIRST: &str =
    "Instagram's table of error codes: the container is not ready, so there is nothing to publish yet";

/// "This action is blocked" was answered for posts that were live
/// (github.com/gitroomhq/postiz-app/pull/1681), so whatever its code says, it proves nothing.
const BLOCKED: &str = "2207051";
/// A block whose end Instagram does not tell is believed for a day.
const BLOCK: SignedDuration = SignedDuration::from_hours(24);

/// Whether it is a block of the account's actions, until when it is believed, and what to do.
pub(super) fn blocked(error: &GraphError, answer: &Answer, now: Timestamp) -> Option<Failure> {
    let is = error.is(BLOCKED) && (400..500).contains(&answer.status);
    is.then(|| of_class(FailureClass::RateLimited, error, answer, now))
}

/// The row of the allowlist that an answer meets.
pub(super) fn refused(answer: &Answer, error: &GraphError) -> Option<&'static Refusal> {
    (!error.is(BLOCKED)).then(|| shared::row(REFUSALS, answer, error)).flatten()
}

/// As [`refused`], of a comment.
pub(super) fn comment_refused(answer: &Answer, error: &GraphError) -> Option<&'static Refusal> {
    refused(answer, error).or_else(|| shared::row(OF_COMMENTS, answer, error))
}

/// Instagram could not fetch a file.
const UNFETCHED: &[&str] = &["2207052", "2207003"];

/// A container that is of no use any more, through no fault of what is in it: a new one may do.
const ANEW: &[&str] =
    &["2207003", "2207020", "2207032", "2207053", "2207006", "2207008", "2207052", "2207077", "2207082"];

const CONTENT: &[&str] = &[
    "2207004", "2207005", "2207009", "2207010", "2207023", "2207026", "2207028", "2207035", "2207036",
    "2207037", "2207040", "2207057", "2207073", "2207081",
];

fn own_class(error: &GraphError) -> Option<FailureClass> {
    let is = |rows: &[&str]| rows.iter().any(|row| error.is(row));
    if is(ANEW) {
        Some(FailureClass::MediaGone)
    } else if is(CONTENT) {
        Some(FailureClass::InvalidContent)
    } else if is(&["2207001", "2207085"]) {
        Some(FailureClass::Transient)
    } else if is(&["2207027"]) {
        Some(FailureClass::NotReady)
    } else if is(&["2207042", BLOCKED]) {
        Some(FailureClass::RateLimited)
    } else if is(&["2207050"]) {
        Some(FailureClass::Permission)
    } else {
        None
    }
}

/// An error as the failure of a class, with the network's words and what to do.
pub(super) fn of_class(class: FailureClass, error: &GraphError, answer: &Answer, now: Timestamp) -> Failure {
    let failure = shared::of_class(class, error, answer, now);
    let hint = if UNFETCHED.iter().any(|row| error.is(row)) {
        Some(
            "Instagram could not fetch the file: `server.public_url` must be reachable from the internet \
             by https, without a login or a filter against robots before it",
        )
    } else if error.is("2207050") {
        Some("open the Instagram app and do what it asks for, then connect the account again")
    } else if error.is(BLOCKED) {
        Some("Instagram takes the account's activity for spam: nothing is sent for it for a day")
    } else {
        None
    };
    let block = error.is(BLOCKED).then(|| now.saturating_add(BLOCK).unwrap_or(now));
    Failure { hint: hint.map(str::to_owned).or(failure.hint), until: block.max(failure.until), ..failure }
}

/// What a failed call that is safe to repeat means.
pub(super) fn failure(answer: &Answer, now: Timestamp) -> Failure {
    let error = GraphError::of(&answer.json());
    match error.as_ref().and_then(|error| Some((own_class(error)?, error))) {
        Some((class, error)) => of_class(class, error, answer, now),
        None => shared::failure(answer, now),
    }
}

/// Why a container failed, from its `status`: a sentence with the subcode in it.
pub(super) fn of_status(status: &str, answer: &Answer, now: Timestamp) -> Failure {
    let subcode = status
        .split(|c: char| !c.is_ascii_digit())
        .find(|it| it.len() == 7 && it.starts_with("2207"))
        .and_then(|it| it.parse().ok());
    let words = if status.is_empty() { "no reason given" } else { status };
    let message = format!("Instagram could not make the post: {words}");
    let error = GraphError { code: 0, subcode, message: message.clone(), trace: None, transient: false };
    // Without a number it may be anything; a new container shows.
    let class = own_class(&error).unwrap_or(FailureClass::MediaGone);
    Failure { message, ..of_class(class, &error, answer, now) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(code: i64, sub: i64) -> Answer {
        let body = json!({ "error": { "code": code, "error_subcode": sub, "message": "m" } });
        Answer { status: 400, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_subcode_decides_before_its_code() {
        use FailureClass as C;
        for (code, sub, class) in [
            (-2, 2_207_003, C::MediaGone),
            (-1, 2_207_001, C::Transient),
            (1, 2_207_057, C::InvalidContent),
            (4, 2_207_051, C::RateLimited),
            (9, 2_207_042, C::RateLimited),
            (24, 2_207_008, C::MediaGone),
            (25, 2_207_050, C::Permission),
            (352, 2_207_026, C::InvalidContent),
            (9004, 2_207_052, C::MediaGone),
            (9007, 2_207_027, C::NotReady),
            (190, 0, C::AuthExpired),
            (2, 0, C::Transient),
            (80_002, 0, C::RateLimited),
        ] {
            assert_eq!(failure(&answer(code, sub), now()).class, class, "{code}/{sub}");
        }
        assert!(failure(&answer(9004, 2_207_052), now()).hint.unwrap().contains("public_url"));
    }

    #[test]
    fn an_action_called_blocked_is_no_refusal_whatever_its_code() {
        let said = answer(4, 2_207_051);
        assert_eq!(refused(&said, &GraphError::of(&said.json()).unwrap()), None);
        let limit = answer(4, 0);
        assert!(refused(&limit, &GraphError::of(&limit.json()).unwrap()).is_some());
    }

    #[test]
    fn the_reason_of_a_failed_container_is_read_from_its_sentence() {
        let class = |status: &str| of_status(status, &answer(0, 0), now()).class;
        let words = "Error: Media upload has failed with error code 2207026";
        assert_eq!(class(words), FailureClass::InvalidContent);
        assert_eq!(class("Error: 2207053 (unknown)"), FailureClass::MediaGone);
        assert_eq!(class("Error 12207026"), FailureClass::MediaGone, "another number is not that one");
        assert!(of_status(words, &answer(0, 0), now()).message.contains("2207026"));
    }
}
