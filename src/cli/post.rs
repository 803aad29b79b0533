//! `post create · list · show · edit · cancel · retry · resolve · reschedule · delete`.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::Path;

use futures_util::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::draft::{Draft, options};
use super::error::{CliError, Outcome, SOME_FAILED};
use super::post_args::{Edit, List, MediaFile, Post, Reschedule};
use super::render::{Paint, Ui, clean, clean_line, shorten, state_paint, state_words};
use crate::control::client::Client;
use crate::control::messages as m;
use crate::control::requests as r;
use crate::control::words::{size, span};
use crate::domain::delivery::NOTHING;
use crate::domain::ids::PlatformName;

/// Files above this size show how far they are.
const SLOW: u64 = 8 << 20;

/// A post to check for bare platform names, without account or daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Offline {
    pub platforms: Vec<PlatformName>,
    pub parts: Vec<String>,
    pub comment: Option<String>,
    /// Texts of their own, by platform.
    pub variants: BTreeMap<String, m::Variant>,
    /// Local files, not uploaded anywhere.
    pub media: Vec<MediaFile>,
    /// Platform → option → value.
    pub options: BTreeMap<String, BTreeMap<String, String>>,
}

impl Offline {
    /// The check that needs no daemon: `--check`, every target a bare platform name, no text from stdin.
    /// Without a target the queue's accounts are meant, and only the daemon knows those.
    pub(super) fn of(draft: &Draft) -> Result<Option<Self>, CliError> {
        let asks_daemon = draft.to.is_empty()
            || draft.to.iter().any(|it| it.contains(':'))
            || !draft.is_file && draft.parts.iter().any(|it| it == "-");
        if !draft.check || asks_daemon {
            return Ok(None);
        }
        let platforms: Result<Vec<PlatformName>, _> = draft.to.iter().map(|it| it.parse()).collect();
        let platforms = platforms.map_err(|error| CliError::usage(error.to_string()))?;
        let Draft { parts, comment, variants, media, options, .. } = draft.clone();
        Ok(Some(Self { platforms, parts, comment, variants, media, options }))
    }
}

pub(super) async fn run(client: &Client, command: Post, ui: &mut Ui<'_, '_>) -> Outcome {
    match command {
        Post::Create(args) => create(client, Draft::of(args)?, ui).await,
        Post::List(args) => list(client, args, ui).await,
        Post::Show { id } => {
            let post = client.post_show(&id).await?;
            show(&post, ui)
        }
        Post::Edit(args) => edit(client, args, ui).await,
        Post::Cancel { id, yes: _ } => {
            let post = client.post_cancel(&id).await?;
            acted(&post, "cancelled", ui)
        }
        Post::Retry { id } => {
            let post = client.post_retry(&id).await?;
            acted(&post, "trying again", ui)
        }
        Post::Resolve { id, published, resend, leave } => {
            let word = if resend {
                "sent again by your word"
            } else if leave {
                "left as it is"
            } else {
                "published by your word"
            };
            let post = client.post_resolve(&id, &r::Resolve { published, resend, leave }).await?;
            acted(&post, word, ui)
        }
        Post::Reschedule(args) => reschedule(client, args, ui).await,
        Post::Delete { id, local_only, yes } => {
            let reach = if local_only { "here only" } else { "here and from the networks that allow it" };
            ui.destroy(yes, &format!("Delete {}, {reach}? This cannot be undone.", clean_line(&id)))?;
            let answer = client.post_delete(&id, local_only).await?;
            super::account::receipt(&answer, ui)
        }
    }
}

/// `post create`, of which everything is known.
pub(super) async fn create(client: &Client, draft: Draft, ui: &mut Ui<'_, '_>) -> Outcome {
    for note in &draft.notes {
        ui.note(&clean_line(note))?;
    }
    let source = if draft.is_file { m::Source::File } else { m::Source::Cli };
    let ask = r::CreatePost {
        options: draft.options,
        parts: if draft.is_file { draft.parts } else { texts(draft.parts, ui)? },
        media: upload(client, &draft.media, ui).await?,
        comment: draft.comment,
        to: draft.to,
        when: draft.when,
        tz: draft.tz,
        late: draft.late,
        variants: draft.variants,
        key: draft.key,
        source: Some(source.as_str().to_owned()),
        media_once: true,
        unfinished: false,
        intended: None,
    };
    if draft.check {
        let check = client.post_check(&ask).await?;
        return super::check::show_check(&check, ui);
    }
    let post = client.post_create(&ask).await?;
    if ui.json {
        ui.document(&post)?;
        return Ok(0);
    }
    let said = if post.existing {
        format!("this key has made {} before; nothing new was created", clean_line(&post.id))
    } else {
        format!("created {}", clean_line(&post.id))
    };
    ui.line(&ui.paint(Paint::Green, &said))?;
    outlook(&post, ui)?;
    ui.next(&format!("sendoff post show {}", clean_line(&post.id)))?;
    Ok(0)
}

