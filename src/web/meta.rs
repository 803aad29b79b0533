//! Meta's callbacks: a person removed the app, or wants their data deleted
//! (developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback).
//!
//! Read here: the address and the form. Who signed it is for the door to say.

use http::{HeaderMap, header};
use url::form_urlencoded;

use crate::domain::ids::PlatformName;

/// Fields of the form that are looked at. Meta sends one.
const FIELDS_MAX: usize = 16;

/// What a callback asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The person removed the app.
    Deauthorize,
    /// The person wants their data deleted, and an address where they can see that it is.
    DataDeletion,
}

/// What became of a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Believed and written down; the person's confirmation code, of letters and digits.
    Yes(String),
    /// Not believed, or it names nobody. Nothing was changed.
    No,
    /// It cannot be written down now. Meta may come again.
    NotNow,
}

/// How far a request for deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Under way.
    Pending,
    /// All of it is done.
    Done,
    /// Done here; something elsewhere could not be.
    Partly,
}

/// What the page behind a confirmation code says. Plain text, escaped on the page; nothing in it names
/// a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// How far it is.
    pub standing: Standing,
    /// One short line.
    pub title: String,
    /// A few sentences, a paragraph each.
    pub paragraphs: Vec<String>,
    /// Code and times, in small type.
    pub detail: String,
}

/// The app and the question of `/meta/{app}/deauthorize` and `/meta/{app}/data-deletion`.
pub(super) fn wanted(path: &str) -> Option<(PlatformName, Ask)> {
    let (app, ask) = path.strip_prefix("/meta/")?.split_once('/')?;
    let ask = match ask {
        "deauthorize" => Ask::Deauthorize,
        "data-deletion" => Ask::DataDeletion,
        _ => return None,
    };
    let app = [PlatformName::Facebook, PlatformName::Instagram, PlatformName::Threads]
        .into_iter()
        .find(|it| it.as_str() == app)?;
    Some((app, ask))
}

/// The one `signed_request` of a form. None: this is no such form, or it holds two, and which of them
/// counts is then anybody's guess.
pub(super) fn signed_request(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let mut found = None;
    for (n, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if n == FIELDS_MAX || (name == "signed_request" && found.replace(value.into_owned()).is_some()) {
            return None;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, body: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        signed_request(&headers, body.as_bytes())
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn three_apps_have_two_addresses_each_and_no_other_spelling_leads_there() {
        for app in [PlatformName::Facebook, PlatformName::Instagram, PlatformName::Threads] {
            assert_eq!(wanted(&format!("/meta/{app}/deauthorize")), Some((app, Ask::Deauthorize)));
            assert_eq!(wanted(&format!("/meta/{app}/data-deletion")), Some((app, Ask::DataDeletion)));
        }
        for path in [
            "/meta/x/deauthorize",
            "/meta/Facebook/deauthorize",
            "/meta/facebook/deauthorize/",
            "/meta/facebook/data_deletion",
            "/meta//deauthorize",
            "/meta/facebook",
            "/meta/facebook/",
            "/meta/%66acebook/deauthorize",
            "//meta/facebook/deauthorize",
        ] {
            assert_eq!(wanted(path), None, "{path}");
        }
    }

    #[test]
    fn a_form_is_read_and_anything_else_is_not() {
        assert_eq!(read(FORM, "signed_request=a.b"), Some("a.b".into()));
        let with_charset = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
        assert_eq!(read(with_charset, "x=1&signed_request=a%2Eb%3D"), Some("a.b=".into()));
        assert_eq!(read("", "signed_request=a.b"), None);
        assert_eq!(read("application/json", "signed_request=a.b"), None);
        assert_eq!(read(FORM, ""), None);
        assert_eq!(read(FORM, "signedrequest=a.b"), None);
        assert_eq!(read(FORM, "signed_request=a.b&signed_request=a.b"), None, "two are none");
        assert_eq!(read(FORM, &format!("{}signed_request=a.b", "x=1&".repeat(FIELDS_MAX))), None);
        assert_eq!(read(FORM, "signed_request=%ff%00"), Some("\u{fffd}\0".into()), "the door refuses it");
    }
}
