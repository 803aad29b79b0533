//! Tokens: secrets with one exit each.

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Longer than any token seen; a longer one would not fit a header everywhere.
const TOKEN_MAX: usize = 8 * 1024;

/// An access token. `Debug` prints a placeholder; there is no `Display` and no `Serialize`.
#[derive(Debug, Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// Takes a token that can stand in a header; none when it is empty, too long, or holds anything
    /// but visible ASCII.
    pub fn new(text: String) -> Option<Self> {
        sound(text).map(Self)
    }

    /// The value of an `Authorization` header, marked sensitive.
    pub(super) fn header(&self, scheme: &str) -> HeaderValue {
        let mut value = HeaderValue::try_from(format!("{scheme} {}", self.0.expose_secret()))
            .expect("a token is visible ASCII, checked when it was made");
        value.set_sensitive(true);
        value
    }

    /// The token itself: for its digest, its revocation and its sealed record alone.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A refresh token. On every network we speak to it works once.
#[derive(Debug, Clone)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// As [`AccessToken::new`].
    pub fn new(text: String) -> Option<Self> {
        sound(text).map(Self)
    }

    /// The token itself: for the refresh, the revocation, the digest and the sealed record alone.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

fn sound(text: String) -> Option<SecretString> {
    let fits = !text.is_empty() && text.len() <= TOKEN_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    // The unfit text is dropped as a secret, too.
    let secret = SecretString::from(text);
    fits.then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_could_break_a_header_is_not_a_token() {
        for text in ["", "a b", "a\r\nX-Evil: 1", "é", &"a".repeat(TOKEN_MAX + 1)] {
            assert!(AccessToken::new(text.into()).is_none(), "{text:?}");
            assert!(RefreshToken::new(text.into()).is_none(), "{text:?}");
        }
        assert!(AccessToken::new("a".into()).unwrap().header("Bearer").is_sensitive());
    }
}
