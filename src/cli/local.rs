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
    pages(&Cli::command().disable_help_subcommand(true), dir).map_err(failed)?;
    if ui.json {
        ui.document(&json!({"dir": dir}))?;
    } else {
        ui.line(&format!("manual pages written to {}", dir.display()))?;
        ui.next(&format!("man -l {}", dir.join("sendoff.1").display()))?;
    }
    Ok(0)
}

/// A page for a command and one for each below it. Options of the whole program stand on its own page.
fn pages(command: &clap::Command, dir: &Path) -> std::io::Result<()> {
    let mut program = command.clone();
    program.build();
    page(&program, dir, true)
}

fn page(command: &clap::Command, dir: &Path, is_first: bool) -> std::io::Result<()> {
    let hide = |it: clap::Arg| if it.is_global_set() && !is_first { it.hide(true) } else { it };
    let shown = command.clone().mut_args(hide);
    let man = clap_mangen::Man::new(shown);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut whole = String::from_utf8_lossy(&text).into_owned();
    if let Some(examples) = command.get_after_help() {
        whole += ".SH EXAMPLES\n.nf\n";
        for line in examples.to_string().lines().filter(|it| *it != "Examples:") {
            whole += &roff(line);
        }
        whole += ".fi\n";
    }
    std::fs::write(dir.join(man.get_filename()), whole)?;
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        page(below, dir, false)?;
    }
    Ok(())
}

/// A line of text that roff prints as it stands.
fn roff(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    let guard = if text.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{guard}{text}\n")
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
