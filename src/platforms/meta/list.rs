//! Lists of the Graph API: reading a page of one, going on with the next, and settling on one hit.

use jiff::Timestamp;
use serde_json::Value;

use super::errors;
use crate::domain::delivery::Live;
use crate::platforms::{Answer, Failure, Request, Sight};

/// Where a list goes on: parameters of the address that a page gives for the next one, by cursor or by
/// time (developers.facebook.com/docs/graph-api/results). The address itself holds the token.
pub const CURSORS: [&str; 3] = ["after", "until", "__paging_token"];

/// The objects of a page of a list, and what to say of those behind it; or why it is no clean read.
pub fn list(asked: Option<Request>, answer: &Answer, now: Timestamp) -> Result<(Vec<Value>, Sight), Failure> {
    let json = answer.json();
    let Some(all) = json["data"].as_array().filter(|_| answer.status == 200 && json.get("error").is_none())
    else {
        return Err(errors::failure(answer, now));
    };
    let rest = match json["paging"]["next"].as_str() {
        None => Sight::Absent,
        Some(next) => further(asked, next).map_or_else(
            || Sight::Unclear(Failure::transient("the list goes on, and does not say where")),
            Sight::More,
        ),
    };
    Ok((all.clone(), rest))
}

fn further(asked: Option<Request>, next: &str) -> Option<Request> {
    let mut request = asked?;
    let next = url::Url::parse(next).ok()?;
    let cursors = next.query_pairs().filter(|(key, _)| CURSORS.contains(&&**key));
    let cursors: Vec<(String, String)> =
        cursors.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    if cursors.is_empty() {
        return None;
    }
    request.query.extend(cursors);
    Some(request)
}

/// One hit is it, two are for a person; with none, `rest` has the word.
pub fn one(hits: Vec<Live>, rest: Sight) -> Sight {
    let mut hits = hits.into_iter();
    match (hits.next(), hits.next()) {
        (Some(live), None) => Sight::Found(live),
        (Some(_), Some(_)) => {
            Sight::Disputed { message: "two with these words are there, and either may be this one".into() }
        }
        (None, _) => rest,
    }
}
