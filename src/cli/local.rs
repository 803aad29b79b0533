//! Commands that need no daemon.

use std::path::Path;

use clap::CommandFactory as _;
use serde_json::json;

use super::args::{Cli, Config};
use super::error::{CliError, Outcome};
use super::render::Ui;
use super::{Checked, Rooms};

pub(super) fn init(rooms: &dyn Rooms, dir: Option<&Path>, ui: &mut Ui<'_, '_>) -> Outcome {
    let said = rooms.init(dir)?;
    tell(&said, ui)
}

pub(super) fn config(
    rooms: &dyn Rooms,
    command: &Config,
    path: Option<&Path>,
    ui: &mut Ui<'_, '_>,
) -> Outcome {
    let path = path.ok_or_else(|| {
        CliError::new(2, "no_config", "there is no configuration file")
            .hint("write one: sendoff init; or name one: --config PATH")
    })?;
    match command {
        Config::Check => {
            let it = rooms.config_check(path)?;
            if ui.json {
                let Checked { path, queues, recurring, warnings } = &it;
                ui.document(&json!({
                    "ok": true, "path": path, "queues": queues, "recurring": recurring, "warnings": warnings,
                }))?;
                return Ok(0);
            }
            let queues = match it.queues {
                0 => "no queue".to_owned(),
                1 => "1 queue".to_owned(),
                n => format!("{n} queues"),
            };
            let recurring = match it.recurring {
                0 => String::new(),
                1 => ", 1 recurring post".to_owned(),
                n => format!(", {n} recurring posts"),
            };
            ui.line(&format!("{} is fine: {queues}{recurring}", it.path.display()))?;
            for warning in &it.warnings {
                ui.line(&format!("warning: {warning}"))?;
            }
        }
        Config::Print => {
            let it = rooms.config_print(path)?;
            if ui.json {
                ui.document(&it.settings)?;
            } else {
                ui.line(it.toml.trim_end())?;
            }
        }
    }
    Ok(0)
}

fn tell(said: &str, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(&json!({"ok": true, "text": said}))?;
    } else {
        ui.line(said.trim_end())?;
    }
    Ok(0)
}

pub(super) fn completions(shell: clap_complete::Shell, ui: &mut Ui<'_, '_>) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sendoff", &mut script);
    if ui.json {
        let script = String::from_utf8_lossy(&script);
        ui.document(&json!({"shell": shell.to_string(), "script": script}))?;
    } else {
        ui.io.out.write_all(&script)?;
    }
    Ok(0)
}

pub(super) fn man(dir: &Path, ui: &mut Ui<'_, '_>) -> Outcome {
    let failed = |error| {
        CliError::failed("output", format!("cannot write manual pages to `{}`: {error}", dir.display()))
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
    if ui.json {
        ui.document(&json!({"dir": dir}))?;
    } else {
        ui.line(&format!("manual pages written to {}", dir.display()))?;
        ui.next(&format!("man -l {}", dir.join("sendoff.1").display()))?;
    }
    Ok(0)
}

pub(super) fn version(ui: &mut Ui<'_, '_>) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    if ui.json {
        ui.document(&json!({"version": version}))?;
    } else {
        ui.line(&format!("sendoff {version}"))?;
    }
    Ok(0)
}