/// The texts as given; one `-` is replaced by stdin without its last line end.
fn texts(texts: Vec<String>, ui: &mut Ui<'_, '_>) -> Result<Vec<String>, CliError> {
    if texts.iter().filter(|it| *it == "-").count() > 1 {
        return Err(CliError::usage("stdin can be read only once").hint("give one `-` at most"));
    }
    let mut read = |text: String| {
        if text != "-" {
            return Ok(text);
        }
        let mut input = String::new();
        std::io::Read::read_to_string(&mut ui.io.input, &mut input)
            .map_err(|error| CliError::usage(format!("cannot read the text from stdin: {error}")))?;
        let text = input.strip_suffix('\n').unwrap_or(&input);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    };
    texts.into_iter().map(&mut read).collect()
}

/// Sends the files up, in order.
async fn upload(
    client: &Client,
    media: &[MediaFile],
    ui: &mut Ui<'_, '_>,
) -> Result<Vec<r::MediaRef>, CliError> {
    let mut stored = Vec::new();
    for it in media {
        let id = upload_one(client, &it.path, ui).await?.id;
        stored.push(r::MediaRef { id, alt: it.alt.clone(), part: it.part });
    }
    Ok(stored)
}

/// What is known of a media file before it is read.
///
/// # Errors
/// It cannot be looked at, or is a directory or something else that is no file.
pub fn media_file(path: &Path, about: std::io::Result<Metadata>) -> Result<Metadata, CliError> {
    let about = about.map_err(|error| unreadable(path, &error))?;
    let found = if about.is_dir() { "is a directory, not a file" } else { "is not a file" };
    if about.is_file() {
        return Ok(about);
    }
    let wrong = CliError::new(2, "media_file", format!("`{}` {found}", path.display()));
    Err(wrong.hint("name each picture or film: `--media FILE`, several times if need be"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(2, "media_file", format!("cannot read the media file `{}`: {error}", path.display()))
        .hint("check the path; the file is read with your own rights, not the daemon's")
}

async fn upload_one(client: &Client, path: &Path, ui: &mut Ui<'_, '_>) -> Result<m::Uploaded, CliError> {
    let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, &error))?;
    let about = media_file(path, file.metadata().await)?;
    let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
    let shown = ui.io.terminal[2] && !ui.quiet && about.len() > SLOW;
    let label = clean_line(name.as_deref().unwrap_or("file"));
    let (total, mut sent, mut last) = (about.len(), 0u64, 0u64);
    let body = ReaderStream::with_capacity(file, 64 << 10).inspect(move |chunk| {
        if let (true, Ok(chunk)) = (shown, chunk) {
            sent += chunk.len() as u64;
            let percent = (sent * 100 / total.max(1)).min(100);
            if percent > last {
                last = percent;
                // A stream has no way to the command's own stderr; this is only ever a terminal.
                eprint!("\r{label}  {percent} %{}", if percent == 100 { "\n" } else { "" });
            }
        }
    });
    client.media_upload(name, body).await.map_err(|error| {
        let mut error = CliError::from(error);
        // Of several, which one. What is about the daemon or the way to it is about no file.
        if error.detail.code.starts_with("media_") {
            error.detail.message = format!("`{}`: {}", path.display(), error.detail.message);
        }
        error
    })
}

async fn edit(client: &Client, args: Edit, ui: &mut Ui<'_, '_>) -> Outcome {
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let options = options(&args.options)?;
    let media = (!args.media.files.is_empty()).then_some(&args.media);
    let mut ask = r::EditPost {
        parts: some(args.text),
        comment: if args.no_comment { Some(String::new()) } else { args.comment },
        to: some(args.to),
        media: None,
        options: (!options.is_empty()).then_some(options),
        variants: None,
        late: args.late,
        unfinished: false,
        intended: None,
        version: None,
    };
    if media.is_none() && ask == r::EditPost::default() {
        return Err(CliError::usage("nothing to change was given").hint(
            "give a new text, --to, --media, --comment, --option or --late; a new time: post reschedule",
        ));
    }
    if let Some(parts) = ask.parts.take() {
        ask.parts = Some(texts(parts, ui)?);
    }
    if let Some(media) = media {
        ask.media = Some(upload(client, &media.files, ui).await?);
    }
    let post = client.post_edit(&args.id, &ask).await?;
    acted(&post, "changed", ui)
}

