//! The command line: one file per command group, and how errors and tables look.
//!
//! Everything that concerns the daemon is asked over its socket. What needs another room (the daemon
//! itself, the sandbox, the configuration) comes in through [`Rooms`], so that nothing here knows them.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use jiff::tz::TimeZone;

use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;

pub mod account;
pub mod args;
pub mod calendar;
pub mod check;
pub mod connect;
pub mod doctor;
mod draft;
pub mod error;
pub mod local;
pub mod log;
pub mod post;
pub mod post_args;
mod post_file;
pub mod queue;
pub mod render;
pub mod status;

use args::{Cli, Command, Globals};
use error::CliError;
use render::Ui;

/// Where the socket is when neither flag, configuration nor environment says.
const SOCKET: &str = "/run/sendoff/control.sock";

/// A configuration without a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub path: PathBuf,
    /// How many there are.
    pub queues: usize,
    pub recurring: usize,
    /// What is allowed and may still surprise, one sentence each.
    pub warnings: Vec<String>,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Printed {
    pub toml: String,
    /// The same for scripts.
    pub settings: serde_json::Value,
}

/// What other rooms do for the command line.
///
/// Every method gets plain paths and parsed arguments. An exit code other than 0 may come back with `Ok`
/// where the method has said itself what went wrong.
pub trait Rooms {
    /// Runs the daemon until it is told to stop.
    fn serve(&self, config: Option<&Path>, globals: &Globals) -> Result<u8, CliError>;
    /// Runs the stand-in networks until interrupted.
    fn sandbox(&self, args: &args::Sandbox, globals: &Globals) -> Result<u8, CliError>;
    /// Shows the console until its user leaves it.
    fn console(&self, socket: &Path, globals: &Globals) -> Result<u8, CliError>;
    /// Runs the demonstration.
    fn demo(&self, args: &args::Demo, globals: &Globals) -> Result<u8, CliError>;
    /// Writes configuration, key and directories; says what was done and what to do next.
    fn init(&self, dir: Option<&Path>) -> Result<String, CliError>;
    /// Checks a configuration file; says what it found, warnings included.
    fn config_check(&self, path: &Path) -> Result<Checked, CliError>;
    /// The settings in force, secrets as their source.
    fn config_print(&self, path: &Path) -> Result<Printed, CliError>;
    /// The control socket that this configuration names. A fault elsewhere in the file comes along: it
    /// must not keep the emergency stop from a daemon that still runs with the settings of before.
    fn control_socket(&self, path: &Path) -> Result<(PathBuf, Option<CliError>), CliError>;
    /// Checks a post for bare platform names, without account or daemon.
    fn offline_check(&self, draft: &post::Offline) -> Result<crate::control::messages::Check, CliError>;
}

/// The world around a command: streams, environment, time.
pub struct Io<'a> {
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    pub input: &'a mut dyn BufRead,
    /// stdin, stdout, stderr are terminals.
    pub terminal: [bool; 3],
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    pub clock: &'a dyn Clock,
    /// The zone that times are shown in where nothing else is known.
    pub zone: TimeZone,
}

/// Runs the program: parses, acts, prints, and says how it ended.
pub fn main(args: impl IntoIterator<Item = OsString>, rooms: &dyn Rooms) -> ExitCode {
    let terminal =
        [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
    let mut io = Io {
        out: &mut std::io::stdout(),
        err: &mut std::io::stderr(),
        input: &mut std::io::stdin().lock(),
        terminal,
        env: &|name: &str| std::env::var_os(name).filter(|it| !it.is_empty()),
        clock: &SystemClock,
        zone: TimeZone::system(),
    };
    ExitCode::from(run(args, rooms, &mut io))
}

/// [`main`] with the world by argument. Gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, rooms: &dyn Rooms, io: &mut Io<'_>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = Cli::command().try_get_matches_from(&args).and_then(|it| Cli::from_arg_matches(&it));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args, io),
    };
    let mut ui = Ui::new(io, &cli.globals);
    match dispatch(cli.command, &cli.globals, rooms, &mut ui) {
        Ok(code) => code,
        Err(error) => ui.fail(&error),
    }
}

/// Prints what clap has to say: help on stdout, everything else as an error.
fn usage(error: &clap::Error, args: &[OsString], io: &mut Io<'_>) -> u8 {
    let text = error.render().to_string();
    if !error.use_stderr() {
        let _ = io.out.write_all(text.as_bytes());
        return 0;
    }
    if args.iter().any(|it| it == OsStr::new("--json")) {
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let error = CliError::usage(message).hint("the command's arguments are shown by --help");
        let _ = writeln!(io.err, "{}", error.json());
    } else {
        let _ = io.err.write_all(text.as_bytes());
    }
    2
}

