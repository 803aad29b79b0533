//! Commands that need no daemon.

use std::path::Path;

use clap::CommandFactory as _;
use serde_json::json;

use super::Rooms;
use super::args::{Cli, Config};
use super::error::{CliError, Outcome};
use super::render::Ui;

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
    let said = match command {
        Config::Check => rooms.config_check(path)?,
        Config::Print => rooms.config_print(path)?,
    };
    tell(&said, ui)
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
    ui.io.out.write_all(&script)?;
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
