//! What can be written on the command line. Help is written here, with examples for every command.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Publishes and schedules posts on your own server: once, on time, or it tells you why not.
#[derive(Debug, Parser)]
#[command(name = "sendoff", version, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  sendoff demo --once                               see it work, without any account
  sendoff init                                      write a configuration and a key
  sendoff account connect x                         connect an account
  sendoff post create \"Good morning\" --to x:acme --at \"tomorrow 9am\"
  sendoff status

Exit codes: 0 done, 1 failed, 2 usage or bad configuration, 3 daemon not reachable, 4 some targets failed")]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Globals {
    /// Configuration file [default: $SENDOFF_CONFIG, ./sendoff.toml, ~/.config/sendoff/config.toml, /etc/sendoff/config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The daemon's control socket [default: from the configuration, or $SENDOFF_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// One JSON document on stdout; errors as JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Say more (repeatable)
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say only what was asked for
    #[arg(short, long, global = true)]
    pub quiet: bool,
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
    /// Show the whole thing: stand-in networks, a daemon, accounts, posts
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
  sendoff sandbox --faults \"x.post=lost_after*2,bluesky.post=429\"")]
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
    /// Emergency stop: nothing new is sent, what is on the wire is finished
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
    /// What happened, newest last
    #[command(after_help = "\
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
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(after_help = "\
Examples:
  sendoff man /usr/local/share/man/man1")]
    Man { dir: PathBuf },
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
    /// Shorten the waits
    #[arg(long)]
    pub fast: bool,
}

#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<std::net::SocketAddr>,
    /// Faults to inject, `platform.route=fault[*N]`, comma-separated; faults: lost_before, lost_after, 500_after, 429, slow, truncate
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
Prints a link, waits until you have agreed in a browser, shows which account that was, and asks before
anything is stored. On a host that your browser cannot reach, use --paste.

Examples:
  sendoff account connect x
  sendoff account connect bluesky --handle acme.example.org
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
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Give an account another local name
    #[command(after_help = "\
