//! `init`, and the check of a post without a daemon.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::cli::error::CliError;
use crate::cli::post::{Offline, media_file};
use crate::config::{self, secret::SecretSource};
use crate::control::messages as m;
use crate::domain::ids::PlatformName;
use crate::keys::master::MasterKey;
use crate::platforms;
use crate::validate::{self, Draft};

/// The configuration's name inside the directory.
const FILE: &str = "sendoff.toml";

/// Writes configuration, master key and directories. What is there already is never touched.
pub(super) fn init(dir: Option<&Path>) -> Result<String, CliError> {
    let dir = std::path::absolute(dir.unwrap_or(Path::new(".")))
        .map_err(|error| CliError::failed("init", format!("cannot find the directory: {error}")))?;
    let failed = |what: &Path, error: &dyn std::fmt::Display| {
        CliError::failed("init", format!("cannot write `{}`: {error}", what.display()))
            .hint("choose a directory of your own with `--dir`")
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| failed(&dir, &error))?;
    // Written down as it is reached, without `..` and links that may point elsewhere one day.
    let dir = dir.canonicalize().map_err(|error| failed(&dir, &error))?;
    let file = dir.join(FILE);
    let key = dir.join("master.key");
    for there in [&file, &key] {
        if there.exists() {
            return Err(CliError::failed("exists", format!("`{}` exists already", there.display()))
                .hint("nothing was changed; choose another directory with `--dir`"));
        }
    }
    let zone = jiff::tz::TimeZone::system();
    // Servers are set to UTC under several names; one is enough.
    let zone = zone.iana_name().filter(|it| !it.ends_with("UTC")).unwrap_or("UTC");
    let text = config::starter(&dir, zone);
    let settings = config::parse(&text, &file)
        .map_err(|error| CliError::failed("init", format!("the starter configuration is faulty: {error}")))?;
    let master = MasterKey::generate(getrandom::fill).map_err(|error| failed(&key, &error))?;
    master.write_new(&key).map_err(|error| failed(&key, &error))?;
    let socket_dir = settings.server.control_socket.parent().unwrap_or(&dir);
    for made in [settings.data_dir.as_path(), socket_dir] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(made)
            .map_err(|error| failed(made, &error))?;
    }
    // The configuration last: with it the directory counts as set up.
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut out| out.write_all(text.as_bytes()))
        .map_err(|error| failed(&file, &error))?;
    let path = file.display();
    // Found by itself where it lies in the working directory; named everywhere else.
    let here = std::env::current_dir().is_ok_and(|it| it == dir);
    let named = if here { String::new() } else { format!(" --config {path}") };
    Ok(format!(
        "wrote {path}\n      {key}\n      {data}/\n\n\
         Keep a copy of the key elsewhere: without it the stored tokens cannot be opened.\n\
         Bluesky needs nothing. Facebook, Instagram, X, LinkedIn and TikTok need an app of yours: its id and\n\
         secret under [platforms.NAME], and in its console the address where a sign-in ends, your public_url\n\
         and /oauth/NAME/callback. Meta calls them app id and app secret; Instagram also needs a public https\n\
         address. docs/platforms/NAME.md goes through it, and `sendoff doctor` finds what is missing.\n\n\
         next: sendoff serve{named}\n\
         then, in another terminal:\n      \
         sendoff account connect bluesky --handle you.bsky.social{named}\n",
        key = key.display(),
        data = settings.data_dir.display(),
    ))
}

