//! What can be written on the command line. Help is written here, with examples for every command.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::post_args::Post;

/// Publishes and schedules posts on your own server: once, on time, or it tells you why not.
#[derive(Debug, Parser)]
#[command(name = "sendoff", version, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  sendoff demo --once            see it work, without any account
  sendoff init                   write a configuration and a key
  sendoff account connect x
  sendoff post create \"Good morning\" --to x:acme --at \"tomorrow 9am\"
  sendoff status

Exit codes: 0 done, 1 failed, 2 usage or bad configuration, 3 daemon not
reachable, 4 some targets failed; of `serve` also 75 the store stopped and a
restart goes on, 78 something needs a person before it can start")]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command takes; they stand below a command's own.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// Configuration file [default: $SENDOFF_CONFIG, ./sendoff.toml, below ~/.config/sendoff or /etc/sendoff: config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The daemon's control socket [default: from the configuration, or $SENDOFF_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// One JSON document on stdout; errors as JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour; NO_COLOR is honoured
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "auto|always|never",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,
    /// Say more (repeatable)
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say only what was asked for
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Globals {
    /// Whether a stream takes colour: one that is a terminal, unless the user or `NO_COLOR` says otherwise.
    pub fn wants_color(&self, terminal: bool, no_color: bool) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color,
        }
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// In pipes too.
    Always,
    /// Not at all.
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work: stand-in networks, a daemon, posts
    #[command(after_help = "\
Examples:
  sendoff demo --once            publish, print permalinks and timings, exit
  sendoff demo --once --json     the same for scripts, one event per line
  sendoff demo --dir ./try       keep what it made, to look around")]
    Demo(Demo),
    /// Run only the stand-in networks
    #[command(after_help = "\
Examples:
  sendoff sandbox
  sendoff sandbox --listen 127.0.0.1:9000 --seed 7
  sendoff sandbox --faults \"x.create=lost_after*2,bluesky.put=429\"")]
    Sandbox(Sandbox),
    /// Write a configuration, a master key and the directories
    #[command(after_help = "\
Examples:
  sendoff init
  sendoff init --dir ~/sendoff")]
    Init {
        /// Where to put everything
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Run the daemon
    #[command(after_help = "\
Examples:
  sendoff serve
  sendoff --config /etc/sendoff/config.toml serve
  systemctl reload sendoff       read the configuration again")]
    Serve,
    /// Open the console: everything on one screen
    #[command(after_help = "\
Examples:
  sendoff console
  sendoff                        the same, on a terminal
  sendoff --socket /run/sendoff/control.sock console")]
    Console,
    /// Connect, look at and disconnect accounts
    #[command(
        after_help = "\
Examples:
  sendoff account connect x
  sendoff account list
  sendoff account disconnect x:acme",
        disable_help_subcommand = true
    )]
    Account {
        #[command(subcommand)]
        command: Account,
    },
    /// Erase everything of a person who asked for it
    #[command(after_help = "\
For requests that come by letter: Meta sends lists of ids now and then, and people
write. Every account that lives by this person's consent is disconnected, as
`account disconnect` does it; a receipt says what was done and what was not possible.
Posts that were published stay on the network. The id is the one by which your app
at the network knows the person (for Facebook: the app-scoped user id).

Examples:
  sendoff erase --platform-user facebook:10220001
  sendoff erase --platform-user facebook:10220001 --yes --json")]
    Erase {
        /// The network and its id of the person
        #[arg(long, value_name = "PLATFORM:ID")]
        platform_user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Write, schedule and follow posts
    #[command(
        after_help = "\
Examples:
  sendoff post create \"Good morning\" --to x:acme --now
  sendoff post list --state scheduled
  sendoff post show pst_0198…",
        disable_help_subcommand = true
    )]
    Post {
        #[command(subcommand)]
        command: Post,
    },
    /// Look at and pause the queues of the configuration
    #[command(
        after_help = "\
Examples:
  sendoff queue list
  sendoff queue show weekday-mornings --next 10",
        disable_help_subcommand = true
    )]
    Queue {
        #[command(subcommand)]
        command: Queue,
    },
    /// Emergency stop: nothing new is sent
    #[command(after_help = "\
