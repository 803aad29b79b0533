//! A post as the command line and its file say it. What stands on the command line wins.

use std::collections::BTreeMap;

use super::error::CliError;
use super::post_args::{Create, MediaFile};
use super::post_file::PostFile;
use crate::control::messages::Variant;
use crate::control::requests::When;
use crate::domain::ids::PlatformName;

/// Everything that `post create` was told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Draft {
    /// The texts; those of a file are what they are, of typed ones `-` means stdin.
    pub(super) parts: Vec<String>,
    pub(super) is_file: bool,
    pub(super) comment: Option<String>,
    /// By platform or account.
    pub(super) variants: BTreeMap<String, Variant>,
    pub(super) to: Vec<String>,
    pub(super) media: Vec<MediaFile>,
    /// Platform → option → value.
    pub(super) options: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) when: Option<When>,
    pub(super) tz: Option<String>,
    pub(super) late: Option<String>,
    pub(super) key: Option<String>,
    pub(super) check: bool,
    /// What of the file has no effect.
    pub(super) notes: Vec<String>,
}

impl Draft {
    pub(super) fn of(args: Create) -> Result<Self, CliError> {
        let is_file = args.file.is_some();
        let mut file = args.file.as_deref().map(PostFile::read).transpose()?.unwrap_or_default();
        let typed = match (args.at, args.queue) {
            (Some(at), _) => Some(When::At(at)),
            (_, Some(queue)) => Some(When::Queue(queue)),
            _ if args.now => Some(When::Now),
            _ if args.draft => Some(When::Draft),
            _ => None,
        };
        if args.comment.is_some() {
            file.variants.values_mut().for_each(|it| it.comment = None);
        }
        let mut draft = Self {
            is_file,
            parts: if is_file { file.parts } else { args.text },
            comment: args.comment.or(file.comment),
            variants: file.variants,
            to: if args.to.is_empty() { file.to } else { args.to },
            media: if args.media.files.is_empty() { file.media } else { args.media.files },
            options: file.options,
            when: typed.or(file.when),
            tz: args.tz.or(file.tz),
            late: args.late.or(file.late),
            key: args.key.or(file.key),
            check: args.check,
            notes: Vec::new(),
        };
        draft.leave_out();
        for (platform, set) in options(&args.options)? {
            draft.options.entry(platform).or_default().extend(set);
        }
        draft.complete()
    }

    /// What a file says for those that the post does not go to: options must not be there then, texts
    /// may. Where it goes is known, unless a queue decides.
    fn leave_out(&mut self) {
        if self.to.is_empty() {
            return;
        }
        let goes = |name: &str| self.to.iter().any(|it| it == name || it.split(':').next() == Some(name));
        let options = self.options.keys().filter(|it| !goes(it));
        self.notes
            .extend(options.map(|it| format!("[options.{it}] has no effect: the post does not go there")));
        let texts = self.variants.keys().filter(|it| !goes(it));
        self.notes
            .extend(texts.map(|it| format!("the text for {it} has no effect: the post does not go there")));
        let to: Vec<_> = self.to.iter().map(|it| it.split(':').next().unwrap_or(it).to_owned()).collect();
        self.options.retain(|name, _| to.contains(name));
    }

    fn complete(self) -> Result<Self, CliError> {
        if self.when.is_none() && !self.check {
            return Err(CliError::usage("the post has no time").hint(
                "add --at WHEN, --queue QUEUE, --now or --draft, or a time in the file; or --check to only look",
            ));
        }
        if self.to.is_empty() && !matches!(self.when, Some(When::Queue(_))) {
            return Err(CliError::usage("the post is for nobody")
                .hint("name an account: --to x:acme, or `to = [\"x:acme\"]` in the file"));
        }
        let says_nothing = self.parts.is_empty() && self.variants.values().all(|it| it.parts.is_empty());
        if says_nothing && self.media.is_empty() {
            return Err(CliError::usage("the post has neither text nor media").hint(
                "write the text behind the command, `-` to read it from stdin, or --file for a file with it",
            ));
        }
        Ok(self)
    }
}

/// Reads `platform.key=value`.
pub(super) fn options(given: &[String]) -> Result<BTreeMap<String, BTreeMap<String, String>>, CliError> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for option in given {
        let parsed = option.split_once('=').and_then(|(name, value)| Some((name.split_once('.')?, value)));
        let Some(((platform, key), value)) = parsed.filter(|((_, key), _)| !key.is_empty()) else {
            return Err(CliError::usage(format!("`{option}` is not an option"))
                .hint("write platform.key=value, e.g. x.reply_settings=following"));
        };
        let platform: PlatformName =
            platform.parse().map_err(|error| CliError::usage(format!("in `{option}`: {error}")))?;
        let before = found.entry(platform.to_string()).or_default().insert(key.to_owned(), value.to_owned());
        if before.is_some() {
            return Err(CliError::usage(format!("`{platform}.{key}` is given twice")));
        }
    }
    Ok(found)
}
