//! The route table: the one list from which both the router and the OpenAPI document are made.

use axum::http::Method;
use axum::routing::MethodRouter;
use futures_util::StreamExt as _;
use serde_json::{Map, Value};

use super::api::ApiError;
use super::messages as m;
use super::requests as r;
use super::server::{App, Call, answered, lines, uploaded};
use super::shape::Shape;

type Schema = fn(&mut Map<String, Value>) -> Value;

/// What goes up with a request.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    Nothing,
    /// In the address, one parameter per field.
    Query(Schema),
    /// A JSON body.
    Json(Schema),
    /// A file as the body, and parameters in the address.
    File(Schema),
}

/// What comes back.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    Json(Schema),
    /// JSON lines, as they happen.
    Lines(Schema),
    /// The OpenAPI document itself.
    Document,
}

/// One operation.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// With the leading `/v1`.
    pub(crate) path: &'static str,
    /// The operation's name in the document.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) handler: MethodRouter<App>,
}

fn query<T: Shape>() -> Input {
    Input::Query(T::schema)
}

fn body<T: Shape>() -> Input {
    Input::Json(T::schema)
}

fn json<T: Shape>() -> Output {
    Output::Json(T::schema)
}

/// The confirm token of what cannot be undone.
fn confirmed(confirm: bool, what: &str) -> Result<(), ApiError> {
    if confirm {
        Ok(())
    } else {
        Err(ApiError::bad_request("confirm_needed", format!("{what} cannot be undone and must be confirmed"))
            .hint("send `\"confirm\": true`"))
    }
}

/// A row of the table whose handler answers with one JSON document.
macro_rules! row {
    ($method:ident $path:literal $name:literal $summary:literal, $input:expr => $output:ty, $handler:expr) => {
        Route {
            method: Method::$method,
            path: $path,
            name: $name,
            summary: $summary,
            input: $input,
            output: json::<$output>(),
            handler: answered::<$output, _, _>(Method::$method, $handler),
        }
    };
}

/// Every operation, in the order of the document.
pub(crate) fn table() -> Vec<Route> {
    let mut routes = daemon();
    routes.extend(accounts());
    routes.extend(posts());
    routes.extend(queues());
    routes
}

fn daemon() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/v1/openapi.json",
            name: "openapi",
            summary: "This document",
            input: Input::Nothing,
            output: Output::Document,
            handler: axum::routing::get(|| async { axum::Json(super::openapi::document()) }),
        },
        row!(GET "/v1/status" "status" "The daemon in one look",
            Input::Nothing => m::Status, |c: Call| async move { c.api.status(c.by).await }),
        row!(GET "/v1/doctor" "doctor" "Faults of the set-up, each with what mends it",
        query::<r::Doctor>() => m::Diagnosis, |c: Call| async move {
            let ask = c.query()?;
            c.api.doctor(c.by, ask).await
        }),
        row!(POST "/v1/pause" "pause" "Stop all sending; what is on the wire is finished",
        body::<r::Pause>() => m::PauseState, |c: Call| async move {
            let ask: r::Pause = c.json()?;
            c.api.pause(c.by, ask.reason).await
        }),
        row!(POST "/v1/resume" "resume" "Send again",
            Input::Nothing => m::PauseState, |c: Call| async move { c.api.resume(c.by).await }),
        Route {
            method: Method::GET,
            path: "/v1/events",
            name: "events",
            summary: "What happens, as it happens",
            input: query::<r::Events>(),
            output: Output::Lines(m::LogEvent::schema),
            handler: lines(|c: Call| async move {
                let ask: r::Events = c.query()?;
                c.api.events(c.by, ask).await
            }),
        },
        row!(GET "/v1/calendar" "calendar" "A month: what is due, which places are free, which runs come",
        query::<r::Calendar>() => m::Calendar, |c: Call| async move {
            let ask = c.query()?;
            c.api.calendar(c.by, ask).await
        }),
        row!(GET "/v1/audit" "audit_list" "Who did what, newest first",
        query::<r::ListAudit>() => m::AuditList, |c: Call| async move {
            let ask = c.query()?;
            c.api.audit_list(c.by, ask).await
        }),
        row!(GET "/v1/networks" "network_list" "What each network takes of posts",
            Input::Nothing => m::NetworkList, |c: Call| async move { c.api.network_list(c.by).await }),
        row!(GET "/v1/receipts" "receipt_list" "Disconnects and requests for deletion, newest first",
        query::<r::ListReceipts>() => m::ReceiptList, |c: Call| async move {
            let ask = c.query()?;
            c.api.receipt_list(c.by, ask).await
        }),
        row!(POST "/v1/config/reload" "config_reload" "Read the configuration file again",
            Input::Nothing => m::Reloaded, |c: Call| async move { c.api.config_reload(c.by).await }),
        Route {
            method: Method::POST,
            path: "/v1/media",
            name: "media_upload",
            summary: "Store a media file for a post that follows",
            input: Input::File(r::Upload::schema),
            output: json::<m::Uploaded>(),
            handler: uploaded(|c: Call, file| async move {
                let ask: r::Upload = c.query()?;
                c.api.media_upload(c.by, ask.name, file).await
            }),
        },
        row!(GET "/v1/media/{id}/thumbnail" "media_thumbnail" "A picture that is kept, made small",
        Input::Nothing => m::Thumbnail, |c: Call| async move {
            c.api.media_thumbnail(c.by, c.part("id")).await
        }),
    ]
}

