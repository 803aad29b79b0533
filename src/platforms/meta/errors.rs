//! Meta's error envelope and what its numbers mean
//! (developers.facebook.com/docs/graph-api/guides/error-handling). Texts are in the user's language,
//! so only `code` and `error_subcode` decide.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::usage;
use crate::platforms::{Answer, Failure, FailureClass, Refusal};

/// A temporary block because of too many posts in a short time is over after about this.
const TOO_FAST: SignedDuration = SignedDuration::from_mins(45);
/// Any other temporary block.
const BLOCKED: SignedDuration = SignedDuration::from_hours(6);

/// One error as the Graph API reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphError {
    pub code: i64,
    pub subcode: Option<i64>,
    /// The words for people where there are some, else the ones for developers.
    pub message: String,
    /// What Meta's support asks for.
    pub trace: Option<String>,
    /// Meta says that it passes (`is_transient`): it is then no word on the content or the account.
    pub transient: bool,
}

impl GraphError {
    /// The error in an answer's body, whatever its status; some errors come with 200.
    pub fn of(json: &Value) -> Option<Self> {
        let error = json.get("error")?.as_object()?;
        let number = |name: &str| {
            let value = error.get(name)?;
            value.as_i64().or_else(|| value.as_str()?.parse().ok())
        };
        let text = |name: &str| {
            let text = error.get(name).and_then(Value::as_str).map(str::trim);
            text.filter(|it| !it.is_empty()).map(str::to_owned)
        };
        let message = match (text("error_user_msg"), text("message")) {
            (Some(people), Some(developers)) if people != developers => format!("{people} ({developers})"),
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => "an error without words".to_owned(),
        };
        Some(Self {
            code: number("code")?,
            subcode: number("error_subcode"),
            message,
            trace: text("fbtrace_id"),
            transient: error.get("is_transient").is_some_and(|it| *it == true || *it == "true"),
        })
    }

    /// Whether it is the error a table row means: `190`, `368/1390008` (code and subcode), or a number
    /// of five digits and more, which clients have seen in either place.
    pub fn is(&self, row: &str) -> bool {
        if let Some((code, sub)) = row.split_once('/') {
            return code.parse() == Ok(self.code) && sub.parse().ok() == self.subcode;
        }
        let Ok(number) = row.parse::<i64>() else { return false };
        self.code == number || (number >= 10_000 && self.subcode == Some(number))
    }

    fn words(&self) -> String {
        let sub = self.subcode.map(|it| format!("/{it}")).unwrap_or_default();
        let trace = self.trace.as_ref().map(|it| format!(", trace {it}")).unwrap_or_default();
        format!("{} (code {}{sub}{trace})", self.message.trim_end_matches('.'), self.code)
    }
}

const fn refusal(status: u16, code: &'static str, class: FailureClass, evidence: &'static str) -> Refusal {
    Refusal { status, code, class, evidence }
}

