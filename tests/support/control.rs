//! A daemon of cardboard on a real socket, and the command line pointed at it.
//!
//! long because the daemon answers every operation of the protocol.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::pending;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sendoff::cli::args::{Demo, Globals, Sandbox};
use sendoff::cli::error::CliError;
use sendoff::cli::post::Offline;
use sendoff::cli::{Checked, Io, Printed, Rooms};
use sendoff::clock::Clock;
use sendoff::control::api::{Api, ApiError, ApiResult, Caller, ErrorKind, Upload};
use sendoff::control::messages as m;
use sendoff::control::requests as r;
use sendoff::control::server::serve;
use sendoff::control::socket::{Allowed, bind};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) const NOW: &str = "2026-11-22T08:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn account(name: &str) -> m::Account {
    let (platform, handle) = name.split_once(':').unwrap();
    m::Account {
        account: name.into(),
        platform: platform.into(),
        handle: handle.into(),
        remote_id: "4711".into(),
        username: "acme".into(),
        display_name: "Acme Bakery".into(),
        avatar_url: None,
        state: m::AccountState::Ready,
        reason: None,
        scopes: vec!["tweet.read".into(), "tweet.write".into()],
        missing_scopes: vec![],
        expires_at: Some(at("2026-11-22T10:00:00Z")),
        can_refresh: true,
        connected_at: at("2026-11-01T08:00:00Z"),
        server: None,
        tier: None,
        grant_expires_at: None,
        spending: Some(spending(None)),
        quotas: vec![],
        held_back: vec![],
    }
}

pub(crate) fn spending(platform: Option<&str>) -> m::Spending {
    m::Spending {
        platform: platform.map(str::to_owned),
        month: "2026-11".into(),
        usd: "0.235".into(),
        budget_usd: platform.map(|_| "25.00".into()),
        last_month_usd: "3.10".into(),
        calls: vec![m::SpentOn { what: "publish".into(), count: 2, usd: "0.225".into() }],
    }
}

pub(crate) fn delivery(account: &str, state: m::DeliveryState) -> m::Delivery {
    m::Delivery {
        id: "dlv_1".into(),
        post: "pst_1".into(),
        account: account.into(),
        state,
        held: false,
        due: at("2026-12-01T08:00:00Z"),
        zone: "Europe/Berlin".into(),
        attempts: 0,
        next_try: None,
        sent_at: None,
        published_at: None,
        lateness_ms: None,
        remote_id: None,
        permalink: None,
        verified: false,
        reason: None,
        steps: vec![],
        progress: None,
        why: Vec::new(),
        fetches: Vec::new(),
    }
}

pub(crate) fn post(body: &str) -> m::Post {
    m::Post {
        id: "pst_1".into(),
        status: m::PostStatus::Scheduled,
        to: vec!["x:acme".into()],
        body: body.into(),
        parts: vec![body.into()],
        comment: None,
        variants: BTreeMap::default(),
        media: vec![],
        created_at: at(NOW),
        source: m::Source::Cli,
        deliveries: vec![delivery("x:acme", m::DeliveryState::Scheduled)],
        options: BTreeMap::default(),
        version: 1,
        existing: false,
        notices: vec![],
        intended: None,
        undo: None,
        fixed: None,
    }
}

fn problem() -> m::Problem {
    m::Problem {
        account: Some("x:acme".into()),
        field: "body".into(),
        code: "too_long".into(),
        message: "the text is 281 of 280 characters long".into(),
        hint: Some("shorten it by 1".into()),
    }
}

pub(crate) fn target(ok: bool) -> m::CheckTarget {
    m::CheckTarget {
        account: "x:acme".into(),
        ok,
        length: m::Length { used: if ok { 5 } else { 281 }, max: 280, unit: "weighted characters".into() },
        comment: None,
        problems: if ok { vec![] } else { vec![problem()] },
        preview: "Hello".into(),
        files: Vec::new(),
        notices: Vec::new(),
        cost_usd: Some("0.02".into()),
        costs: vec![m::Cost { what: "post".into(), count: 1, usd: "0.015".into() }],
    }
}