async fn reschedule(client: &Client, args: Reschedule, ui: &mut Ui<'_, '_>) -> Outcome {
    if let Some(queue) = &args.all_in {
        let list = client.queue_reschedule(queue, &args.by.unwrap_or_default()).await?;
        if ui.json {
            ui.document(&list)?;
            return Ok(0);
        }
        let due = |it: &m::Post| it.deliveries.iter().map(|it| it.due).min();
        let (n, posts) = (list.posts.len(), if list.posts.len() == 1 { "post" } else { "posts" });
        ui.line(&format!("moved {n} {posts} of queue {}", clean_line(queue)))?;
        for it in &list.posts {
            let at = due(it).map_or_else(|| "no time".to_owned(), |at| ui.short_time(at));
            ui.line(&format!("  {}  {at}", clean_line(&it.id)))?;
        }
        for notice in &list.notices {
            ui.line(&format!("  {}", clean_line(notice)))?;
        }
        return Ok(0);
    }
    let to = match (args.at, args.queue, args.by) {
        (Some(at), _, _) => r::Move::At(at),
        (_, Some(queue), _) => r::Move::Queue(queue),
        (_, _, by) => r::Move::By(by.unwrap_or_default()),
    };
    let mut moved = Vec::new();
    let mut failed: Vec<(&String, CliError)> = Vec::new();
    for id in &args.ids {
        match client.post_reschedule(id, to.clone(), args.tz.clone()).await {
            Ok(post) => {
                if !ui.json {
                    acted(&post, "moved", ui)?;
                }
                moved.push(post);
            }
            Err(error) => failed.push((id, CliError::from(error))),
        }
    }
    // With one id its own error says it all; with several, each is told and the rest stands.
    if let ([(_, only)], 1) = (failed.as_slice(), args.ids.len()) {
        return Err(only.clone());
    }
    if ui.json {
        let failures: Vec<_> =
            failed.iter().map(|(id, error)| serde_json::json!({"id": id, "error": error.detail})).collect();
        ui.document(&serde_json::json!({"posts": moved, "next_cursor": null, "failed": failures}))?;
    }
    let Some((_, first)) = failed.first() else { return Ok(0) };
    if ui.json {
        let text = format!("{} of {} could not be moved", failed.len(), args.ids.len());
        ui.fail(&CliError::failed("some_failed", text).hint("`failed` in the answer names each"));
    }
    let told = if ui.json { &[] } else { failed.as_slice() };
    for (id, error) in told {
        let mut error = error.clone();
        error.detail.message = format!("{}: {}", clean_line(id), error.detail.message);
        ui.fail(&error);
    }
    Ok(if moved.is_empty() { first.exit } else { SOME_FAILED })
}

async fn list(client: &Client, args: List, ui: &mut Ui<'_, '_>) -> Outcome {
    if let Some(state) = &args.state
        && state != "held"
        && m::PostStatus::from_word(state).is_none()
        && m::DeliveryState::from_word(state).is_none()
    {
        let known: Vec<&str> = m::PostStatus::ALL.iter().map(|it| it.as_str()).collect();
        return Err(CliError::usage(format!("`{state}` is not a state"))
            .hint(format!("a post is {}; or name a delivery's state, or `held`", known.join(", "))));
    }
    let ask = r::ListPosts {
        state: args.state,
        account: args.account,
        since: args.since,
        until: args.until,
        tz: args.tz,
        limit: args.limit,
        after: args.after,
        ..r::ListPosts::default()
    };
    let page = client.post_list(&ask).await?;
    if ui.json {
        ui.document(&page)?;
        return Ok(0);
    }
    if page.posts.is_empty() {
        ui.line("No posts.")?;
        if ask == r::ListPosts::default() {
            ui.next("sendoff post create \"Hello\" --to ACCOUNT --at \"tomorrow 9am\"")?;
        }
        return Ok(0);
    }
    // Two lines each: an id, a state and a time fill a narrow terminal.
    for it in &page.posts {
        let due = it.deliveries.iter().map(|it| it.due).min();
        let due = due.map_or_else(|| "no time".to_owned(), |at| ui.short_time(at));
        let status = it.status.as_str();
        let status = state_paint(status).map_or(status.to_owned(), |paint| ui.paint(paint, status));
        ui.line(&format!("{}  {status}  {due}", clean_line(&it.id)))?;
        let to = shorten(&it.to.join(", "), 30);
        let text = shorten(&it.body, 76_usize.saturating_sub(to.chars().count()));
        ui.line(&format!("  {}  {text}", ui.paint(Paint::Dim, &to)))?;
    }
    if let Some(cursor) = &page.next_cursor {
        ui.next(&format!("add --after {}", clean_line(cursor)))?;
    }
    Ok(0)
}

