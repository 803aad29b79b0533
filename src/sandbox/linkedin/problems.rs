//! LinkedIn's documented errors on order, for faults: each as `linkedin-response-examples.json` and the
//! documents of errors (learn.microsoft.com/linkedin/shared/api-guide/concepts/error-handling) show it.
//! Nothing happens.

use serde_json::json;

use super::{error, error_of};
use crate::sandbox::wire::{Answer, Call};

/// The names under which a fault orders them, beside those that LinkedIn has as faults of their own.
pub(in crate::sandbox) const NAMES: &[&str] = &[
    "revoked",
    "expired",
    "invalid_token",
    "empty_token",
    "version_missing",
    "too_long",
    "missing_field",
    "waiting_upload",
    "unknown_field",
    "duplicate",
    "conflict",
    "server_error",
];

/// Numbers that go with a code.
const SERVICE: &[(&str, i64)] =
    &[("ACCESS_DENIED", 100), ("REVOKED_ACCESS_TOKEN", 65_601), ("EXPIRED_ACCESS_TOKEN", 65_602)];

/// An error with this code, or, where it is a number, with that `serviceErrorCode` alone.
pub(in crate::sandbox) fn coded(status: u16, code: &str, message: &str) -> Answer {
    if let Ok(number) = code.parse() {
        return error_of(status, number, message);
    }
    let service = SERVICE.iter().find(|it| it.0 == code).map_or(0, |it| it.1);
    error(status, code, service, message)
}

/// One that names a field of the call.
fn input(code: &str, field: &str, description: &str) -> Answer {
    let body = json!({
        "status": 400,
        "code": code,
        "message": description,
        "errorDetailType": "com.linkedin.common.error.BadRequest",
        "errorDetails": { "inputErrors": [
            { "code": code, "description": description, "input": { "inputPath": { "fieldPath": field } } },
        ] },
    });
    Answer::json(400, &body)
}

/// The error of that name. What is none is a 500.
pub(in crate::sandbox) fn named(name: &str, call: &Call) -> Answer {
    let plain =
        |status: u16, message: &str| Answer::json(status, &json!({ "status": status, "message": message }));
    match name {
        "revoked" => {
            coded(401, "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user")
        }
        "expired" => coded(401, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired"),
        "invalid_token" => coded(401, "65600", "Invalid access token"),
        "empty_token" => coded(401, "65600", "Empty oauth2 access token"),
        "version_missing" => coded(400, "VERSION_MISSING", "A version must be present"),
        "too_long" => input("FIELD_LENGTH_TOO_LONG", "/commentary", "field length is too long"),
        "missing_field" => input("MISSING_FIELD", "/author", "field is required but not found"),
        "waiting_upload" => coded(400, "MEDIA_ASSET_WAITING_UPLOAD", "Media asset is waiting for its upload"),
        "unknown_field" => plain(422, "ERROR :: /content/foo :: unrecognized field found but not allowed"),
        "duplicate" => plain(422, &format!("Content is a duplicate of urn:li:share:{}", share(call))),
        "conflict" => coded(409, "CONFLICT", "Conflict while the entity was written"),
        _ => plain(500, "Internal Server Error"),
    }
}

/// The number of a post of a day ago: its first bits tell when it was made.
fn share(call: &Call) -> i64 {
    (call.now.as_millisecond() - 86_400_000) << 22
}