fn dispatch(
    command: Option<Command>,
    globals: &Globals,
    rooms: &dyn Rooms,
    ui: &mut Ui<'_, '_>,
) -> Result<u8, CliError> {
    let Some(command) = command else {
        if ui.io.terminal[0] && ui.io.terminal[1] && !ui.json {
            let config = config_path(globals, ui.io.env);
            return rooms.console(&socket(globals, config.as_deref(), rooms, ui)?, globals);
        }
        if ui.json {
            let names: Vec<String> =
                Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
            ui.document(&serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "commands": names}))?;
            return Ok(0);
        }
        let help = Cli::command().render_help().to_string();
        ui.print(&help)?;
        ui.print("\nOn a terminal, `sendoff` alone opens the console.\n")?;
        return Ok(0);
    };
    let config = config_path(globals, ui.io.env);
    let config = config.as_deref();
    match command {
        Command::Serve => return rooms.serve(config, globals),
        Command::Sandbox(args) => return rooms.sandbox(&args, globals),
        Command::Console => {
            if ui.json || !ui.io.terminal[0] || !ui.io.terminal[1] {
                return Err(CliError::usage("the console needs a terminal")
                    .hint("in a pipe, use the commands with `--json`: sendoff status --json"));
            }
            return rooms.console(&socket(globals, config, rooms, ui)?, globals);
        }
        Command::Demo(args) => return rooms.demo(&args, globals),
        Command::Init { dir } => return local::init(rooms, dir.as_deref(), ui),
        Command::Config { command } => return local::config(rooms, &command, config, ui),
        Command::Completions { shell } => return local::completions(shell, ui),
        Command::Man { dir } => return local::man(&dir, ui),
        Command::Version => return local::version(ui),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("runtime", format!("cannot start: {error}")))?;
    if let Command::Post { command: post_args::Post::Create(args) } = command {
        // A file may be a pipe: it is read once.
        let draft = draft::Draft::of(args)?;
        if let Some(offline) = post::Offline::of(&draft)? {
            return check::show_check(&rooms.offline_check(&offline)?, ui);
        }
        let client = Client::new(&socket(globals, config, rooms, ui)?)?;
        return runtime.block_on(post::create(&client, draft, ui));
    }
    let client = Client::new(&socket(globals, config, rooms, ui)?)?;
    runtime.block_on(async {
        match command {
            Command::Account { command: args::Account::Connect(it) } => connect::run(&client, it, ui).await,
            Command::Account { command } => account::run(&client, command, ui).await,
            Command::Erase { platform_user, yes } => account::erase(&client, &platform_user, yes, ui).await,
            Command::Post { command } => post::run(&client, command, ui).await,
            Command::Queue { command } => queue::run(&client, command, ui).await,
            Command::Status => status::status(&client, ui).await,
            Command::Doctor { platform } => doctor::examine(&client, platform, ui).await,
            Command::Pause { reason } => status::pause(&client, reason, ui).await,
            Command::Resume => status::resume(&client, ui).await,
            Command::Calendar { month, tz } => {
                calendar::show(&client, crate::control::requests::Calendar { month, tz }, ui).await
            }
            Command::Log { follow, lines } => log::log(&client, follow, lines, ui).await,
            Command::Audit { command: args::Audit::List { limit, after } } => {
                status::audit(&client, limit, after, ui).await
            }
            Command::Serve
            | Command::Console
            | Command::Sandbox(_)
            | Command::Demo(_)
            | Command::Init { .. }
            | Command::Config { .. }
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Version => unreachable!("handled above, without a daemon"),
        }
    })
}

/// The configuration file: `--config`, `$SENDOFF_CONFIG`, or the first that exists of the usual places.
pub fn config_path(globals: &Globals, env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(path) = &globals.config {
        return Some(path.clone());
    }
    if let Some(path) = env("SENDOFF_CONFIG") {
        return Some(path.into());
    }
    let home = env("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env("HOME").map(|it| PathBuf::from(it).join(".config")))
        .map(|it| it.join("sendoff/config.toml"));
    [Some(PathBuf::from("sendoff.toml")), home, Some(PathBuf::from("/etc/sendoff/config.toml"))]
        .into_iter()
        .flatten()
        .find(|it| it.exists())
}

/// The socket: `--socket`; else a configuration that was named; else `$SENDOFF_SOCKET`; else a configuration
/// that was found; else the usual place.
fn socket(
    globals: &Globals,
    config: Option<&Path>,
    rooms: &dyn Rooms,
    ui: &mut Ui<'_, '_>,
) -> Result<PathBuf, CliError> {
    if let Some(path) = &globals.socket {
        return Ok(path.clone());
    }
    let named = globals.config.is_some() || (ui.io.env)("SENDOFF_CONFIG").is_some();
    let config = match (config, (ui.io.env)("SENDOFF_SOCKET")) {
        (Some(config), None) => config,
        (Some(config), _) if named => config,
        (_, Some(path)) => return Ok(path.into()),
        (None, None) => return Ok(SOCKET.into()),
    };
    let (socket, fault) = rooms.control_socket(config)?;
    if let Some(fault) = fault {
        ui.warn(&fault)?;
    }
    Ok(socket)
}
