//! Faults of other rooms as answers of the control socket.

use crate::auth::flows::{FlowError, Outcome};
use crate::control::api::{ApiError, ErrorKind};
use crate::domain::ids::{AccountName, BadName};
use crate::domain::schedule::LateError;
use crate::engine::ask::Refused;
use crate::keys::error::KeyError;
use crate::media::MediaError;
use crate::store::StoreError;

pub(super) fn bad_name(error: BadName) -> ApiError {
    ApiError::bad_request("bad_name", error.message)
}

pub(super) fn bad_late(error: &LateError) -> ApiError {
    ApiError::bad_request("bad_late", error.to_string()).hint("write e.g. `60m`, `always` or `exact`")
}

pub(super) fn bad_cursor(message: String) -> ApiError {
    ApiError::bad_request("bad_cursor", message).hint("take the one that the page before printed")
}

#[allow(clippy::needless_pass_by_value)] // the shape `map_err` wants
pub(super) fn store(error: StoreError) -> ApiError {
    let hint = error.hint();
    let refusal = match &error {
        StoreError::NotFound { .. } => ApiError::not_found("not_found", error.to_string()),
        StoreError::Leaving { .. } => ApiError::conflict("disconnecting", error.to_string()),
        StoreError::Conflict { .. } => ApiError::conflict("changed_meanwhile", error.to_string()),
        _ if error.is_fatal() => ApiError::new(ErrorKind::NotReady, "store_failed", error.to_string()),
        _ => ApiError::new(ErrorKind::Internal, "store", error.to_string()),
    };
    with_hint(refusal, hint)
}

/// A fault of looking up what the caller named: only that there is no such thing is the caller's.
pub(super) fn of_id(error: StoreError, id: &str) -> ApiError {
    match error {
        StoreError::NotFound { .. } => unknown_id(id),
        other => store(other),
    }
}

/// Why a file is not taken, or not to be had.
pub(super) fn media(error: &MediaError) -> ApiError {
    let kind = match error {
        MediaError::TooBig { .. } => ErrorKind::TooLarge,
        MediaError::Gone => ErrorKind::NotFound,
        MediaError::Disk(_) => ErrorKind::Internal,
        _ => ErrorKind::Refused,
    };
    with_hint(ApiError::new(kind, error.code(), error.to_string()), error.hint().map(str::to_owned))
}

pub(super) fn unknown_id(id: &str) -> ApiError {
    ApiError::not_found("unknown_id", format!("there is no `{id}`"))
        .hint("`sendoff post list` shows what there is")
}

#[allow(clippy::needless_pass_by_value)] // the shape `map_err` wants
pub(super) fn key(error: KeyError) -> ApiError {
    with_hint(ApiError::new(ErrorKind::Internal, "keyring", error.to_string()), error.hint())
}

pub(super) fn internal(error: &dyn std::error::Error) -> ApiError {
    ApiError::new(ErrorKind::Internal, "internal", error.to_string())
}

pub(super) fn flow(error: FlowError) -> ApiError {
    let refusal = match error {
        FlowError::UnknownFlow => ApiError::not_found(error.code(), error.to_string()),
        _ => ApiError::conflict(error.code(), error.to_string()),
    };
    refusal.hint(error.hint())
}

pub(super) fn outcome(outcome: &Outcome) -> ApiError {
    match outcome {
        Outcome::Failed { code, message, hint } => {
            with_hint(ApiError::new(ErrorKind::Failed, *code, message.clone()), hint.clone())
        }
        Outcome::Found { .. } | Outcome::Stored { .. } => {
            ApiError::conflict("wrong_step", "the connect went on")
        }
    }
}

pub(super) fn ask(refused: Refused) -> ApiError {
    with_hint(ApiError::conflict(refused.code, refused.message), refused.hint)
}

pub(super) fn unknown_account(name: &AccountName, known: &[String]) -> ApiError {
    let hint = if known.is_empty() {
        format!("no account is connected yet: sendoff account connect {}", name.platform())
    } else {
        format!("connected: {}", known.join(", "))
    };
    ApiError::not_found("unknown_account", format!("there is no account `{name}`")).hint(hint)
}

pub(super) fn with_hint(error: ApiError, hint: Option<String>) -> ApiError {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
