//! `queue list · show · pause · resume`.

use super::args::Queue;
use super::error::Outcome;
use super::render::{Cell, Ui, clean_line};
use crate::control::client::Client;
use crate::control::messages as m;

pub(super) async fn run(client: &Client, command: Queue, ui: &mut Ui<'_, '_>) -> Outcome {
    match command {
        Queue::List => {
            let list = client.queue_list().await?;
            show_list(&list, ui)
        }
        Queue::Show { queue, next } => {
            let queue = client.queue_show(&queue, next).await?;
            show(&queue, ui)
        }
        Queue::Pause { queue } => {
            let queue = client.queue_pause(&queue).await?;
            changed(&queue, "is paused: its slots stay empty", ui)
        }
        Queue::Resume { queue } => {
            let queue = client.queue_resume(&queue).await?;
            changed(&queue, "runs", ui)
        }
    }
}

fn changed(queue: &m::Queue, said: &str, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(queue)?;
    } else {
        ui.line(&format!("{} {said}", clean_line(&queue.name)))?;
    }
    Ok(0)
}

fn show_list(list: &m::QueueList, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(list)?;
        return Ok(0);
    }
    if list.queues.is_empty() {
        ui.line("The configuration has no queue.")?;
        ui.next("add a [[queue]] to the configuration, then: systemctl reload sendoff")?;
        return Ok(0);
    }
    let rows: Vec<Vec<Cell>> = list
        .queues
        .iter()
        .map(|it| {
            let next = it.next.first().map_or_else(|| "none".to_owned(), |slot| ui.short_time(slot.at));
            vec![
                Cell::new(&it.name),
                Cell::state(if it.paused { "paused" } else { "runs" }),
                Cell::new(it.waiting.to_string()),
                Cell::new(next),
                Cell::new(it.accounts.join(" ")),
            ]
        })
        .collect();
    ui.table(&["QUEUE", "STATE", "WAITING", "NEXT SLOT", "ACCOUNTS"], &rows)?;
    Ok(0)
}

fn show(queue: &m::Queue, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(queue)?;
        return Ok(0);
    }
    ui.line(&format!("{}{}", clean_line(&queue.name), if queue.paused { "  paused" } else { "" }))?;
    let facts = [
        ("cron", Some(clean_line(&queue.cron.join(" · ")))),
        ("zone", Some(clean_line(&queue.timezone))),
        ("jitter", queue.jitter.as_deref().map(clean_line)),
        ("accounts", Some(clean_line(&queue.accounts.join(" ")))),
        ("waiting", Some(queue.waiting.to_string())),
    ];
    ui.facts(&facts)?;
    if queue.next.is_empty() {
        ui.line("\nIt has no slot ahead.")?;
        return Ok(0);
    }
    ui.line("")?;
    let rows: Vec<Vec<Cell>> = queue
        .next
        .iter()
        .map(|it| {
            let at = ui.slot_time(it.at, &queue.timezone);
            vec![Cell::new(at), Cell::new(it.post.as_deref().unwrap_or("free"))]
        })
        .collect();
    ui.table(&["SLOT", "POST"], &rows)?;
    ui.next(&format!("sendoff post create \"…\" --queue {}", clean_line(&queue.name)))?;
    Ok(0)
}
