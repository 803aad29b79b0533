//! What a browser brings back from the network, taken apart without trusting any of it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::AuthError;

/// No network sends more; a longer query is not one of ours.
const QUERY_MAX: usize = 8 * 1024;

/// The parameters of an authorization response (RFC 6749 §4.1.2, RFC 9207). `Debug` shows neither
/// the code nor the state.
#[derive(Clone, Default)]
pub struct CallbackParams {
    code: Option<SecretString>,
    state: Option<SecretString>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl CallbackParams {
    /// Reads a raw query string, without its `?`. A parameter given twice is refused (RFC 6749
    /// §3.1), as it would let two readers of one address see two different answers.
    pub fn from_query(query: &str) -> Result<Self, AuthError> {
        if query.len() > QUERY_MAX {
            return Err(AuthError::BadCallback("its address is too long"));
        }
        let mut params = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let fresh = match &*name {
                "code" => params.code.replace(value.into_owned().into()).is_none(),
                "state" => params.state.replace(value.into_owned().into()).is_none(),
                "iss" => params.iss.replace(value.into_owned()).is_none(),
                "error" => params.error.replace(value.into_owned()).is_none(),
                "error_description" => params.error_description.replace(value.into_owned()).is_none(),
                _ => true,
            };
            if !fresh {
                return Err(AuthError::BadCallback("a parameter is in its address twice"));
            }
        }
        if params.code.is_some() && params.error.is_some() {
            return Err(AuthError::BadCallback("it carries a code and an error at once"));
        }
        Ok(params)
    }

    /// Reads the address a person copied out of the browser. It must be the connect's own redirect
    /// address with a query behind it: an address of any other place is a slip, or a trap.
    pub fn from_address(text: &str, redirect_uri: &Url) -> Result<Self, AuthError> {
        let url = Url::parse(text.trim()).map_err(|_| {
            AuthError::BadCallback("what was pasted is not an address (copy the whole address bar)")
        })?;
        let same_place = url.scheme() == redirect_uri.scheme()
            && url.host_str() == redirect_uri.host_str()
            && url.port_or_known_default() == redirect_uri.port_or_known_default()
            && url.path() == redirect_uri.path();
        if !same_place {
            return Err(AuthError::BadCallback(
                "what was pasted is not the address this connect leads back to",
            ));
        }
        Self::from_query(url.query().unwrap_or_default())
    }

    /// The one-time state, as it came.
    pub(super) fn state(&self) -> Option<&str> {
        self.state.as_ref().map(ExposeSecret::expose_secret)
    }

    /// The authorization code, if there is one and it is not empty.
    pub(super) fn code(&self) -> Option<&SecretString> {
        self.code.as_ref().filter(|code| !code.expose_secret().is_empty())
    }

    /// The issuer identifier, as it came.
    pub(super) fn iss(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// The code; or the network's refusal, or the lack of both, as an error.
    pub(super) fn outcome(&self) -> Result<&SecretString, AuthError> {
        match self.error.as_deref() {
            Some("access_denied" | "user_cancelled_login" | "user_cancelled_authorize") => {
                Err(AuthError::Denied { said: self.error_description.as_deref().map(|it| self.clean(it)) })
            }
            Some(error) => Err(AuthError::Refused {
                by: "the network's sign-in page".into(),
                error: self.clean(error),
                said: self.error_description.as_deref().map(|it| self.clean(it)),
            }),
            None => self.code().ok_or(AuthError::BadCallback("it carries neither a code nor an error")),
        }
    }

    fn clean(&self, text: &str) -> String {
        super::wire::clean(text, &[self.state().unwrap_or_default()])
    }
}

impl fmt::Debug for CallbackParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackParams")
            .field("code", &self.code.is_some())
            .field("state", &self.state.is_some())
            .field("iss", &self.iss)
            .field("error", &self.error.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_given_twice_is_refused() {
        for query in ["code=a&code=b&state=s", "code=a&state=s&state=s", "code=a&state=s&iss=a&iss=b"] {
            let error = CallbackParams::from_query(query).unwrap_err();
            assert_eq!(error.code(), "bad_callback", "{query}");
        }
        assert!(CallbackParams::from_query("code=a&state=s&other=1&other=2").is_ok());
    }

    #[test]
    fn a_code_beside_an_error_is_refused() {
        assert!(CallbackParams::from_query("code=a&error=access_denied&state=s").is_err());
    }

    #[test]
    fn only_the_redirect_address_itself_may_be_pasted() {
        let redirect = Url::parse("http://127.0.0.1:8750/oauth/x/callback").unwrap();
        let good = " http://127.0.0.1:8750/oauth/x/callback?state=s&code=c\n";
        assert_eq!(CallbackParams::from_address(good, &redirect).unwrap().state(), Some("s"));
        for bad in [
            "",
            "code=c&state=s",
            "https://127.0.0.1:8750/oauth/x/callback?state=s&code=c",
            "http://127.0.0.1:8751/oauth/x/callback?state=s&code=c",
            "http://127.0.0.1:8750/oauth/bluesky/callback?state=s&code=c",
            "http://evil.example/oauth/x/callback?state=s&code=c",
        ] {
            assert!(CallbackParams::from_address(bad, &redirect).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_neither_code_nor_state() {
        let params = CallbackParams::from_query("code=canary-code&state=canary-state").unwrap();
        assert!(!format!("{params:?}").contains("canary"));
    }
}