fn accounts() -> Vec<Route> {
    vec![
        row!(GET "/v1/accounts" "account_list" "All accounts",
            Input::Nothing => m::AccountList, |c: Call| async move { c.api.account_list(c.by).await }),
        row!(GET "/v1/accounts/{account}" "account_show" "One account",
        Input::Nothing => m::Account, |c: Call| async move {
            c.api.account_show(c.by, c.part("account")).await
        }),
        row!(POST "/v1/accounts/{account}/rename" "account_rename" "Give it another local name",
        body::<r::Rename>() => m::Account, |c: Call| async move {
            let ask: r::Rename = c.json()?;
            c.api.account_rename(c.by, c.part("account"), &ask.name).await
        }),
        row!(POST "/v1/accounts/{account}/refresh" "account_refresh" "Refresh its token now",
        Input::Nothing => m::Account, |c: Call| async move {
            c.api.account_refresh(c.by, c.part("account")).await
        }),
        row!(POST "/v1/accounts/{account}/pause" "account_pause" "Stop sending to it",
        Input::Nothing => m::Account, |c: Call| async move {
            c.api.account_pause(c.by, c.part("account")).await
        }),
        row!(POST "/v1/accounts/{account}/resume" "account_resume" "Send to it again",
        Input::Nothing => m::Account, |c: Call| async move {
            c.api.account_resume(c.by, c.part("account")).await
        }),
        row!(POST "/v1/accounts/{account}/disconnect" "account_disconnect"
        "Revoke the grant, delete the rows, destroy the data key",
        body::<r::Confirm>() => m::ReceiptAnswer, |c: Call| async move {
            confirmed(c.json::<r::Confirm>()?.confirm, "disconnecting an account")?;
            c.api.account_disconnect(c.by, c.part("account")).await
        }),
        row!(POST "/v1/erase" "erase" "Disconnect every account of one person",
        body::<r::Erase>() => m::ReceiptAnswer, |c: Call| async move {
            let ask: r::Erase = c.json()?;
            let whom = ask.platform_user.ok_or_else(|| {
                ApiError::bad_request("nobody", "it is not said whose data goes")
                    .hint("give `platform_user`: \"facebook:10220001\"")
            })?;
            confirmed(ask.confirm, "erasing")?;
            c.api.erase_platform_user(c.by, &whom).await
        }),
        row!(POST "/v1/connects" "connect_start" "Begin to connect an account",
        body::<r::Connect>() => m::ConnectStarted, |c: Call| async move {
            let ask = c.json()?;
            c.api.connect_start(c.by, ask).await
        }),
        Route {
            method: Method::GET,
            path: "/v1/connects/{id}/events",
            name: "connect_events",
            summary: "The link, what was found, what was connected",
            input: Input::Nothing,
            output: Output::Lines(m::ConnectEvent::schema),
            handler: lines(
                |c: Call| async move { Ok(c.api.connect_events(c.by, c.part("id")).await?.boxed()) },
            ),
        },
        row!(POST "/v1/connects/{id}/confirm" "connect_confirm" "Answer what was found",
        body::<r::Choice>() => m::Done, |c: Call| async move {
            let choice = c.json()?;
            c.api.connect_confirm(c.by, c.part("id"), choice).await
        }),
        row!(POST "/v1/connects/{id}/paste" "connect_paste" "Hand in the address the browser landed on",
        body::<r::Paste>() => m::Done, |c: Call| async move {
            let ask: r::Paste = c.json()?;
            c.api.connect_paste(c.by, c.part("id"), &ask.address).await
        }),
        row!(POST "/v1/connects/{id}/cancel" "connect_cancel" "End it; nothing is stored",
        Input::Nothing => m::Done, |c: Call| async move {
            c.api.connect_cancel(c.by, c.part("id")).await
        }),
    ]
}