Examples:
  sendoff pause
  sendoff pause --reason \"wrong price in the spring campaign\"
  sendoff resume")]
    Pause {
        /// Shown by `status` until you resume
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Send again after `pause`
    #[command(after_help = "\
Examples:
  sendoff resume")]
    Resume,
    /// The daemon in one look
    #[command(after_help = "\
Examples:
  sendoff status
  sendoff status --json | jq .deliveries")]
    Status,
    /// Finds faults of the set-up before the first post does
    #[command(after_help = "\
Examples:
  sendoff doctor
  sendoff doctor linkedin
  sendoff doctor --json | jq '.findings[] | select(.result == \"fault\")'

Looks at clock, key and disk, calls the public address as a network would, and each configured
network once, without a token. Exits with 1 if something is at fault.")]
    Doctor {
        /// One network [default: this host and all that are configured]
        #[arg(value_name = "PLATFORM")]
        platform: Option<String>,
    },
    /// A month: what is due, free slots, runs to come
    #[command(after_help = "\
Examples:
  sendoff calendar
  sendoff calendar --month december
  sendoff calendar --month 2027-03 --tz Europe/Berlin --json")]
    Calendar {
        /// `2026-12`, or a month's name [default: this month]
        #[arg(long, value_name = "MONTH")]
        month: Option<String>,
        /// Zone in which days begin and end [default: that of the configuration]
        #[arg(long, value_name = "ZONE")]
        tz: Option<String>,
    },
    /// What happened, newest last
    #[command(after_help = "\
With --follow it stays, over restarts of the daemon too: no line is lost and
none comes twice. Every line has a number, `seq` in JSON.

Examples:
  sendoff log
  sendoff log --follow
  sendoff log --follow --json")]
    Log {
        /// Stay and print what happens
        #[arg(long, short)]
        follow: bool,
        /// How many past lines to begin with
        #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
        lines: u32,
    },
    /// Who did what
    #[command(
        after_help = "\
Examples:
  sendoff audit list",
        disable_help_subcommand = true
    )]
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Check or print the configuration
    #[command(
        after_help = "\
Examples:
  sendoff config check
  sendoff --config ./new.toml config check",
        disable_help_subcommand = true
    )]
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// Print a completion script for your shell
    #[command(after_help = "\
Examples:
  sendoff completions bash > /etc/bash_completion.d/sendoff
  sendoff completions zsh > ~/.zfunc/_sendoff
  sendoff completions fish > ~/.config/fish/completions/sendoff.fish")]
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(after_help = "\
Examples:
  sendoff man /usr/local/share/man/man1")]
    Man {
        /// Made if it is not there
        dir: PathBuf,
    },
    /// Print the version
    #[command(after_help = "\
Examples:
  sendoff version
  sendoff version --json")]
    Version,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// No console; exit 0 when everything is published
    #[arg(long)]
    pub once: bool,
    /// Work here and keep it, instead of in a throw-away directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Do not wait for the queue's slot: what is in the queue is moved to the next second
    #[arg(long)]
    pub fast: bool,
}

