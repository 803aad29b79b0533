//! Accounts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::post::bad_name;
use super::{Stored, by_word};
use crate::domain::account::{Account, AccountState};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct AccountRow {
    id: String,
    name: String,
    remote_id: String,
    username: String,
    display_name: String,
    avatar_url: Option<String>,
    server: Option<String>,
    tier: Option<String>,
    state: String,
    reason: Option<String>,
    scopes: Vec<String>,
    missing_scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    grant_expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_access_ends_at: Option<Timestamp>,
    can_refresh: bool,
    connected_at: Timestamp,
    /// Not in rows from before it was kept; then the grant is asked.
    #[serde(default)]
    persons: Vec<String>,
}

const STATES: [AccountState; 3] = [AccountState::Ready, AccountState::NeedsReconnect, AccountState::Paused];

impl From<&Account> for AccountRow {
    fn from(it: &Account) -> Self {
        Self {
            id: it.id.to_string(),
            name: it.name.to_string(),
            remote_id: it.remote_id.clone(),
            username: it.username.clone(),
            display_name: it.display_name.clone(),
            avatar_url: it.avatar_url.clone(),
            server: it.server.clone(),
            tier: it.tier.clone(),
            state: it.state.as_str().to_owned(),
            reason: it.reason.clone(),
            scopes: it.scopes.clone(),
            missing_scopes: it.missing_scopes.clone(),
            expires_at: it.expires_at,
            issued_at: it.issued_at,
            grant_expires_at: it.grant_expires_at,
            data_access_ends_at: it.data_access_ends_at,
            can_refresh: it.can_refresh,
            connected_at: it.connected_at,
            persons: it.persons.clone(),
        }
    }
}

impl Stored for Account {
    type Twin = AccountRow;

    fn read(row: AccountRow) -> Result<Self, String> {
        Ok(Self {
            id: row.id.parse().map_err(bad_name)?,
            name: row.name.parse().map_err(bad_name)?,
            remote_id: row.remote_id,
            username: row.username,
            display_name: row.display_name,
            avatar_url: row.avatar_url,
            server: row.server,
            tier: row.tier,
            state: by_word(&STATES, &row.state, AccountState::as_str, "state of an account")?,
            reason: row.reason,
            scopes: row.scopes,
            missing_scopes: row.missing_scopes,
            expires_at: row.expires_at,
            issued_at: row.issued_at,
            grant_expires_at: row.grant_expires_at,
            data_access_ends_at: row.data_access_ends_at,
            can_refresh: row.can_refresh,
            connected_at: row.connected_at,
            persons: row.persons,
        })
    }
}
