//! What can be written behind `post`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Post {
    /// Check a post and schedule it
    #[command(after_help = "\
WHEN is RFC 3339, `2026-12-01 09:00` (in --tz or the default zone),
`tomorrow 9am` or `+2h`; what was understood is printed with zone and offset.

Examples:
  sendoff post create \"Good morning\" --to x:acme --now
  sendoff post create \"The oven is here\" --to bluesky:acme \\
      --media oven.jpg --alt \"Our new stone oven\" \\
      --at \"2026-12-01 09:00\" --tz Europe/Berlin
  sendoff post create \"First part\" \"Second part\" --to x:acme --queue mornings
  sendoff post create \"Oven\" \"Bread\" --to x:acme --media oven.jpg --media bread.jpg --part 2 --now
  sendoff post create \"To every account of the queue\" --queue mornings
  sendoff post create \"Is this too long?\" --to x --check
  sendoff post create - --to x:acme --at +2h --key news-2026-12-01 < news.txt
  sendoff post create --file oven.md
  sendoff post create --file oven.md --to bluesky:acme --now

A FILE is Markdown below TOML (paths in it count from where it lies; what is
given on the command line wins):

  +++
  to = [\"x:acme\", \"linkedin:acme\"]
  at = 2026-12-01T09:00:00
  timezone = \"Europe/Berlin\"
  media = [{ file = \"oven.jpg\", alt = \"Our new stone oven\" }]
  +++
  The oven is here.

  --- x
  The oven is here. Come and smell it.

  --- linkedin:comment
  First comment on LinkedIn.

With --key a script whose connection broke may run again: the same key with the
same content is the same post. Other content under a used key is refused, so
each post has a key of its own.")]
    Create(Create),
    /// List posts, by their time, the latest first
    #[command(after_help = "\
Examples:
  sendoff post list
  sendoff post list --state attention
  sendoff post list --account x:acme --since 2026-12-01 --limit 100")]
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
    /// Change a post; of one that is out, its words where the network allows it
    #[command(after_help = "\
What you leave out stays as it is; TEXT, --to, --media and --option replace all
of their kind.

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
    /// Settle a delivery that may or may not be live, after looking yourself
    #[command(after_help = "\
A network's answer was lost, and looking could not settle whether the post is
live. Look at the account on the network, then say what you saw. `--resend`
sends it again: if the first attempt did go out after all, it is there twice.

Examples:
  sendoff post list --state held
  sendoff post resolve dlv_0198… --published https://x.com/you/status/1890…
  sendoff post resolve dlv_0198… --resend
  sendoff post resolve dlv_0198… --leave", group = clap::ArgGroup::new("word").required(true).args(["published", "resend", "leave"]))]
    Resolve {
        /// dlv_…
        id: String,
        /// It is live, and this is its address
        #[arg(long, value_name = "URL")]
        published: Option<String>,
        /// It is not live; send it again
        #[arg(long)]
        resend: bool,
        /// Leave it unknown and do not ask again
        #[arg(long)]
        leave: bool,
    },
    /// Give posts another time
    #[command(after_help = "\
Examples:
  sendoff post reschedule pst_0198… --at \"tomorrow 9am\"
  sendoff post reschedule pst_0198… pst_0199… --by +1h
  sendoff post reschedule pst_0198… --queue weekday-mornings
  sendoff post reschedule --all-in weekday-mornings --by +2h

Each post is moved whole or not at all; of several IDs those that can be are.
--all-in moves everything that waits in a queue, or nothing if one of them
would land in the past; the posts keep their places in the queue.")]
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
    /// A file with the text and everything else (`-h` shows one)
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub file: Option<PathBuf>,
    /// Account, `platform:name` (repeatable); with --queue the queue's accounts unless given, with --check a bare platform will do
    #[arg(long, required_unless_present_any = ["queue", "file"], value_name = "ACCOUNT")]
    pub to: Vec<String>,
    #[command(flatten)]
    pub media: MediaArgs,
    /// First comment under the post
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Send it then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Go on after this cursor, which the page before printed
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("move").args(["at", "queue", "by"]).required(true))]
pub struct Reschedule {
    /// pst_… or dlv_…
    #[arg(required_unless_present = "all_in", value_name = "ID")]
    pub ids: Vec<String>,
    /// Everything that waits in this queue, with --by
    #[arg(long, value_name = "QUEUE", requires = "by", conflicts_with_all = ["ids", "tz", "at", "queue"])]
    pub all_in: Option<String>,
    /// The new time
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
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

/// A media file and its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    pub path: PathBuf,
    pub alt: Option<String>,
    /// Which part of a thread it goes with, from 1.
    pub part: Option<u32>,
}

/// `--media FILE [--alt TEXT] [--part N]`: an `--alt` and a `--part` belong to the `--media` before them.
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
            .arg(
                clap::Arg::new("part")
                    .long("part")
                    .value_name("N")
                    .action(ArgAction::Append)
                    .value_parser(clap::value_parser!(u32).range(1..))
                    .help("Part of the thread that the --media before it goes with; the first without it"),
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
            places.zip(files.map(|path| MediaFile { path, alt: None, part: None })).collect();
        let parts = matches.get_many::<u32>("part").into_iter().flatten();
        for (place, part) in matches.indices_of("part").into_iter().flatten().zip(parts) {
            let owner = found.iter_mut().rev().find(|(at, _)| *at < place);
            let (_, file) =
                owner.ok_or_else(|| wrong("--part is about the --media before it, and there is none"))?;
            if file.part.replace(*part).is_some() {
                return Err(wrong("two --part for one --media"));
            }
        }
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