/// The answers that prove a publishing call had no effect. Codes 1 and 2, every 5xx and whatever is
/// not here prove nothing: reels and photos were seen live behind HTTP 500 with code 2.
pub const REFUSALS: &[Refusal] = &[
    refusal(400, "190/2069032", FailureClass::WrongToken, TOKEN_FIRST),
    refusal(400, "190", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(401, "190", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(400, "102", FailureClass::AuthExpired, TOKEN_FIRST),
    refusal(400, "3", FailureClass::Permission, RIGHTS_FIRST),
    refusal(400, "10", FailureClass::Permission, RIGHTS_FIRST),
    refusal(403, "10", FailureClass::Permission, RIGHTS_FIRST),
    refusal(400, "200", FailureClass::Permission, RIGHTS_FIRST),
    refusal(403, "200", FailureClass::Permission, RIGHTS_FIRST),
    refusal(400, "1404006", FailureClass::Permission, ACCOUNT_FIRST),
    refusal(400, "1404078", FailureClass::Permission, ACCOUNT_FIRST),
    refusal(400, "1404112", FailureClass::Permission, ACCOUNT_FIRST),
    refusal(400, "4854002", FailureClass::Permission, ACCOUNT_FIRST),
    refusal(400, "4", FailureClass::AppLimited, LIMIT_FIRST),
    refusal(403, "4", FailureClass::AppLimited, LIMIT_FIRST),
    refusal(400, "17", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "32", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "341", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "613", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "80001", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "368", FailureClass::RateLimited, LIMIT_FIRST),
    refusal(400, "100", FailureClass::InvalidContent, PARAMETERS_FIRST),
    refusal(400, "105", FailureClass::InvalidContent, PARAMETERS_FIRST),
    refusal(400, "197", FailureClass::InvalidContent, PARAMETERS_FIRST),
    refusal(400, "1500", FailureClass::InvalidContent, PARAMETERS_FIRST),
];

const TOKEN_FIRST: &str = "Meta's table of error codes: the token is checked before the call is read";
const RIGHTS_FIRST: &str = "Meta's table of error codes: rights and review level are checked before the call";
const ACCOUNT_FIRST: &str =
    "seen by an open-source client: the account is stopped until a person acts, before content is looked at";
const LIMIT_FIRST: &str = "Meta's rate limiting page: while a limit holds, calls fail and have no effect";
const PARAMETERS_FIRST: &str = "Meta's table of error codes: parameters are checked before anything is made";

/// Subcodes of trouble that passes (a service is away, a link could not be looked at, an upload broke
/// off), under whichever code they come.
const PASSING: &[&str] = &["1363047", "1609010", "1609005", "1363037", "1363045", "1363030", "6000", "6001"];

fn is_passing(error: &GraphError) -> bool {
    PASSING.iter().any(|row| error.is(row))
}

/// The row of the allowlist that an answer meets.
pub fn refused(answer: &Answer, error: &GraphError) -> Option<&'static Refusal> {
    row(REFUSALS, answer, error)
}

/// The row of an allowlist that an answer meets. A code alone is no proof beside a subcode of passing
/// trouble or the word that it passes; of a limit that word says nothing new.
pub fn row(rows: &'static [Refusal], answer: &Answer, error: &GraphError) -> Option<&'static Refusal> {
    let row = rows.iter().find(|row| row.status == answer.status && error.is(row.code))?;
    let names_subcode = row.code.contains('/') || row.code.len() > 5;
    let doubtful = is_passing(error) || error.transient && !is_limit(row.class);
    (names_subcode || !doubtful).then_some(row)
}

/// The answers that say "I have this already".
pub fn is_duplicate(error: &GraphError) -> bool {
    error.is("506") || error.is("1366051")
}

/// The object is not there, or this token may not see it; Meta does not tell which.
pub fn is_missing(error: &GraphError) -> bool {
    error.is("100/33")
}

/// What a failed call that is safe to repeat means.
pub fn failure(answer: &Answer, now: Timestamp) -> Failure {
    if let Some(error) = GraphError::of(&answer.json()) {
        return of_class(class(&error, answer.status), &error, answer, now);
    }
    let class = match answer.status {
        401 => FailureClass::AuthExpired,
        403 => FailureClass::Permission,
        429 => FailureClass::RateLimited,
        // Cut off on its way, it says nothing of the post.
        400..=499 if answer.json().is_object() => FailureClass::InvalidContent,
        _ => FailureClass::Transient,
    };
    Failure {
        class,
        message: format!("Meta answered {} without an error it explains", answer.status),
        hint: hint(class),
        until: usage::regained(answer, now).filter(|_| class == FailureClass::RateLimited),
    }
}

/// The class of an error: code and subcode first, then the code, then the status.
fn class(error: &GraphError, status: u16) -> FailureClass {
    use FailureClass as C;
    let is = |rows: &[&str]| rows.iter().any(|row| error.is(row));
    if is(&["190/2069032"]) {
        return C::WrongToken;
    }
    if is(&["1/2853006", "1404006", "1404078", "1404112", "4854002"]) {
        return C::Permission;
    }
    if is(&["1346003", "1404102"]) {
        return C::Policy;
    }
    if is_passing(error) {
        return C::Transient;
    }
    if is(&[
        "1363040", "1363127", "1363128", "1363129", "1366046", "1349125", "2069019", "2061006", "1609008",
    ]) {
        return C::InvalidContent;
    }
    match error.code {
        102 | 190 => C::AuthExpired,
        3 | 10 | 200..=299 => C::Permission,
        4 => C::AppLimited,
        17 | 32 | 341 | 368 | 613 | 80_000..=80_009 | 80_014 => C::RateLimited,
        1 | 2 => C::Transient,
        _ if error.transient || status >= 500 => C::Transient,
        _ => C::InvalidContent,
    }
}

fn is_limit(class: FailureClass) -> bool {
    matches!(class, FailureClass::RateLimited | FailureClass::AppLimited)
}

/// An error as the failure of a class, with the network's words and what to do.
pub fn of_class(class: FailureClass, error: &GraphError, answer: &Answer, now: Timestamp) -> Failure {
    let until = is_limit(class).then(|| {
        let block =
            if error.is("368/1390008") { Some(TOO_FAST) } else { (error.code == 368).then_some(BLOCKED) };
        let block = block.and_then(|span| now.checked_add(span).ok());
        // Most of these limits come with no word of when they end.
        let untold =
            matches!(error.code, 4 | 17 | 32 | 613 | 80_000..=80_009 | 80_014).then_some(usage::UNTOLD);
        let untold = untold.and_then(|span| now.checked_add(span).ok());
        block.max(usage::regained(answer, now)).or(untold)
    });
    let hint = if error.is("190/459") || error.is("190/464") || error.is("1404006") || error.is("4854002") {
        Some(
            "sign in at facebook.com and finish the check it asks for, then connect the account again".into(),
        )
    } else {
        hint(class)
    };
    Failure { class, message: error.words(), hint, until: until.flatten() }
}

fn hint(class: FailureClass) -> Option<String> {
    let hint = match class {
        FailureClass::Permission => {
            "grant what is missing when you connect again, and see that your role on the Page allows it"
        }
        FailureClass::InvalidContent => "change the post and send it again",
        FailureClass::AppLimited => {
            "Meta counts the calls of all accounts of the app together: 200 an hour for each person who uses it"
        }
        FailureClass::Policy => "Meta's rules forbid it; change the post, or appeal at facebook.com",
        _ => return None,
    };
    Some(hint.to_owned())
}