/// What a change did, and where the post stands now.
fn acted(post: &m::Post, said: &str, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(post)?;
        return Ok(0);
    }
    ui.line(&format!("{said}: {}", clean_line(&post.id)))?;
    outlook(post, ui)?;
    Ok(0)
}

/// What the daemon understood, and the deliveries in short.
fn outlook(post: &m::Post, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    for notice in &post.notices {
        ui.line(&format!("  {}", clean_line(notice)))?;
    }
    if post.notices.is_empty()
        && let Some(first) = post
            .deliveries
            .iter()
            .filter(|it| it.state == m::DeliveryState::Scheduled)
            .min_by_key(|it| it.due)
    {
        let at = ui.time(first.due, Some(&first.zone));
        ui.line(&format!("  scheduled for {at}"))?;
    }
    if post.deliveries.is_empty() {
        ui.line(&format!("  a {} for {}", post.status, clean_line(&post.to.join(", "))))?;
    }
    for it in &post.deliveries {
        let words = state_words(it);
        let state = state_paint(it.state.as_str()).map_or(words.to_owned(), |p| ui.paint(p, words));
        ui.line(&format!("  {}  {state}", clean_line(&it.account)))?;
    }
    Ok(())
}

fn show(post: &m::Post, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(post)?;
        return Ok(0);
    }
    let status = post.status.as_str();
    let status = state_paint(status).map_or(status.to_owned(), |it| ui.paint(it, status));
    ui.line(&format!("{}  {status}", clean_line(&post.id)))?;
    for (n, part) in post.parts.iter().enumerate() {
        let mark =
            if post.parts.len() > 1 { format!("{}/{} ", n + 1, post.parts.len()) } else { String::new() };
        for (line, text) in clean(part).lines().enumerate() {
            let mark = if line == 0 { mark.clone() } else { " ".repeat(mark.len()) };
            ui.line(&format!("  │ {mark}{text}"))?;
        }
    }
    let media: Vec<String> = post
        .media
        .iter()
        .map(|it| {
            let alt = it
                .alt
                .as_deref()
                .map_or_else(|| "no description".to_owned(), |it| format!("“{}”", shorten(it, 60)));
            let part = if post.parts.len() > 1 { format!(", part {}", it.part) } else { String::new() };
            format!("{} ({}){part}, {alt}", clean_line(&it.name), size(it.bytes))
        })
        .collect();
    let facts = [
        ("comment", post.comment.as_deref().map(|it| shorten(it, 80))),
        ("media", (!media.is_empty()).then(|| media.join("; "))),
        ("to", Some(clean_line(&post.to.join(", ")))),
        ("created", Some(format!("{}, from {}", ui.time(post.created_at, None), post.source))),
    ];
    ui.facts(&facts)?;
    for it in &post.deliveries {
        show_delivery(it, ui)?;
    }
    if let Some(next) = next_step(post) {
        ui.next(&next)?;
    }
    Ok(0)
}

fn show_delivery(it: &m::Delivery, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    let words = state_words(it);
    let state = state_paint(it.state.as_str()).map_or(words.to_owned(), |p| ui.paint(p, words));
    ui.line(&format!(
        "\n{}  {state}  {}",
        clean_line(&it.account),
        ui.paint(Paint::Dim, &clean_line(&it.id))
    ))?;
    let text = |it: &Option<String>| it.as_deref().map(clean_line);
    let published = it.published_at.map(|at| {
        let proof = match &it.reason {
            Some(reason) if reason.class == NOTHING => "accepted, and not published after all",
            _ if it.verified => "read back",
            _ => "accepted, not verified",
        };
        format!("{} ({proof})", ui.time(at, Some(&it.zone)))
    });
    let late = it.lateness_ms.and_then(|ms| u64::try_from(ms).ok());
    // A call that did not reach its network, or was refused there, sent nothing.
    let out = matches!(
        it.state,
        m::DeliveryState::Published
            | m::DeliveryState::HandedOver
            | m::DeliveryState::Sending
            | m::DeliveryState::Unknown
    ) || it.steps.iter().any(|step| step.remote_id.is_some());
    let reason = it.reason.as_ref();
    let progress = it.progress.as_ref().map(|p| {
        let percent = (p.done_bytes.saturating_mul(100) / p.total_bytes.max(1)).min(100);
        format!("{} {percent} % of {}", clean_line(&p.phase), size(p.total_bytes))
    });
    let parts = it.steps.iter().filter(|step| step.permalink.is_some()).count();
    let facts = [
        ("due", it.published_at.is_none().then(|| ui.time(it.due, Some(&it.zone)))),
        ("next try", it.next_try.map(|at| ui.time(at, Some(&it.zone)))),
        ("published", published),
        (if out { "sent" } else { "tried" }, late.map(|ms| format!("{} after its time", span(ms)))),
        ("link", text(&it.permalink)),
        ("parts", (it.steps.len() > 1).then(|| format!("{parts} of {} public", it.steps.len()))),
        ("attempts", (it.attempts > 1).then(|| it.attempts.to_string())),
        ("uploading", progress),
        ("reason", reason.map(|it| clean_line(&it.message))),
        ("network said", reason.and_then(|it| it.raw.as_deref()).map(|it| shorten(it, 400))),
        ("hint", reason.and_then(|it| it.hint.as_deref()).map(clean_line)),
    ];
    ui.facts(&facts)?;
    fetched(it, ui)?;
    why(it, ui)
}