fn posts() -> Vec<Route> {
    vec![
        row!(GET "/v1/posts" "post_list" "Posts, newest first",
        query::<r::ListPosts>() => m::PostList, |c: Call| async move {
            let ask = c.query()?;
            c.api.post_list(c.by, ask).await
        }),
        row!(POST "/v1/posts" "post_create" "Check a post and schedule it",
        body::<r::CreatePost>() => m::Post, |c: Call| async move {
            let ask: r::CreatePost = c.json()?;
            if ask.when.is_none() {
                return Err(ApiError::bad_request("no_time", "the post has no time")
                    .hint("give `when`: {\"at\": …}, {\"queue\": …}, \"now\" or \"draft\""));
            }
            c.api.post_create(c.by, ask).await
        }),
        row!(POST "/v1/posts/check" "post_check" "Show what each network would get; nothing is stored",
        body::<r::CreatePost>() => m::Check, |c: Call| async move {
            let ask = c.json()?;
            c.api.post_check(c.by, ask).await
        }),
        row!(GET "/v1/posts/{id}" "post_show" "One post (`pst_…`), or one delivery of it (`dlv_…`)",
            Input::Nothing => m::Post, |c: Call| async move { c.api.post_show(c.by, c.part("id")).await }),
        row!(PATCH "/v1/posts/{id}" "post_edit" "Change a post that has not gone out",
        body::<r::EditPost>() => m::Post, |c: Call| async move {
            let ask = c.json()?;
            c.api.post_edit(c.by, c.part("id"), ask).await
        }),
        row!(POST "/v1/posts/{id}/cancel" "post_cancel" "Do not send it (`pst_…` or `dlv_…`)",
            Input::Nothing => m::Post, |c: Call| async move { c.api.post_cancel(c.by, c.part("id")).await }),
        row!(POST "/v1/posts/{id}/retry" "post_retry" "Try what failed again (`pst_…` or `dlv_…`)",
            Input::Nothing => m::Post, |c: Call| async move { c.api.post_retry(c.by, c.part("id")).await }),
        row!(POST "/v1/posts/{id}/resolve" "post_resolve" "Settle a delivery whose fate is unknown (`dlv_…`)",
        body::<r::Resolve>() => m::Post, |c: Call| async move {
            let word = c.json()?;
            c.api.post_resolve(c.by, c.part("id"), word).await
        }),
        row!(POST "/v1/posts/{id}/reschedule" "post_reschedule" "Give it another time (`pst_…` or `dlv_…`)",
        body::<r::Reschedule>() => m::Post, |c: Call| async move {
            let ask: r::Reschedule = c.json()?;
            let to = ask.to.ok_or_else(|| {
                ApiError::bad_request("no_time", "no new time was given")
                    .hint("give `to`: {\"at\": …}, {\"queue\": …} or {\"by\": …}")
            })?;
            c.api.post_reschedule(c.by, c.part("id"), to, ask.tz).await
        }),
        row!(POST "/v1/posts/{id}/undo" "post_undo"
        "Take a cancel or a move back, within a minute (`pst_…`)",
        body::<r::Undo>() => m::Post, |c: Call| async move {
            let ask: r::Undo = c.json()?;
            c.api.post_undo(c.by, c.part("id"), &ask.ticket).await
        }),
        row!(POST "/v1/posts/{id}/delete" "post_delete" "Delete it here and, where they allow it, upstream",
        body::<r::DeletePost>() => m::ReceiptAnswer, |c: Call| async move {
            let ask: r::DeletePost = c.json()?;
            confirmed(ask.confirm, "deleting a post")?;
            c.api.post_delete(c.by, c.part("id"), ask.local_only).await
        }),
    ]
}

fn queues() -> Vec<Route> {
    vec![
        row!(GET "/v1/queues" "queue_list" "All queues",
            Input::Nothing => m::QueueList, |c: Call| async move { c.api.queue_list(c.by).await }),
        row!(GET "/v1/queues/{queue}" "queue_show" "One queue and its next places",
        query::<r::ShowQueue>() => m::Queue, |c: Call| async move {
            let ask: r::ShowQueue = c.query()?;
            c.api.queue_show(c.by, c.part("queue"), ask.next.unwrap_or(5).min(1_000)).await
        }),
        row!(POST "/v1/queues/{queue}/pause" "queue_pause" "Leave its places empty for now",
        Input::Nothing => m::Queue, |c: Call| async move {
            c.api.queue_pause(c.by, c.part("queue")).await
        }),
        row!(POST "/v1/queues/{queue}/resume" "queue_resume" "Use its places again",
        Input::Nothing => m::Queue, |c: Call| async move {
            c.api.queue_resume(c.by, c.part("queue")).await
        }),
        row!(POST "/v1/queues/{queue}/reschedule" "queue_reschedule"
        "Move every post that waits in it, all or none",
        body::<r::Shift>() => m::PostList, |c: Call| async move {
            let ask: r::Shift = c.json()?;
            c.api.queue_reschedule(c.by, c.part("queue"), &ask.by).await
        }),
    ]
}