/// `post create --check` for bare platform names.
pub(super) fn offline_check(draft: &Offline) -> Result<m::Check, CliError> {
    let mut targets = Vec::new();
    for name in &draft.platforms {
        let platform = platforms::find(*name).ok_or_else(|| {
            CliError::new(
                2,
                "platform_not_ready",
                format!("{} is not available in this version", name.title()),
            )
            .hint(platforms::AVAILABLE)
        })?;
        let items = media(draft)?;
        let options: BTreeMap<String, String> = draft.options.get(name.as_str()).cloned().unwrap_or_default();
        let common = (draft.parts.clone(), draft.comment.clone());
        let own = draft.variants.get(name.as_str());
        let (mut parts, comment) = own.map_or(common, |it| it.over(&draft.parts, draft.comment.as_deref()));
        if parts.is_empty() {
            parts.push(String::new());
        }
        let words = Draft {
            parts: &parts,
            comment: comment.as_deref(),
            media: &items,
            options: &options,
            lacks: &[],
        };
        let checked = validate::check(platform, None, words);
        targets.push(crate::daemon::view::target(name.as_str(), &checked));
    }
    Ok(crate::daemon::view::check(targets))
}

/// What networks would refuse in the texts of recurring posts; the daemon says it again when it matters.
pub(super) fn recurring_problems(config: &config::Config) -> Vec<String> {
    let mut found = Vec::new();
    for it in &config.recurring {
        for account in &it.accounts {
            let at = format!("[[recurring]] {} for {account}", it.name);
            let Some(platform) = platforms::find(account.platform()) else {
                found.push(format!("{at}: {} is not available in this version", account.platform().title()));
                continue;
            };
            let options = it.options.get(&account.platform()).cloned().unwrap_or_default();
            let words = Draft {
                parts: &it.parts,
                comment: it.comment.as_deref(),
                media: &[],
                options: &options,
                lacks: &[],
            };
            let checked = validate::check(platform, None, words);
            found.extend(checked.problems.iter().map(|problem| format!("{at}: {}", problem.message)));
        }
    }
    found
}

/// Files of secrets that cannot be used. What systemd hands over is there only while the service runs.
pub(super) fn secret_problems(config: &config::Config) -> Vec<String> {
    let told = |place: &str, error: String, hint: Option<String>| {
        let hint = hint.map(|it| format!("; {it}")).unwrap_or_default();
        format!("{place}: {error}{hint}")
    };
    let mut found = Vec::new();
    if let SecretSource::File(path) = &config.master
        && let Err(error) = MasterKey::from_file(path)
    {
        found.push(told("master", error.to_string(), error.hint()));
    }
    for name in PlatformName::ALL {
        if let Some(source @ SecretSource::File(_)) = &config.platform(name).client_secret
            && let Err(error) = source.read(&|_| None)
        {
            found.push(told(&format!("[platforms.{name}] client_secret"), error.to_string(), error.hint()));
        }
    }
    found
}

/// Queues of networks that this version has not.
pub(super) fn queue_problems(config: &config::Config) -> Vec<String> {
    let mut found = Vec::new();
    for queue in &config.queues {
        for account in queue.accounts.iter().filter(|it| platforms::find(it.platform()).is_none()) {
            let title = account.platform().title();
            found.push(format!(
                "[[queue]] {} for {account}: {title} is not available in this version",
                queue.name
            ));
        }
    }
    found
}

/// What the files are, read where they lie.
fn media(draft: &Offline) -> Result<Vec<crate::domain::media::MediaItem>, CliError> {
    use crate::domain::ids::MediaId;
    draft
        .media
        .iter()
        .map(|file| {
            media_file(&file.path, fs::metadata(&file.path))?;
            let facts = crate::media::look(&file.path, &crate::media::Caps::default()).map_err(|error| {
                let plain = CliError::failed(error.code(), format!("`{}`: {error}", file.path.display()));
                match error.hint() {
                    Some(hint) => plain.hint(hint),
                    None => plain,
                }
            })?;
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let part = file.part.unwrap_or(1).saturating_sub(1);
            let part = u16::try_from(part).unwrap_or(u16::MAX);
            if usize::from(part) >= draft.parts.len().max(1) {
                let message = format!("`{name}` is for part {}, which the post does not have", part + 1);
                return Err(CliError::usage(message).hint("each TEXT is a part, counted from 1"));
            }
            let item = facts.item(MediaId::from_u128(0), name, file.alt.clone());
            Ok(crate::domain::media::MediaItem { part, ..item })
        })
        .collect()
}
