//! What becomes of a grant after it was given: whether its token still lives, and a Page's token anew.

use jiff::Timestamp;
use serde_json::Value;

use super::{FacebookProvider, Person, is_id, read, text_of};
use crate::auth::token::AccessToken;
use crate::auth::{AuthError, Grant, RefreshError, TokenState, Tools, wire};

/// What is asked of each Page to find the one that a token is for.
const FIELDS: &str = "id,access_token,instagram_business_account{id}";

impl FacebookProvider {
    /// What Facebook says of a token (`debug_token`). The one call of this dialect that names a token in
    /// its address: there is no other way to ask for it. The app asks in its own name.
    pub(in crate::auth) async fn inspect(
        &self,
        tools: Tools<'_>,
        token: &AccessToken,
    ) -> Result<TokenState, AuthError> {
        let app = self.app_token().ok_or_else(|| self.bad("the app's id and secret make no token"))?;
        let mut url = wire::below(&self.graph, "debug_token");
        let place = wire::place(&url);
        let request = self.signed(&mut url, &app, &[("input_token", token.expose())]);
        let answer = tools.fixed.exchange(request).await;
        let answer = answer.map_err(|error| AuthError::of(&place, error.into()))?;
        let body = read(&answer, &[token.expose(), app.expose()], tools.now)
            .map_err(|fault| AuthError::of(&place, fault))?;
        let data = &body["data"];
        let is_valid = data["is_valid"]
            .as_bool()
            .ok_or_else(|| self.bad("it does not say whether the token is valid"))?;
        // Nothing, and 0, stand for no end.
        let end = |name: &str| {
            data[name].as_i64().filter(|it| *it > 0).and_then(|it| Timestamp::from_second(it).ok())
        };
        let said = data["error"]["message"].as_str().map(|it| wire::clean(it, &[token.expose()]));
        Ok(TokenState {
            is_valid,
            expires_at: end("expires_at"),
            data_access_expires_at: end("data_access_expires_at"),
            said,
        })
    }

    /// The same grant with the Page's token fetched anew, in the name of the person: what helps where the
    /// one at hand is of another kind (190/2069032). `remote_id` is the Page's, or that of the Instagram
    /// account on it.
    pub(in crate::auth) async fn fetch_anew(
        &self,
        tools: Tools<'_>,
        grant: &Grant,
        remote_id: &str,
    ) -> Result<Grant, RefreshError> {
        let dead = |message: &str| RefreshError::Dead { message: message.to_owned() };
        let alive = |it: &&Person| it.expires_at.is_none_or(|end| tools.now < end);
        let Some(person) = grant.person.as_ref().filter(alive) else {
            return Err(dead("the token of the person who connected it has ended"));
        };
        let rows =
            self.page_rows(tools, person, &grant.scopes, FIELDS).await.map_err(|error| match error {
                AuthError::Refused { ref error, .. } if matches!(error.as_str(), "190" | "102") => {
                    dead("the token of the person who connected it is no longer taken")
                }
                AuthError::Busy { until, .. } => RefreshError::Later { until },
                // Nothing is spent by it, so it is asked again.
                other => RefreshError::NotSent { message: other.to_string() },
            })?;
        let is_it =
            |row: &&Value| row["id"] == remote_id || row["instagram_business_account"]["id"] == remote_id;
        let token = rows.iter().find(is_it).filter(|it| it["id"].as_str().is_some_and(is_id));
        let token = token.and_then(|it| text_of(&it["access_token"])).and_then(AccessToken::new);
        let access = token.ok_or_else(|| dead("the Page is no longer among those of the person"))?;
        if access.expose() == grant.access.expose() {
            return Err(dead("Facebook has no other token for this Page"));
        }
        Ok(Grant { access, issued_at: tools.now, ..grant.clone() })
    }
}