/// March 2027 in Berlin, where clocks go forward on the 28th.
pub(crate) fn calendar() -> m::Calendar {
    let published =
        m::Delivery { due: at("2027-03-02T08:00:00Z"), ..delivery("x:acme", m::DeliveryState::Published) };
    let scheduled = |account: &str| m::Delivery {
        due: at("2027-03-28T07:00:00Z"),
        ..delivery(account, m::DeliveryState::Scheduled)
    };
    let slot =
        |time: &str, local: &str| m::FreeSlot { queue: "mornings".into(), at: at(time), local: local.into() };
    m::Calendar {
        month: "2027-03".into(),
        zone: "Europe/Berlin".into(),
        from: at("2027-02-28T23:00:00Z"),
        to: at("2027-03-31T22:00:00Z"),
        deliveries: vec![published, scheduled("x:acme"), scheduled("bluesky:acme")],
        slots: vec![
            slot("2027-03-28T01:30:00Z", "2027-03-28T03:30:00"),
            slot("2027-03-29T00:30:00Z", "2027-03-29T02:30:00"),
        ],
        recurring: vec![m::ComingRun {
            name: "opening-hours".into(),
            at: at("2027-03-29T06:00:00Z"),
            local: "2027-03-29T08:00:00".into(),
            accounts: vec!["bluesky:acme".into()],
        }],
        changes: vec![m::ClockChange {
            at: at("2027-03-28T01:00:00Z"),
            before: "+01".into(),
            after: "+02".into(),
        }],
        cut: false,
    }
}

/// What was asked of the daemon, in order, and the little it remembers.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) created: Mutex<Vec<r::CreatePost>>,
    pub(crate) connect: Mutex<Option<r::Connect>>,
    events: Mutex<Option<mpsc::UnboundedSender<m::ConnectEvent>>>,
    pub(crate) callers: Mutex<Vec<Caller>>,
}

impl Fake {
    fn note(&self, by: Caller, what: impl Into<String>) {
        self.callers.lock().unwrap().push(by);
        self.asked.lock().unwrap().push(what.into());
    }

    fn send(&self, event: m::ConnectEvent) {
        self.events.lock().unwrap().as_ref().unwrap().send(event).unwrap();
    }

    /// Ends the stream of a conversation.
    fn end(&self) {
        self.events.lock().unwrap().take();
    }

    fn found(id: &str, username: &str) -> m::FoundAccount {
        m::FoundAccount {
            remote_id: id.into(),
            username: username.into(),
            display_name: "Acme \u{1b}[31mBakery".into(),
            account: Some(format!("x:{username}")),
            missing_scopes: vec!["media.write".into()],
            warnings: Vec::new(),
        }
    }

    fn finish(&self, ids: &[&str]) {
        for id in ids {
            let account = m::Account { remote_id: (*id).into(), ..account("x:acme") };
            self.send(m::ConnectEvent::Connected { account });
        }
        self.end();
    }
}

fn queue(name: &str, next: u32) -> m::Queue {
    let slot = |n: u32| m::Slot {
        at: at("2026-11-23T08:00:00Z") + jiff::SignedDuration::from_hours(24 * i64::from(n)),
        local: format!("2026-11-{}T09:00:00", 23 + n),
        post: (n == 0).then(|| "pst_1".into()),
    };
    m::Queue {
        name: name.into(),
        timezone: "Europe/Berlin".into(),
        cron: vec!["0 9 * * MON-FRI".into()],
        accounts: vec!["x:acme".into()],
        jitter: Some("5m".into()),
        paused: false,
        waiting: 1,
        next: (0..next).map(slot).collect(),
    }
}

pub(crate) fn receipt(result: m::Outcome) -> m::ReceiptAnswer {
    m::ReceiptAnswer {
        receipt: m::Receipt {
            id: "rcp_1".into(),
            at: at(NOW),
            subject: "x:acme".into(),
            items: vec![m::ReceiptItem {
                what: "grant".into(),
                r#where: "x".into(),
                result,
                message: Some("revoked".into()),
                hint: None,
            }],
        },
    }
}

