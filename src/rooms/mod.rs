//! Joins the rooms for the commands that need more than the control socket: `serve`, `sandbox`,
//! `demo`, `init`, `config`, and the check that works without a daemon.
//!
//! The command line knows only the [`Rooms`] trait; here it meets the rest of the house.

mod demo;
mod film;
mod interruption;
mod pictures;
mod setup;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use interruption::Interruption;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::args::{self, Globals};
use crate::cli::error::CliError;
use crate::cli::{self, Checked, Printed, Rooms, post};
use crate::clock::SystemClock;
use crate::config::fault::ConfigError;
use crate::config::{self, Config, LogFormat};
use crate::control::messages as m;
use crate::daemon::disk::Room;
use crate::daemon::start::{self, DaemonError, Plan};
use crate::sandbox;
use crate::tui;

/// How long blocking work may delay the end of the process.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs the program and says how it ended.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::main(args, &House)
}

struct House;

impl Rooms for House {
    fn serve(&self, path: Option<&Path>, globals: &Globals) -> Result<u8, CliError> {
        let path = locate(path)?;
        let config = load(&path)?;
        log(&config, globals);
        // First of all: a core file would hold the master key.
        if let Err(error) = crate::keys::harden() {
            tracing::warn!(%error, "core dumps could not be switched off");
        }
        let runtime = runtime()?;
        let ended = runtime.block_on(serve(config, path));
        // What still blocks (a name being looked up) must not keep a daemon alive that has ended.
        runtime.shutdown_timeout(LAST_WORDS);
        ended
    }

    fn sandbox(&self, args: &args::Sandbox, globals: &Globals) -> Result<u8, CliError> {
        runtime()?.block_on(run_sandbox(args, globals))
    }

    fn console(&self, socket: &Path, globals: &Globals) -> Result<u8, CliError> {
        runtime()?.block_on(console(socket, globals))
    }

    fn demo(&self, args: &args::Demo, globals: &Globals) -> Result<u8, CliError> {
        runtime()?.block_on(demo::run(args, globals))
    }

    fn init(&self, dir: Option<&Path>) -> Result<String, CliError> {
        setup::init(dir)
    }

    fn config_check(&self, path: &Path) -> Result<Checked, CliError> {
        let config = load(path)?;
        let weak = config.engine.weakened().into_iter();
        let weak = weak
            .map(|key| format!("[engine] {key} is below its default; the delivery guarantees are weakened"));
        let problems = setup::queue_problems(&config).into_iter().chain(setup::recurring_problems(&config));
        Ok(Checked {
            path: path.to_owned(),
            queues: config.queues.len(),
            recurring: config.recurring.len(),
            warnings: weak
                .chain(config.cautions())
                .chain(problems)
                .chain(setup::secret_problems(&config))
                .collect(),
        })
    }

    fn config_print(&self, path: &Path) -> Result<Printed, CliError> {
        let toml = load(path)?.print();
        let broken = |error: toml::de::Error| CliError::failed("internal", error.to_string());
        let settings = toml::from_str(&toml).map_err(broken)?;
        Ok(Printed { toml, settings })
    }

    fn control_socket(&self, path: &Path) -> Result<(PathBuf, Option<CliError>), CliError> {
        let error = match config::load(path) {
            Ok(config) => return Ok((config.server.control_socket, None)),
            Err(error) => config_error(&error),
        };
        match config::control_socket(path) {
            Some(socket) => Ok((socket, Some(error))),
            None => Err(error),
        }
    }

    fn offline_check(&self, draft: &post::Offline) -> Result<m::Check, CliError> {
        setup::offline_check(draft)
    }
}

/// Shows the console for the daemon behind a socket.
async fn console(socket: &Path, globals: &Globals) -> Result<u8, CliError> {
    let mut session = [0; 8];
    start::random(&mut session);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let options = tui::run::Options {
        socket: socket.to_owned(),
        color: globals.wants_color(true, no_color),
        zone: jiff::tz::TimeZone::system(),
        clock: Arc::new(SystemClock),
        session: crate::domain::hex::hex(&session),
    };
    match Box::pin(tui::run::run(options)).await {
        Ok(()) => Ok(0),
        Err(error) => Err(CliError::failed("console", error.to_string())),
    }
}

