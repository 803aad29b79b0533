//! `status · pause · resume · audit list`.

use super::error::Outcome;
use super::render::{Cell, Paint, Ui, clean_line};
use crate::control::client::Client;
use crate::control::messages as m;
use crate::control::requests as r;
use crate::control::words::{self, relative, size, span};

pub(super) async fn status(client: &Client, ui: &mut Ui<'_, '_>) -> Outcome {
    let status = client.status().await?;
    if ui.json {
        ui.document(&status)?;
        return Ok(0);
    }
    let state = match (status.ready, status.paused) {
        (_, true) => ui.paint(Paint::Yellow, "paused"),
        (true, false) => ui.paint(Paint::Green, "ready"),
        (false, false) => ui.paint(Paint::Yellow, "starting"),
    };
    ui.line(&format!("sendoff {}  {state}", clean_line(&status.version)))?;
    let schema = status.store.schema;
    let store = format!("{}, schema {schema}{}", size(status.store.bytes), words::free(&status));
    let facts = [
        ("paused because", status.pause_reason.as_deref().map(clean_line)),
        ("accounts", Some(words::accounts(&status))),
        ("deliveries", Some(words::deliveries(&status))),
        ("next due", Some(status.next_due.map_or_else(|| "nothing".to_owned(), |at| ui.time(at, None)))),
        ("last tick", status.last_tick.map(|at| relative(at, ui.now()))),
        ("store", Some(store)),
        ("running", Some(format!("pid {}, for {}", status.pid, lived(status.uptime_s)))),
    ];
    ui.facts(&facts)?;
    for it in &status.spending {
        let whom = it.platform.as_deref().map_or_else(String::new, |it| format!(" on {}", clean_line(it)));
        ui.line(&format!("spent{whom}: {}", money(it)))?;
    }
    for alert in &status.alerts {
        let word = ui.paint(Paint::Yellow, "attention:");
        ui.line(&format!("\n{word} {}", clean_line(&alert.message)))?;
        if let Some(hint) = &alert.hint {
            ui.line(&format!("  hint: {}", clean_line(hint)))?;
        }
    }
    if status.paused {
        ui.next("sendoff resume")?;
    } else if status.accounts == (m::AccountCounts { ready: 0, needs_reconnect: 0, paused: 0 }) {
        ui.next("sendoff account connect x")?;
    }
    Ok(0)
}

/// `1.20 of 25.00 USD in 2026-11 (3 posts 0.66, …); 12.00 in the month before`.
pub(super) fn money(it: &m::Spending) -> String {
    let of = it.budget_usd.as_ref().map_or_else(String::new, |it| format!(" of {it}"));
    let calls: Vec<String> =
        it.calls.iter().map(|it| format!("{} {} {}", it.count, clean_line(it.words()), it.usd)).collect();
    let calls = if calls.is_empty() { String::new() } else { format!(" ({})", calls.join(", ")) };
    format!("{}{of} USD in {}{calls}; {} in the month before", it.usd, it.month, it.last_month_usd)
}

pub(super) async fn pause(client: &Client, reason: Option<String>, ui: &mut Ui<'_, '_>) -> Outcome {
    let state = client.pause(reason).await?;
    if ui.json {
        ui.document(&state)?;
    } else {
        ui.line("paused: nothing new is sent; what is on the wire is finished")?;
        ui.next("sendoff resume")?;
    }
    Ok(0)
}

pub(super) async fn resume(client: &Client, ui: &mut Ui<'_, '_>) -> Outcome {
    let state = client.resume().await?;
    if ui.json {
        ui.document(&state)?;
    } else {
        ui.line("sending again")?;
        ui.next("sendoff status")?;
    }
    Ok(0)
}

pub(super) async fn audit(
    client: &Client,
    limit: Option<u32>,
    after: Option<String>,
    ui: &mut Ui<'_, '_>,
) -> Outcome {
    let list = client.audit_list(&r::ListAudit { limit, after }).await?;
    if ui.json {
        ui.document(&list)?;
        return Ok(0);
    }
    let rows: Vec<Vec<Cell>> = list
        .entries
        .iter()
        .map(|it| {
            let who = it.who.as_ref().map_or_else(|| "daemon".to_owned(), |who| format!("uid {}", who.uid));
            vec![
                Cell::new(it.at.to_zoned(ui.io.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()),
                Cell::new(who),
                Cell::new(&it.action),
                Cell::state(&it.result),
                Cell::new(&it.subject),
            ]
        })
        .collect();
    ui.table(&["WHEN", "WHO", "DID", "RESULT", "TO"], &rows)?;
    if let Some(cursor) = &list.next_cursor {
        ui.next(&format!("sendoff audit list --after {}", clean_line(cursor)))?;
    }
    Ok(0)
}

fn lived(seconds: u64) -> String {
    if seconds == 0 { "less than a second".to_owned() } else { span(seconds.saturating_mul(1_000)) }
}