#[async_trait]
impl Api for Fake {
    async fn connect_start(&self, by: Caller, ask: r::Connect) -> ApiResult<m::ConnectStarted> {
        self.note(by, format!("connect {}", ask.platform));
        if ask.platform == "myspace" {
            return Err(ApiError::bad_request("unknown_platform", "`myspace` is not a platform"));
        }
        *self.connect.lock().unwrap() = Some(ask);
        Ok(m::ConnectStarted { id: "c1".into() })
    }

    async fn connect_events(&self, by: Caller, id: &str) -> ApiResult<BoxStream<'static, m::ConnectEvent>> {
        self.note(by, format!("events {id}"));
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.events.lock().unwrap() = Some(sender);
        let ask = self.connect.lock().unwrap().clone().unwrap();
        self.send(m::ConnectEvent::Link {
            url: "http://127.0.0.1:8420/connect/T1".into(),
            expires_at: at("2026-11-22T08:10:00Z"),
            callback: Some(match ask.platform.as_str() {
                "linkedin" => "https://post.example.org/oauth/linkedin/callback".into(),
                it => format!("http://127.0.0.1:8420/oauth/{it}/callback"),
            }),
            code_lives_s: Some(30),
        });
        let found = [Self::found("4711", "acme"), Self::found("4712", "shop")];
        if ask.platform == "denied" {
            let error = ApiError::new(ErrorKind::Refused, "denied", "the network reports `access_denied`");
            self.send(m::ConnectEvent::Failed { error: error.hint("agree in the browser").detail() });
            self.end();
        } else if !ask.paste {
            let few = if ask.name.is_some() { 2 } else { 1 };
            self.send(m::ConnectEvent::Found { accounts: found[..few].to_vec() });
            if ask.yes {
                self.finish(&["4711"]);
            } else if !ask.select.is_empty() {
                self.finish(&ask.select.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        let events =
            stream::unfold(receiver, |mut it| async move { it.recv().await.map(|event| (event, it)) });
        Ok(events.boxed())
    }

    async fn connect_confirm(&self, by: Caller, id: &str, choice: r::Choice) -> ApiResult<m::Done> {
        self.note(by, format!("confirm {id} {choice:?}"));
        match choice {
            r::Choice::All => self.finish(&["4711"]),
            r::Choice::Select(ids) => self.finish(&ids.iter().map(String::as_str).collect::<Vec<_>>()),
            r::Choice::No => {
                let error = ApiError::conflict("not_confirmed", "the account was not confirmed");
                self.send(m::ConnectEvent::Failed { error: error.detail() });
                self.end();
            }
        }
        Ok(m::Done { done: true })
    }

    async fn connect_paste(&self, by: Caller, id: &str, address: &str) -> ApiResult<m::Done> {
        self.note(by, format!("paste {id} {address}"));
        if !address.contains("/oauth/") {
            return Err(ApiError::bad_request(
                "bad_address",
                "this is not the address the browser landed on",
            ));
        }
        self.send(m::ConnectEvent::Found { accounts: vec![Self::found("4711", "acme")] });
        Ok(m::Done { done: true })
    }

    async fn connect_cancel(&self, by: Caller, id: &str) -> ApiResult<m::Done> {
        self.note(by, format!("cancel {id}"));
        Ok(m::Done { done: true })
    }

    async fn account_list(&self, by: Caller) -> ApiResult<m::AccountList> {
        self.note(by, "account list");
        Ok(m::AccountList { accounts: vec![account("x:acme"), account("bluesky:acme.example.org")] })
    }

    async fn account_show(&self, by: Caller, name: &str) -> ApiResult<m::Account> {
        self.note(by, format!("account show {name}"));
        if name != "x:acme" {
            return Err(ApiError::not_found("unknown_account", format!("there is no account `{name}`"))
                .hint("sendoff account list"));
        }
        Ok(account(name))
    }

    async fn account_rename(&self, by: Caller, name: &str, to: &str) -> ApiResult<m::Account> {
        self.note(by, format!("account rename {name} {to}"));
        Ok(account(&format!("x:{to}")))
    }

    async fn account_refresh(&self, by: Caller, name: &str) -> ApiResult<m::Account> {
        self.note(by, format!("account refresh {name}"));
        Ok(account(name))
    }

    async fn account_pause(&self, by: Caller, name: &str) -> ApiResult<m::Account> {
        self.note(by, format!("account pause {name}"));
        Ok(m::Account { state: m::AccountState::Paused, ..account(name) })
    }

    async fn account_resume(&self, by: Caller, name: &str) -> ApiResult<m::Account> {
        self.note(by, format!("account resume {name}"));
        Ok(account(name))
    }

    async fn account_disconnect(&self, by: Caller, name: &str) -> ApiResult<m::ReceiptAnswer> {
        self.note(by, format!("account disconnect {name}"));
        Ok(receipt(if name == "x:acme" { m::Outcome::Done } else { m::Outcome::Failed }))
    }

    async fn erase_platform_user(&self, by: Caller, whom: &str) -> ApiResult<m::ReceiptAnswer> {
        self.note(by, format!("erase {whom}"));
        Ok(receipt(if whom == "facebook:1022" { m::Outcome::Done } else { m::Outcome::Failed }))
    }

    async fn post_create(&self, by: Caller, ask: r::CreatePost) -> ApiResult<m::Post> {
        self.note(by, "post create");
        self.created.lock().unwrap().push(ask.clone());
        match ask.parts[0].as_str() {
            "long" => {
                return Err(ApiError::refused("the post was refused for `x:acme`", vec![target(false)]));
            }
            "broken" => return Err(ApiError::new(ErrorKind::Internal, "internal", "a fault of ours")),
            _ => {}
        }
        if ask.when == Some(r::When::At("whenever".into())) {
            return Err(ApiError::bad_request("bad_time", "`whenever` is not a time"));
        }
        let before = ask.key.is_some() && self.created.lock().unwrap().len() > 1;
        Ok(m::Post { existing: before, ..post(&ask.parts[0]) })
    }

    async fn post_check(&self, by: Caller, ask: r::CreatePost) -> ApiResult<m::Check> {
        self.note(by, "post check");
        let ok = ask.parts[0] != "long";
        Ok(m::Check { ok, targets: vec![target(ok)], cost_usd: Some("0.02".into()) })
    }

    async fn post_list(&self, by: Caller, ask: r::ListPosts) -> ApiResult<m::PostList> {
        self.note(by, format!("post list {:?} {:?} {:?}", ask.state, ask.limit, ask.since));
        Ok(m::PostList { posts: vec![post("Hello")], next_cursor: Some("c2".into()), notices: Vec::new() })
    }

    async fn post_show(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        self.note(by, format!("post show {id}"));
        let reason = m::Reason {
            class: "rejected".into(),
            message: "the network refused it".into(),
            hint: Some("write something else".into()),
            raw: Some("duplicate content\u{1b}]0;evil\u{7}".into()),
        };
        let rejected = m::Delivery { reason: Some(reason), ..delivery("x:acme", m::DeliveryState::Rejected) };
        Ok(m::Post { status: m::PostStatus::Failed, deliveries: vec![rejected], ..post("Hello") })
    }

    async fn post_edit(&self, by: Caller, id: &str, ask: r::EditPost) -> ApiResult<m::Post> {
        self.note(by, format!("post edit {id} {:?} {:?}", ask.parts, ask.comment));
        Ok(post("Hello"))
    }

    async fn post_cancel(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        self.note(by, format!("post cancel {id}"));
        let cancelled = delivery("x:acme", m::DeliveryState::Cancelled);
        Ok(m::Post { status: m::PostStatus::Cancelled, deliveries: vec![cancelled], ..post("Hello") })
    }

    async fn post_undo(&self, by: Caller, id: &str, ticket: &str) -> ApiResult<m::Post> {
        self.note(by, format!("post undo {id} {ticket}"));
        Ok(post("Hello"))
    }

    async fn post_retry(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        self.note(by, format!("post retry {id}"));
        Ok(post("Hello"))
    }

    async fn post_resolve(&self, by: Caller, id: &str, word: r::Resolve) -> ApiResult<m::Post> {
        self.note(by, format!("post resolve {id} {word:?}"));
        Ok(post("Hello"))
    }

    async fn post_reschedule(
        &self,
        by: Caller,
        id: &str,
        to: r::Move,
        tz: Option<String>,
    ) -> ApiResult<m::Post> {
        self.note(by, format!("post reschedule {id} {to:?} {tz:?}"));
        if id == "pst_2" {
            return Err(ApiError::conflict("already_sent", "it has gone out already"));
        }
        Ok(post("Hello"))
    }

    async fn post_delete(&self, by: Caller, id: &str, local_only: bool) -> ApiResult<m::ReceiptAnswer> {
        self.note(by, format!("post delete {id} {local_only}"));
        Ok(receipt(m::Outcome::NotPossible))
    }

    async fn queue_list(&self, by: Caller) -> ApiResult<m::QueueList> {
        self.note(by, "queue list");
        Ok(m::QueueList { queues: vec![queue("mornings", 1)] })
    }

    async fn queue_show(&self, by: Caller, name: &str, next: u32) -> ApiResult<m::Queue> {
        self.note(by, format!("queue show {name} {next}"));
        Ok(queue(name, next))
    }

    async fn queue_pause(&self, by: Caller, name: &str) -> ApiResult<m::Queue> {
        self.note(by, format!("queue pause {name}"));
        Ok(m::Queue { paused: true, ..queue(name, 1) })
    }

    async fn queue_resume(&self, by: Caller, name: &str) -> ApiResult<m::Queue> {
        self.note(by, format!("queue resume {name}"));
        Ok(queue(name, 1))
    }

    async fn queue_reschedule(&self, by: Caller, queue: &str, shift: &str) -> ApiResult<m::PostList> {
        self.note(by, format!("queue reschedule {queue} {shift}"));
        Ok(m::PostList { posts: vec![post("Hello")], next_cursor: None, notices: vec!["one stays".into()] })
    }

    async fn calendar(&self, by: Caller, ask: r::Calendar) -> ApiResult<m::Calendar> {
        self.note(by, format!("calendar {:?} {:?}", ask.month, ask.tz));
        Ok(calendar())
    }

    async fn pause(&self, by: Caller, reason: Option<String>) -> ApiResult<m::PauseState> {
        self.note(by, format!("pause {reason:?}"));
        Ok(m::PauseState { paused: true, reason, since: Some(at(NOW)) })
    }

    async fn resume(&self, by: Caller) -> ApiResult<m::PauseState> {
        self.note(by, "resume");
        Ok(m::PauseState { paused: false, reason: None, since: None })
    }

    async fn doctor(&self, by: Caller, ask: r::Doctor) -> ApiResult<m::Diagnosis> {
        self.note(by, format!("doctor {}", ask.platform.as_deref().unwrap_or("all")));
        let finding = |about: &str, check: &str, result, message: &str, hint: Option<&str>| m::Finding {
            about: about.into(),
            check: check.into(),
            result,
            message: message.into(),
            hint: hint.map(Into::into),
        };
        let fault = ask.platform.as_deref() == Some("tiktok");
        let result = if fault { m::FindingResult::Fault } else { m::FindingResult::Unknown };
        Ok(m::Diagnosis {
            ok: !fault,
            findings: vec![
                finding("host", "clock", m::FindingResult::Ok, "the clock is right", None),
                finding("tiktok", "mode", result, "not seen from here", Some("look there")),
            ],
        })
    }

    async fn status(&self, by: Caller) -> ApiResult<m::Status> {
        self.note(by, "status");
        Ok(m::Status {
            version: "0.1.0".into(),
            pid: 7,
            uptime_s: 4000,
            ready: true,
            paused: false,
            accounts: m::AccountCounts { ready: 2, needs_reconnect: 1, paused: 0 },
            deliveries: [("published".to_owned(), 5), ("scheduled".to_owned(), 3)].into(),
            next_due: Some(at("2026-11-22T09:00:00Z")),
            last_tick: Some(at(NOW)),
            store: m::StoreStatus { bytes: 1_500_000, schema: 1, free_bytes: Some(63 << 30) },
            alerts: vec![m::Alert {
                code: "weakened".into(),
                message: "guarantees are weakened".into(),
                hint: Some("remove `settle`".into()),
            }],
            pause_reason: None,
            spending: vec![spending(Some("x"))],
        })
    }

    async fn events(&self, by: Caller, ask: r::Events) -> ApiResult<BoxStream<'static, m::LogEvent>> {
        let follow = ask.follow;
        self.note(by, format!("events {:?} {:?} {follow}", ask.backlog, ask.after));
        let event = m::LogEvent {
            at: at(NOW),
            level: "info".into(),
            event: "delivery.published".into(),
            message: "published".into(),
            post: Some("pst_1".into()),
            delivery: Some("dlv_1".into()),
            account: Some("x:acme".into()),
            seq: ask.after.map_or(41, |it| it + 1),
            progress: None,
        };
        let past = stream::iter([event]);
        Ok(if follow { past.chain(stream::once(pending())).boxed() } else { past.boxed() })
    }

    async fn audit_list(&self, by: Caller, ask: r::ListAudit) -> ApiResult<m::AuditList> {
        self.note(by, format!("audit {:?}", ask.limit));
        let who = m::Who { uid: 1000, gid: 1000, pid: None };
        let entry = m::AuditEntry {
            at: at(NOW),
            who: Some(who),
            action: "account.connect".into(),
            subject: "x:acme".into(),
            result: "done".into(),
        };
        Ok(m::AuditList { entries: vec![entry], next_cursor: None })
    }

    async fn config_reload(&self, by: Caller) -> ApiResult<m::Reloaded> {
        self.note(by, "reload");
        Ok(m::Reloaded { changed: vec!["queue".into()], needs_restart: vec![], warnings: vec![] })
    }

    async fn network_list(&self, by: Caller) -> ApiResult<m::NetworkList> {
        self.note(by, "networks");
        let options = vec![m::NetworkOption {
            key: "reply_settings".into(),
            values: vec!["following".into()],
            help: "who may reply".into(),
        }];
        let network = m::Network {
            platform: "x".into(),
            title: "X".into(),
            text_max: 280,
            unit: "weighted characters".into(),
            parts_max: 25,
            images_max: 4,
            comment: false,
            can_delete: true,
            options,
        };
        Ok(m::NetworkList { networks: vec![network] })
    }

    async fn receipt_list(&self, by: Caller, ask: r::ListReceipts) -> ApiResult<m::ReceiptList> {
        self.note(by, format!("receipts {:?}", ask.limit));
        let steps = vec![m::ReceiptLine {
            step: "grant".into(),
            result: "revoked".into(),
            account: None,
            r#where: None,
            message: None,
            hint: None,
        }];
        let entry = m::ReceiptEntry {
            id: "rcp_1".into(),
            kind: "disconnect".into(),
            requested_at: at(NOW),
            finished_at: None,
            steps,
        };
        Ok(m::ReceiptList { receipts: vec![entry] })
    }

    async fn media_upload(&self, by: Caller, name: Option<String>, body: Upload) -> ApiResult<m::Uploaded> {
        let read = body.try_fold(0u64, |sum, chunk| async move { Ok(sum + chunk.len() as u64) }).await;
        let bytes = read.map_err(|error| ApiError::bad_request("cut_off", error.to_string()))?;
        let name = name.unwrap_or_default();
        self.note(by, format!("upload {name} {bytes}"));
        Ok(m::Uploaded {
            id: format!("med_{name}"),
            name,
            kind: "image/jpeg".into(),
            bytes,
            width: 8,
            height: 8,
        })
    }

    async fn media_thumbnail(&self, by: Caller, id: &str) -> ApiResult<m::Thumbnail> {
        self.note(by, format!("thumbnail {id}"));
        Ok(m::Thumbnail {
            id: id.to_owned(),
            name: "oven.jpg".into(),
            width: 8,
            height: 8,
            mime: "image/jpeg".into(),
            data: "/9j/".into(),
        })
    }
}

/// A served socket; it stops when dropped.
pub(crate) struct Daemon {
    pub(crate) fake: Arc<Fake>,
    pub(crate) path: PathBuf,
    pub(crate) dir: TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Ends it and starts another at the same place, as a restart of the service does.
    pub(crate) fn again(mut self) -> Self {
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let path = self.path.clone();
        drop(self);
        drop(std::fs::remove_file(path));
        Self::start_in(dir)
    }