/// Who fetched its media: what to show a network that says it could not.
fn fetched(it: &m::Delivery, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    for row in &it.fetches {
        let at = row.last_at.to_zoned(ui.zone(Some(&it.zone))).strftime("%m-%d %H:%M:%S").to_string();
        let (who, agent) = (clean_line(&row.client), shorten(&row.agent, 60));
        let sent = format!("HTTP {}, {} in {} requests", row.http_status, size(row.bytes), row.requests);
        ui.line(&format!("  {}  {at}  {who} {agent}: {sent}", ui.paint(Paint::Dim, "fetched")))?;
    }
    Ok(())
}

/// Every move with its evidence.
fn why(it: &m::Delivery, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    if it.why.is_empty() {
        return Ok(());
    }
    ui.line(&format!("  {}", ui.paint(Paint::Dim, "why")))?;
    for row in &it.why {
        let at = row.at.to_zoned(ui.zone(Some(&it.zone))).strftime("%m-%d %H:%M:%S%.3f").to_string();
        ui.line(&format!("    {}  {}", ui.paint(Paint::Dim, &at), clean_line(&row.message)))?;
        let status = row.http_status.map(|it| format!("HTTP {it}"));
        let trace = row.trace.as_deref().map(|it| format!("trace {}", clean_line(it)));
        let answer: Vec<_> = [status, trace].into_iter().flatten().collect();
        let because = row.reason.as_deref().map(clean_line);
        let said = row.raw.as_deref().map(|it| shorten(it, 240));
        for (name, text) in [
            ("because", because),
            ("answer", (!answer.is_empty()).then(|| answer.join(", "))),
            ("said", said),
        ] {
            if let Some(text) = text {
                ui.line(&format!("                        {} {text}", ui.paint(Paint::Dim, name)))?;
            }
        }
    }
    Ok(())
}

/// Whether a hint names another way than trying again (a new post, an edit): then no line contradicts it.
fn leads_elsewhere(hint: Option<&str>) -> bool {
    hint.is_some_and(|it| !it.contains("post retry"))
}

/// The command that helps most, if one does.
fn next_step(post: &m::Post) -> Option<String> {
    let stuck = |state| post.deliveries.iter().find(|it| it.state == state);
    if let Some(it) = stuck(m::DeliveryState::NeedsReconnect) {
        let (platform, name) = it.account.split_once(':')?;
        return Some(format!("sendoff account connect {} --name {}", clean_line(platform), clean_line(name)));
    }
    if let Some(it) = stuck(m::DeliveryState::Rejected).or_else(|| stuck(m::DeliveryState::Missed)) {
        if leads_elsewhere(it.reason.as_ref().and_then(|it| it.hint.as_deref())) {
            return None;
        }
        return Some(format!("sendoff post retry {}", clean_line(&it.id)));
    }
    (post.status == m::PostStatus::Draft)
        .then(|| format!("sendoff post reschedule {} --at \"tomorrow 9am\"", clean_line(&post.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaError;

    #[test]
    fn whoever_shall_take_the_file_into_a_new_post_is_not_told_to_try_the_old_one_again() {
        assert!(leads_elsewhere(MediaError::Changed.hint()));
        assert!(!leads_elsewhere(None) && !leads_elsewhere(Some("write it anew, then `sendoff post retry`")));
    }
}