#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<std::net::SocketAddr>,
    /// Faults to inject, `platform.route=fault[*N]`, comma-separated; faults: lost_before, lost_after, 500_after, blocked_after, 429, slow, truncate, and of Meta's networks partial, blind, debug_info, says_error, says_expired, lags; and the errors of each network by name or code, as its page in docs tells
    #[arg(long, value_name = "SPEC")]
    pub faults: Option<String>,
    /// Makes the same ids and codes again
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum Account {
    /// Connect an account through the network's own consent page
    #[command(after_help = "\
Prints a link, waits until you have agreed in a browser, shows which account
that was, and asks before anything is stored. If your browser is on another
machine, forward the port (`ssh -L 8420:127.0.0.1:8420 HOST`) or use --paste.

Examples:
  sendoff account connect x
  sendoff account connect bluesky --handle you.bsky.social
  sendoff account connect x --name shop --paste
  sendoff account connect x --yes --json")]
    Connect(Connect),
    /// All accounts and whether they can act
    #[command(after_help = "\
Examples:
  sendoff account list
  sendoff account list --json | jq -r '.accounts[].account'")]
    List,
    /// One account: scopes, token life, server
    #[command(after_help = "\
Examples:
  sendoff account show x:acme")]
    Show {
        /// `platform:name`, as `account list` shows it
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Give an account another local name
    #[command(after_help = "\
Examples:
  sendoff account rename x:acme shop      now it is x:shop")]
    Rename {
        /// `platform:name`, as `account list` shows it
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// The new name, without the platform
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Refresh an account's token now
    #[command(after_help = "\
Examples:
  sendoff account refresh x:acme")]
    Refresh {
        /// `platform:name`, as `account list` shows it
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Stop sending to an account
    #[command(after_help = "\
Examples:
  sendoff account pause x:acme
  sendoff account resume x:acme")]
    Pause {
        /// `platform:name`, as `account list` shows it
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Send to an account again
    #[command(after_help = "\
Examples:
  sendoff account resume x:acme")]
    Resume {
        /// `platform:name`, as `account list` shows it
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Revoke the grant and delete the account's tokens, rows and key
    #[command(after_help = "\
What is published stays on the network. A receipt says what was done and what
was not possible.

Examples:
  sendoff account disconnect x:acme
  sendoff account disconnect x:acme --yes --json")]
    Disconnect {
        /// `platform:name`, as `account list` shows it
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Connect {
    /// facebook, instagram, x, bluesky, …
    pub platform: String,
    /// Local name [default: the network's user name]
    #[arg(long)]
    pub name: Option<String>,
    /// Kind of account, where a platform has both
    #[arg(long, value_parser = ["member", "organization"])]
    pub kind: Option<String>,
    /// The account's own server, for networks that have many [default: the handle's, else bsky.social]
    #[arg(long, value_name = "URL")]
    pub instance: Option<String>,
    /// The account's user name, from which its server is found
    #[arg(long)]
    pub handle: Option<String>,
    /// Connect this one of the accounts found (repeatable)
    #[arg(long, value_name = "REMOTE_ID")]
    pub select: Vec<String>,
    /// Connect everything found, without asking
    #[arg(long, conflicts_with = "select")]
    pub yes: bool,
    /// Paste the address the browser landed on, when it cannot reach this host
    #[arg(long, conflicts_with = "no_wait")]
    pub paste: bool,
    /// Print the link and leave; needs --yes or --select
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum Queue {
    /// All queues and their next slot
    #[command(after_help = "\
Examples:
  sendoff queue list")]
    List,
    /// One queue and its next slots
    #[command(after_help = "\
Examples:
  sendoff queue show weekday-mornings
  sendoff queue show weekday-mornings --next 20")]
    Show {
        /// Its name in the configuration
        queue: String,
        /// How many slots, up to 1000
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        next: Option<u32>,
    },
    /// Leave a queue's slots empty for now
    #[command(after_help = "\
Examples:
  sendoff queue pause weekday-mornings")]
    Pause {
        /// Its name in the configuration
        queue: String,
    },
    /// Use a queue's slots again
    #[command(after_help = "\
Examples:
  sendoff queue resume weekday-mornings")]
    Resume {
        /// Its name in the configuration
        queue: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Who did what, newest first
    #[command(after_help = "\
Examples:
  sendoff audit list
  sendoff audit list --limit 100 --json")]
    List {
        /// How many at most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
        /// Go on after this cursor
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check the configuration file without using it
    #[command(after_help = "\
Examples:
  sendoff config check
  sendoff --config ./new.toml config check")]
    Check,
    /// Print the settings in force; secrets as their source, never their value
    #[command(after_help = "\
Examples:
  sendoff config print")]
    Print,
}