    fn start_in(dir: TempDir) -> Self {
        let allowed = Allowed { uid: rustix::process::geteuid().as_raw(), gids: vec![] };
        let path = dir.path().join("control.sock");
        let fake = Arc::new(Fake::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, up) = std::sync::mpsc::channel();
        let (api, socket) = (Arc::clone(&fake), path.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = bind(&socket).unwrap();
                ready.send(()).unwrap();
                // Whoever still follows the log is cut off, as by a daemon that ends.
                tokio::select! {
                    served = serve(listener, api, allowed, pending()) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        up.recv().unwrap();
        Self { fake, path, dir, stop: Some(stop), thread: Some(thread) }
    }

    /// Runs the command line against this daemon.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Shell::new().socket(&self.path).run(args)
    }

    pub(crate) fn shell(&self) -> Shell {
        Shell::new().socket(&self.path)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.fake.asked.lock().unwrap().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.take().map(|it| it.send(()));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| panic!("not one document: {} {}", self.out, self.err))
    }

    pub(crate) fn error(&self) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&self.err).unwrap_or_else(|_| panic!("{}", self.err))["error"]
            .clone()
    }

    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        at(NOW)
    }
}

/// Rooms that say what they were asked.
pub(crate) struct Cardboard;

impl Rooms for Cardboard {
    fn serve(&self, config: Option<&Path>, _: &Globals) -> Result<u8, CliError> {
        Err(CliError::new(78, "asked", format!("serve {config:?}")))
    }
    fn sandbox(&self, args: &Sandbox, _: &Globals) -> Result<u8, CliError> {
        Err(CliError::failed("asked", format!("sandbox {:?} {:?} {:?}", args.listen, args.faults, args.seed)))
    }
    fn console(&self, socket: &Path, _: &Globals) -> Result<u8, CliError> {
        Err(CliError::failed("asked", format!("console {}", socket.display())))
    }
    fn demo(&self, args: &Demo, globals: &Globals) -> Result<u8, CliError> {
        Err(CliError::failed("asked", format!("demo {} {} {}", args.once, args.fast, globals.json)))
    }
    fn init(&self, dir: Option<&Path>) -> Result<String, CliError> {
        Ok(format!("init {dir:?}"))
    }
    fn config_check(&self, path: &Path) -> Result<Checked, CliError> {
        Err(CliError::new(2, "bad_config", format!("{}:4:8: hour 99 is out of range", path.display())))
    }
    fn config_print(&self, path: &Path) -> Result<Printed, CliError> {
        let settings = serde_json::json!({ "path": path });
        Ok(Printed { toml: format!("# {}", path.display()), settings })
    }
    fn control_socket(&self, path: &Path) -> Result<(PathBuf, Option<CliError>), CliError> {
        Ok((path.with_extension("sock"), None))
    }
    fn offline_check(&self, draft: &Offline) -> Result<m::Check, CliError> {
        let target = m::CheckTarget { account: draft.platforms[0].to_string(), ..target(true) };
        Ok(m::Check { ok: true, targets: vec![target], cost_usd: None })
    }
}

/// A terminal or a pipe with a command line in it.
#[derive(Default)]
pub(crate) struct Shell {
    input: String,
    terminal: bool,
    env: Vec<(&'static str, OsString)>,
    socket: Option<PathBuf>,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn socket(mut self, path: &Path) -> Self {
        self.socket = Some(path.into());
        self
    }

    pub(crate) fn typing(mut self, input: &str) -> Self {
        self.input = input.into();
        self
    }

    pub(crate) fn on_a_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    pub(crate) fn run(self, args: &[&str]) -> Ran {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut all: Vec<OsString> = vec!["sendoff".into()];
        if let Some(path) = &self.socket {
            all.extend(["--socket".into(), path.clone().into()]);
        }
        all.extend(args.iter().map(Into::into));
        let env = |name: &str| self.env.iter().find(|(it, _)| *it == name).map(|(_, value)| value.clone());
        let mut io = Io {
            out: &mut out,
            err: &mut err,
            input: &mut Cursor::new(self.input.clone()),
            terminal: [self.terminal; 3],
            env: &env,
            clock: &Still,
            zone: TimeZone::UTC,
        };
        let code = sendoff::cli::run(all, &Cardboard, &mut io);
        Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }
}