Examples:
  sendoff account rename x:acme shop      now it is x:shop")]
    Rename {
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
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Stop sending to an account
    #[command(after_help = "\
Examples:
  sendoff account pause x:acme
  sendoff account resume x:acme")]
    Pause {
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Send to an account again
    #[command(after_help = "\
Examples:
  sendoff account resume x:acme")]
    Resume {
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Revoke the grant and delete the account's tokens, rows and key
    #[command(after_help = "\
What is published stays on the network. A receipt says what was done and what was not possible.

Examples:
  sendoff account disconnect x:acme
  sendoff account disconnect x:acme --yes --json")]
    Disconnect {
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Connect {
    /// x, bluesky, …
    pub platform: String,
    /// Local name [default: the network's user name]
    #[arg(long)]
    pub name: Option<String>,
    /// Kind of account, where a platform has both
    #[arg(long, value_parser = ["member", "organization"])]
    pub kind: Option<String>,
    /// The account's own server, for networks that have many
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
pub enum Post {
    /// Check a post and schedule it
    #[command(after_help = "\
WHEN is RFC 3339, `2026-12-01 09:00` (in --tz or the default zone), `tomorrow 9am` or `+2h`; what was
understood is printed with zone and offset. Several TEXT are the parts of a thread; `-` reads one from stdin.

Examples:
  sendoff post create \"Good morning\" --to x:acme --now
  sendoff post create \"The oven is here\" --to x:acme --to bluesky:acme \\
      --media oven.jpg --alt \"Our new stone oven\" --at \"2026-12-01 09:00\" --tz Europe/Berlin
  sendoff post create \"First part\" \"Second part\" --to x:acme --queue weekday-mornings
  sendoff post create \"Is this too long?\" --to x --check
  fortune | sendoff post create - --to x:acme --at +2h --key \"fortune-$(date +%F)\"")]
    Create(Create),
    /// List posts, newest first
    #[command(after_help = "\
Examples:
  sendoff post list
  sendoff post list --state attention
  sendoff post list --account x:acme --since 2026-12-01 --until 2027-01-01 --limit 100")]
    List(List),
    /// One post and each of its deliveries
    #[command(after_help = "\
Examples:
  sendoff post show pst_0198…
  sendoff post show dlv_0198… --json")]
    Show {
        /// pst_… or dlv_…
        id: String,
    },
    /// Change a post that has not gone out
    #[command(after_help = "\
What you leave out stays as it is; TEXT, --to, --media and --option replace all of their kind.

Examples:
  sendoff post edit pst_0198… \"A better sentence\"
  sendoff post edit pst_0198… --to x:acme --to bluesky:acme
  sendoff post edit pst_0198… --no-comment")]
    Edit(Edit),
    /// Do not send a post, or one delivery of it
    #[command(after_help = "\
Examples:
  sendoff post cancel pst_0198…
  sendoff post cancel dlv_0198…")]
    Cancel {
        /// pst_… or dlv_…
        id: String,
        /// Accepted for symmetry; cancelling deletes nothing and does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// Try failed deliveries again
    #[command(after_help = "\
Examples:
  sendoff post retry pst_0198…
  sendoff post retry dlv_0198…")]
    Retry {
        /// pst_… or dlv_…
        id: String,
    },
    /// Give posts another time
    #[command(after_help = "\
Examples:
  sendoff post reschedule pst_0198… --at \"tomorrow 9am\"
  sendoff post reschedule pst_0198… pst_0199… --by +1h
  sendoff post reschedule pst_0198… --queue weekday-mornings")]
    Reschedule(Reschedule),
    /// Delete a post here, and from the networks where they allow it
    #[command(after_help = "\
A receipt says what was deleted and where that was not possible.

Examples:
  sendoff post delete pst_0198…
  sendoff post delete pst_0198… --local-only --yes")]
    Delete {
        /// pst_…
        id: String,
        /// Leave what is published where it is
        #[arg(long)]
        local_only: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("when").args(["at", "queue", "now", "draft"]))]
pub struct Create {
    /// The text; several are the parts of a thread, `-` reads stdin
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// Account, `platform:name` (repeatable); with --check a bare platform will do
    #[arg(long, required = true, value_name = "ACCOUNT")]
    pub to: Vec<String>,
    #[command(flatten)]
    pub media: MediaArgs,
    /// First comment under the post
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Send it then
    #[arg(long, value_name = "WHEN")]
    pub at: Option<String>,
    /// Send it at the next free slot of this queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,
    /// Send it at once
    #[arg(long)]
    pub now: bool,
    /// Keep it without a time
    #[arg(long)]
    pub draft: bool,
    /// Zone of the time, `Europe/Berlin`
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// How late it may still go out: a duration, `always` or `exact`
    #[arg(long, value_name = "60m|always|exact")]
    pub late: Option<String>,
    /// A setting of one platform (repeatable)
    #[arg(long = "option", value_name = "PLATFORM.KEY=VALUE")]
    pub options: Vec<String>,
    /// The same key and content again prints the first post instead of making a second
    #[arg(long)]
    pub key: Option<String>,
    /// Only show what each network would get
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct Edit {
    /// pst_…
    pub id: String,
    /// The new text, all parts
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// The accounts it goes to now (repeatable)
    #[arg(long, value_name = "ACCOUNT")]
    pub to: Vec<String>,
    #[command(flatten)]
    pub media: MediaArgs,
    /// The new first comment
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// No first comment any more
    #[arg(long, conflicts_with = "comment")]
    pub no_comment: bool,
    /// How late it may still go out
    #[arg(long, value_name = "60m|always|exact")]
    pub late: Option<String>,
    /// A setting of one platform (repeatable)
    #[arg(long = "option", value_name = "PLATFORM.KEY=VALUE")]
    pub options: Vec<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// A post's status or a delivery's state
    #[arg(long)]
    pub state: Option<String>,
    /// Only posts for this account
    #[arg(long)]
    pub account: Option<String>,
    /// Due at this time or later
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Due before this time
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Zone of these times
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Go on after this cursor, which the page before printed
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("move").args(["at", "queue", "by"]).required(true))]
pub struct Reschedule {
    /// pst_… or dlv_…
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// The new time
    #[arg(long, value_name = "WHEN")]
    pub at: Option<String>,
    /// The next free slot of this queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,
    /// Earlier or later by this much, `+1h`, `-30m`
    #[arg(long, value_name = "±DURATION", allow_hyphen_values = true)]
    pub by: Option<String>,
    /// Zone of the time
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
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
        queue: String,
        /// How many slots
        #[arg(long, value_name = "N")]
        next: Option<u32>,
    },
    /// Leave a queue's slots empty for now
    #[command(after_help = "\
Examples:
  sendoff queue pause weekday-mornings")]
    Pause { queue: String },
    /// Use a queue's slots again
    #[command(after_help = "\
Examples:
  sendoff queue resume weekday-mornings")]
    Resume { queue: String },
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
        #[arg(long, value_name = "N")]
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

/// A media file and its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    pub path: PathBuf,
    pub alt: Option<String>,
}

/// `--media FILE [--alt TEXT]` in pairs: an `--alt` belongs to the `--media` before it.
#[derive(Debug, Clone, Default)]
pub struct MediaArgs {
    pub files: Vec<MediaFile>,
}

impl Args for MediaArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
            .arg(
                clap::Arg::new("media")
                    .long("media")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Image or video (repeatable)"),
            )
            .arg(
                clap::Arg::new("alt")
                    .long("alt")
                    .value_name("TEXT")
                    .action(ArgAction::Append)
                    .help("Description of the --media before it, for those who cannot see it"),
            )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for MediaArgs {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let wrong =
            |text: &str| clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{text}\n"));
        let files = matches.get_many::<PathBuf>("media").into_iter().flatten().cloned();
        let places = matches.indices_of("media").into_iter().flatten();
        let mut found: Vec<(usize, MediaFile)> =
            places.zip(files.map(|path| MediaFile { path, alt: None })).collect();
        let alts = matches.get_many::<String>("alt").into_iter().flatten();
        for (place, alt) in matches.indices_of("alt").into_iter().flatten().zip(alts) {
            let owner = found.iter_mut().rev().find(|(at, _)| *at < place);
            let (_, file) =
                owner.ok_or_else(|| wrong("--alt describes the --media before it, and there is none"))?;
            if file.alt.replace(alt.clone()).is_some() {
                return Err(wrong("two --alt for one --media"));
            }
        }
        Ok(Self { files: found.into_iter().map(|(_, file)| file).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
