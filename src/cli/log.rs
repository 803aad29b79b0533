//! `log`: what happened, and with `--follow` what happens, over restarts of the daemon too.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::error::{CliError, Outcome};
use super::render::{Paint, Ui, clean_line, state_paint};
use crate::control::client::{Client, ClientError};
use crate::control::messages as m;
use crate::control::requests as r;

/// Between two tries to reach a daemon that went away: at first, and at most.
const WAIT: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

pub(super) async fn log(client: &Client, follow: bool, lines: u32, ui: &mut Ui<'_, '_>) -> Outcome {
    let mut ask = r::Events { backlog: Some(lines), after: None, follow };
    let mut events = client.events(&ask).await?;
    loop {
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    show(&event, ui)?;
                    // The line is out: from here on it is the next one that is wanted.
                    (ask.after, ask.backlog) = (Some(event.seq), None);
                }
                Err(ClientError::Broken(_)) if follow => break,
                Err(error) => return Err(error.into()),
            }
        }
        if !follow {
            return Ok(0);
        }
        if ask.after.is_none() {
            // Nothing was told yet, and what comes meanwhile must not be passed over.
            ask = r::Events { backlog: None, after: Some(0), follow };
        }
        ui.note("the daemon went away; waiting for it")?;
        let mut wait = WAIT[0];
        events = loop {
            tokio::time::sleep(wait).await;
            match client.events(&ask).await {
                Ok(events) => break events,
                Err(ClientError::Unreachable { .. } | ClientError::Broken(_)) => {}
                Err(ClientError::Api(error)) if error.kind == crate::control::api::ErrorKind::NotReady => {}
                Err(error) => return Err(error.into()),
            }
            wait = (wait * 2).min(WAIT[1]);
        };
    }
}

fn show(event: &m::LogEvent, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    if ui.json {
        return ui.document(event);
    }
    let at = event.at.to_zoned(ui.io.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let about = [&event.account, &event.delivery, &event.post].into_iter().flatten().next();
    let about = about.map(|it| format!(" {}", clean_line(it))).unwrap_or_default();
    let message = clean_line(&event.message);
    // The line names the account already.
    let message = match &event.account {
        Some(name) => message.strip_prefix(&format!("{name}: ")).unwrap_or(&message).to_owned(),
        None => message,
    };
    let message = state_paint(&event.level).map_or(message.clone(), |it| ui.paint(it, &message));
    let what = clean_line(&event.event);
    ui.line(&format!("{}  {what}{about}  {message}", ui.paint(Paint::Dim, &at)))
}