fn config_error(error: &ConfigError) -> CliError {
    let plain = CliError::new(2, "bad_config", error.to_string());
    match error.hint() {
        Some(hint) => plain.hint(hint),
        None => plain,
    }
}

fn locate(path: Option<&Path>) -> Result<PathBuf, CliError> {
    let here = std::env::current_dir().unwrap_or_default();
    config::locate(path, &|name: &str| std::env::var_os(name), &here).map_err(|error| config_error(&error))
}

fn load(path: &Path) -> Result<Config, CliError> {
    config::load(path).map_err(|error| config_error(&error))
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    // Two workers are plenty: the engine is one task, and what blocks has its own pool.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("runtime", format!("cannot start: {error}")))
}

/// Writes the log to stderr, where systemd picks it up.
fn log(config: &Config, globals: &Globals) {
    let level = match (globals.verbose, globals.quiet) {
        (_, true) => "error",
        (0, _) => config.log.level,
        (1, _) => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::new(format!("warn,sendoff={level}"));
    let plain =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second call (a test, the demo) finds one in place; that one stays.
    drop(match config.log.format {
        LogFormat::Text => plain.with_ansi(false).try_init(),
        LogFormat::Json => plain.json().try_init(),
    });
}

fn daemon_error(error: &DaemonError) -> CliError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    let plain = CliError::new(error.exit_code(), error.code(), message);
    match error.hint() {
        Some(hint) => plain.hint(hint),
        None => plain,
    }
}

async fn serve(config: Config, config_path: PathBuf) -> Result<u8, CliError> {
    let signals = |kind| signal(kind).map_err(|error| CliError::failed("signals", error.to_string()));
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hangup = signals(SignalKind::hangup())?;
    let plan =
        Plan { config, config_path, clock: Arc::new(SystemClock), notify: true, room: Room::default() };
    // Told to stop while it starts: nothing has been sent yet, and what was begun is made whole at the
    // next start, as after a crash.
    let daemon = tokio::select! {
        biased;
        _ = terminate.recv() => return Ok(0),
        _ = interrupt.recv() => return Ok(0),
        daemon = start::start(plan) => daemon.map_err(|error| daemon_error(&error))?,
    };
    let (reload, reloads) = mpsc::unbounded_channel();
    let ear = tokio::spawn(async move { while hangup.recv().await.is_some() && reload.send(()).is_ok() {} });
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ended = daemon.run(stop, reloads).await;
    ear.abort();
    ended.map(|()| 0).map_err(|error| daemon_error(&error))
}

async fn run_sandbox(args: &args::Sandbox, globals: &Globals) -> Result<u8, CliError> {
    let faults = match &args.faults {
        None => sandbox::Faults::default(),
        Some(spec) => spec
            .parse()
            .map_err(|error: sandbox::FaultsError| CliError::usage(error.to_string()).hint(error.hint()))?,
    };
    let listen = args.listen.unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let options = sandbox::Options { listen, faults, seed: args.seed.unwrap_or(1) };
    let running = sandbox::start(options, Arc::new(SystemClock)).await.map_err(|error| match error {
        sandbox::SandboxError::NotLoopback { address } => {
            CliError::usage(error.to_string()).hint(format!("use `--listen 127.0.0.1:{}`", address.port()))
        }
        _ => CliError::failed("sandbox", error.to_string()).hint("choose another `--listen` address"),
    })?;
    let mut interruption =
        Interruption::new().map_err(|error| CliError::failed("signals", error.to_string()))?;
    let said = if globals.json {
        sandbox::ready_line(&running)
    } else {
        format!(
            "The sandbox is at {}\nPoint a daemon at it with:\n\n{}\nCtrl-C ends it.",
            running.url,
            running.config()
        )
    };
    // A pipe that was closed is no reason to leave the secret's file behind.
    let mut out = std::io::stdout();
    drop(writeln!(out, "{said}").and_then(|()| out.flush()));
    interruption.comes().await;
    running.stop().await;
    Ok(0)
}
