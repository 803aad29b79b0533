//! `demo`: the sandbox, a real daemon, real OAuth round trips over HTTP, posts through a queue from
//! a TOML file, and what became of them.
//!
//! Nothing here takes a short cut: accounts are connected by the same link a person would open
//! (with a stand-in for the browser that presses "Allow"), posts are made over the control socket,
//! and what is shown at the end is what the daemon says of its deliveries.

mod linkedin;
mod tiktok;
mod told;
mod x;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use url::Url;

use super::interruption::Interruption;
use super::pictures::{gradient, loaf};
use super::{daemon_error, film, load, setup};
use crate::cli::args::{Demo, Globals};
use crate::cli::error::CliError;
use crate::cli::render::{Paint, colored};
use crate::clock::SystemClock;
use crate::control::client::{Client, ClientError};
use crate::control::{messages as m, requests as r};
use crate::daemon::disk::Room;
use crate::daemon::start::{self, Plan};
use crate::domain::hex::hex;
use crate::http::clients::{reading_client, tls};
use crate::sandbox::{self, Running};

/// Longest wait for the last delivery: a queue's slot is at most a minute away.
const PATIENCE: Duration = Duration::from_secs(150);

/// Longest wait for the read-back of what is published.
const READ_BACK: Duration = Duration::from_secs(5);

/// Prints what happens: sentences, or JSON lines.
struct Stage {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Stage {
    /// A pipe that was closed ends nothing: there are keys to be cleared away at the end.
    fn say(&self, text: &str, event: &Value) {
        let mut out = std::io::stdout();
        if self.json {
            drop(writeln!(out, "{event}"));
        } else if !self.quiet {
            drop(writeln!(out, "{}", self.painted(text)));
        }
        drop(out.flush());
    }

    /// The word that says how it ended, in its colour.
    fn painted(&self, text: &str) -> String {
        for (word, paint) in
            [("published", Paint::Green), ("handed over", Paint::Green), ("refused", Paint::Red)]
        {
            if let Some(rest) = text.strip_prefix(word) {
                return colored(self.color, paint, word) + rest;
            }
        }
        text.to_owned()
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> CliError {
    CliError::failed("demo", format!("{what}: {error}"))
}

fn interrupted() -> CliError {
    CliError::failed("interrupted", "the demonstration was interrupted").hint("`sendoff demo` begins anew")
}

fn asked(error: &ClientError) -> CliError {
    let detail = error.detail();
    let plain = CliError::new(error.exit_code(), &detail.code, detail.message);
    match detail.hint {
        Some(hint) => plain.hint(hint),
        None => plain,
    }
}

pub(super) async fn run(args: &Demo, globals: &Globals) -> Result<u8, CliError> {
    let began = tokio::time::Instant::now();
    let terminal = std::io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let stage =
        Stage { json: globals.json, quiet: globals.quiet, color: globals.wants_color(terminal, no_color) };
    let cannot = |error: std::io::Error| failed("signals", error);
    let mut interruption = Interruption::new().map_err(cannot)?;
    // Dropped last, however this ends: there are keys in it.
    let place = directory(args);
    let dir = place.dir().to_owned();
    let options =
        sandbox::Options { listen: ([127, 0, 0, 1], 0).into(), faults: sandbox::Faults::default(), seed: 1 };
    let running =
        sandbox::start(options, Arc::new(SystemClock)).await.map_err(|error| failed("the sandbox", error))?;
    stage.say(
        &format!(
            "sandbox     {} (stand-ins for Facebook, Instagram, X, LinkedIn, TikTok and Bluesky)",
            running.url
        ),
        &json!({ "event": "sandbox", "url": running.url }),
    );
    let config_path = write_config(&dir, &running, args.fast)?;
    let config = load(&config_path)?;
    // The demonstration tells its own story; the daemon's log is for `-v`.
    super::log(&config, &Globals { quiet: globals.verbose == 0, ..globals.clone() });
    let socket = config.server.control_socket.clone();
    let plan = Plan {
        config,
        config_path: config_path.clone(),
        clock: Arc::new(SystemClock),
        notify: false,
        room: Room::default(),
    };
    let daemon = start::start(plan).await.map_err(|error| daemon_error(&error))?;
    stage.say(
        &format!("daemon      {} with {}", daemon.listen, config_path.display()),
        &json!({ "event": "daemon", "listen": daemon.listen, "config": config_path }),
    );
    let client = Client::new(&socket).map_err(|error| asked(&error))?;
    let outcome = tokio::select! {
        outcome = play(&stage, &client, &running, args.fast, began) => outcome,
        () = interruption.comes() => Err(interrupted()),
    };
    let outcome = match outcome {
        Ok(code) if !args.once && has_console(globals) => {
            tokio::select! {
                shown = super::console(&socket, globals) => shown.map(|_| code),
                () = interruption.comes() => Ok(code),
            }
        }
        Ok(code) if !args.once => {
            stage.say(
                &format!(
                    "\nLook at {0}facebook, {0}instagram, {0}x, {0}linkedin, {0}tiktok and {0}bluesky; Ctrl-C \
                     ends the demonstration.",
                    running.url
                ),
                &json!({ "event": "waiting", "url": running.url }),
            );
            interruption.comes().await;
            Ok(code)
        }
        other => other,
    };
    daemon.stop().await;
    running.stop().await;
    outcome
}

/// Whether there is somebody to show the console to. The daemon's log has the terminal with `-v`.
fn has_console(globals: &Globals) -> bool {
    !globals.json && globals.verbose == 0 && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Where the demonstration works.
enum Place {
    /// The user's own directory, which stays.
    Kept(PathBuf),
    /// One of ours, which goes with this value.
    ThrownAway(PathBuf),
}

impl Place {
    fn dir(&self) -> &Path {
        match self {
            Self::Kept(dir) | Self::ThrownAway(dir) => dir,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::ThrownAway(dir) = self {
            // It may never have been made.
            drop(std::fs::remove_dir_all(dir));
        }
    }
}

fn directory(args: &Demo) -> Place {
    if let Some(dir) = &args.dir {
        return Place::Kept(dir.clone());
    }
    let mut tail = [0; 8];
    start::random(&mut tail);
    Place::ThrownAway(std::env::temp_dir().join(format!("sendoff-demo-{}", hex(&tail))))
}

/// What `init` writes, pointed at the sandbox, with a queue.
fn write_config(dir: &Path, running: &Running, fast: bool) -> Result<PathBuf, CliError> {
    setup::init(Some(dir))?;
    let path = dir.join("sendoff.toml");
    // A port that is free now; the daemon says so if somebody was quicker.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|it| it.local_addr())
        .map_err(|error| failed("no free port", error))?
        .port();
    let written = std::fs::read_to_string(&path).map_err(|error| failed("the configuration", error))?;
    let mut settings: toml::Table = written.parse().map_err(|error| failed("the configuration", error))?;
    // TikTok fetches photos from nobody who does not prove whose the address is.
    let (proof, content) = sandbox::VERIFICATION;
    let more = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\n\
         verification_files = {{ \"{proof}\" = \"{content}\" }}\n{}\n\
         [engine]\nlane_spacing = \"{}\"\npoll_scale = 0.05\n\
         [[queue]]\nname = \"every-minute\"\ncron = [\"* * * * *\"]\ntimezone = \"UTC\"\n\
         accounts = [\"x:acme\", \"bluesky:acme\"]\n",
        running.config(),
        if fast { "200ms" } else { "1s" },
    );
    merge(&mut settings, more.parse().map_err(|error| failed("the sandbox's configuration", error))?);
    std::fs::write(&path, settings.to_string()).map_err(|error| failed("the configuration", error))?;
    Ok(path)
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

async fn play(
    stage: &Stage,
    client: &Client,
    running: &Running,
    fast: bool,
    began: tokio::time::Instant,
) -> Result<u8, CliError> {
    let instance = running.url.as_str().trim_end_matches('/').to_owned();
    connect(stage, client, "x", None, "acme").await?;
    connect(stage, client, "bluesky", Some(instance), "acme").await?;
    connect(stage, client, "facebook", None, "acme").await?;
    connect(stage, client, "instagram", None, "acme").await?;
    connect(stage, client, "linkedin", None, "acme").await?;
    connect(stage, client, "tiktok", None, "acme").await?;
    let refusal = refuse(stage, client).await?;

    let mut events = client
        .events(&r::Events { backlog: Some(0), follow: true, ..r::Events::default() })
        .await
        .map_err(|error| asked(&error))?;
    let both = ["x:acme", "bluesky:acme"];
    let mut posts = Vec::new();
    let text = "Good morning from a queue in a TOML file ☀️";
    posts.push(post(stage, client, &[text], &both, r::When::Queue("every-minute".into()), Vec::new()).await?);
    if let (true, Some(queued)) = (fast, posts.first()) {
        // Its slot is up to a minute away.
        let soon = r::Move::At("+1s".into());
        client.post_reschedule(queued, soon, None).await.map_err(|error| asked(&error))?;
    }
    let thread = ["A thread, part one: written once,", "part two: published once, in order."];
    let soon = |seconds: &str| r::When::At(if fast { "+1s" } else { seconds }.into());
    posts.push(post(stage, client, &thread, &both, soon("+3s"), Vec::new()).await?);
    let oven = "A warm gradient, like the inside of an oven";
    let picture = vec![upload(client, "oven.png", picture(gradient([240, 80, 40]))?, Some(oven)).await?];
    let text = "A picture with a description, see https://example.com/oven #bread";
    let three = ["bluesky:acme", "facebook:acme", "instagram:acme"];
    posts.push(post(stage, client, &[text], &three, soon("+2s"), picture).await?);
    posts.push(post(stage, client, &["And one right now."], &["x:acme"], r::When::Now, Vec::new()).await?);
    posts.extend(of_meta(stage, client).await?);
    posts.extend(linkedin::posts(stage, client).await?);
    posts.extend(tiktok::posts(stage, client).await?);
    posts.extend(x::posts(stage, client).await?);

    let limit = tokio::time::sleep(PATIENCE);
    tokio::pin!(limit);
    let mut told = Vec::new();
    let mut settled = tokio::time::Instant::now();
    loop {
        let deliveries = current(client, &posts).await?;
        let patient = settled.elapsed() <= READ_BACK;
        // Told with its evidence, which a read-back brings within moments; Instagram tells a post's address
        // only then.
        let ripe = |it: &&m::Delivery| is_over(it) && (is_proven(it) || !patient);
        for delivery in deliveries.iter().filter(ripe) {
            if !told.contains(&delivery.id) {
                told.push(delivery.id.clone());
                tell(stage, running, delivery);
            }
        }
        let read_back = deliveries.iter().all(is_proven) || !patient;
        if !deliveries.iter().all(is_over) {
            settled = tokio::time::Instant::now();
        } else if read_back {
            return Ok(finish(stage, running, &deliveries, &refusal, began));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
            event = events.next() => if event.is_none() {
                return Err(failed("the daemon", "its event stream ended"));
            },
            () = &mut limit => return Err(failed("time", "not everything was published in time")),
        }
    }
}

fn is_over(delivery: &m::Delivery) -> bool {
    use m::DeliveryState as D;
    matches!(delivery.state, D::Published | D::HandedOver | D::Rejected | D::Cancelled | D::Missed)
}

/// Whether it has all the evidence that its network gives. A member's posts on LinkedIn can be read by nobody.
fn is_proven(delivery: &m::Delivery) -> bool {
    let named = |it: &m::Step| it.remote_id.is_some() && it.permalink.is_some();
    match delivery.state {
        m::DeliveryState::Published => {
            let read = delivery.verified || delivery.account.starts_with("linkedin:");
            read && delivery.steps.iter().all(named)
        }
        m::DeliveryState::HandedOver => delivery.steps.iter().all(|it| it.publish_id.is_some()),
        _ => false,
    }
}

async fn current(client: &Client, posts: &[String]) -> Result<Vec<m::Delivery>, CliError> {
    let mut all = Vec::new();
    for id in posts {
        all.extend(client.post_show(id).await.map_err(|error| asked(&error))?.deliveries);
    }
    Ok(all)
}

/// Where a person can see it: the network's own address, on the stand-in.
fn shown_at(running: &Running, delivery: &m::Delivery) -> String {
    let link = delivery.permalink.clone().unwrap_or_default();
    let base = running.url.as_str().trim_end_matches('/');
    let here = [
        ("https://x.com/", "/x/"),
        ("https://www.tiktok.com/", "/tiktok/"),
        ("https://bsky.app/", "/"),
        ("https://www.linkedin.com/", "/linkedin/"),
    ];
    here.iter().fold(link, |link, (there, path)| link.replacen(there, &format!("{base}{path}"), 1))
}

fn tell(stage: &Stage, running: &Running, delivery: &m::Delivery) {
    let late = delivery.lateness_ms.unwrap_or_default();
    let text = if delivery.state == m::DeliveryState::Published {
        // Promised: what was only answered is not called proven.
        let proof = if delivery.verified { "" } else { "; accepted, not verified" };
        format!(
            "{:<11} {:<14} {late} ms after its time{proof}\n{:12}{}",
            "published",
            delivery.account,
            "",
            shown_at(running, delivery)
        )
    } else if delivery.state == m::DeliveryState::HandedOver {
        let task = delivery.steps.first().and_then(|it| it.publish_id.as_deref()).unwrap_or("unnamed");
        format!(
            "{:<11} {:<14} it waits in the inbox there, to be finished by hand\n{:12}publish_id {task}",
            "handed over", delivery.account, ""
        )
    } else {
        let why = delivery.reason.as_ref().map_or("", |it| it.message.as_str());
        format!("{:<11} {:<14} {why}", delivery.state.as_str(), delivery.account)
    };
    stage.say(
        &text,
        &json!({ "event": "delivery", "delivery": delivery, "shown_at": shown_at(running, delivery) }),
    );
}

fn finish(
    stage: &Stage,
    running: &Running,
    deliveries: &[m::Delivery],
    refusal: &m::ErrorDetail,
    began: tokio::time::Instant,
) -> u8 {
    let count = |state| deliveries.iter().filter(|it| it.state == state).count();
    let (live, inbox) = (count(m::DeliveryState::Published), count(m::DeliveryState::HandedOver));
    let all = live + inbox == deliveries.len() && deliveries.iter().all(is_proven);
    // What the stand-in refused would have been refused by the network.
    let refused: Vec<_> = running.refusals().iter().map(|it| format!("{}: {}", it.call, it.reason)).collect();
    let ok = all && refused.is_empty();
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let verified = deliveries.iter().filter(|it| it.verified).count();
    let mut text = format!(
        "\n{live} of {} published ({verified} read back), {inbox} handed over, 1 refused before it was \
         scheduled, in {:.1} s",
        deliveries.len(),
        began.elapsed().as_secs_f64(),
    );
    let over = |it: &&m::Delivery| {
        matches!(it.state, m::DeliveryState::Published | m::DeliveryState::HandedOver) && !is_proven(it)
    };
    for it in deliveries.iter().filter(over) {
        text.push_str("\nwithout its evidence: ");
        text.push_str(&it.account);
    }
    for line in &refused {
        text.push_str("\nthe stand-in refused: ");
        text.push_str(line);
    }
    stage.say(
        &text,
        &json!({
            "event": "done", "ok": ok, "deliveries": deliveries, "refused": [refusal],
            "network_refusals": refused, "elapsed_ms": elapsed_ms,
        }),
    );
    u8::from(!ok)
}

/// The over-long text: refused before it is scheduled, with the reason in the network's own unit.
async fn refuse(stage: &Stage, client: &Client) -> Result<m::ErrorDetail, CliError> {
    let long = "Too long for X. ".repeat(20);
    let ask = r::CreatePost {
        parts: vec![long],
        to: vec!["x:acme".into()],
        when: Some(r::When::Now),
        source: Some("cli".into()),
        ..r::CreatePost::default()
    };
    match client.post_create(&ask).await {
        Err(ClientError::Api(error)) if !error.problems.is_empty() => {
            let detail = error.detail();
            let hint = detail.hint.as_deref().unwrap_or_default();
            stage.say(
                &format!("refused     x:acme         {}\n{:27}hint: {hint}", detail.message, ""),
                &json!({ "event": "refused", "error": detail }),
            );
            Ok(detail)
        }
        Err(error) => Err(asked(&error)),
        Ok(_) => Err(failed("validation", "a text that is too long was taken")),
    }
}

async fn post(
    stage: &Stage,
    client: &Client,
    parts: &[&str],
    to: &[&str],
    when: r::When,
    media: Vec<r::MediaRef>,
) -> Result<String, CliError> {
    create(
        stage,
        client,
        r::CreatePost {
            parts: parts.iter().map(|it| (*it).to_owned()).collect(),
            to: to.iter().map(|it| (*it).to_owned()).collect(),
            media,
            when: Some(when),
            ..r::CreatePost::default()
        },
    )
    .await
}

async fn create(stage: &Stage, client: &Client, ask: r::CreatePost) -> Result<String, CliError> {
    let ask = r::CreatePost { source: Some("cli".into()), ..ask };
    let made = client.post_create(&ask).await.map_err(|error| asked(&error))?;
    let line = |account: &String| format!("            {account:<14} {}", told::told(&made, account));
    let to: Vec<_> = made.to.iter().map(line).collect();
    stage.say(&to.join("\n").replacen("    ", "post", 1), &json!({ "event": "scheduled", "post": made }));
    Ok(made.id)
}

/// What Meta's networks show beside a picture: several pictures in one post, and a reel; a text alone is
/// for the Page.
async fn of_meta(stage: &Stage, client: &Client) -> Result<Vec<String>, CliError> {
    let to = ["facebook:acme", "instagram:acme"];
    let mut posts = Vec::new();
    posts.push(post(stage, client, &["A text for the Page."], &to[..1], r::When::Now, Vec::new()).await?);
    let mut loaves = Vec::new();
    for (name, shade, alt) in
        [("rye.png", [112, 70, 40], "A dark loaf"), ("spelt.png", [206, 144, 76], "A light loaf")]
    {
        loaves.push(upload(client, name, picture(loaf(shade))?, Some(alt)).await?);
    }
    posts.push(post(stage, client, &["Two loaves, two pictures."], &to, r::When::Now, loaves).await?);
    let film = upload(client, "oven.mp4", film::film(4), None).await?;
    let reel = r::CreatePost {
        parts: vec!["Four seconds of warmth.".into()],
        to: to.map(str::to_owned).to_vec(),
        media: vec![film],
        when: Some(r::When::Now),
        options: ["facebook", "instagram"]
            .map(|it| (it.to_owned(), [("format".into(), "reel".into())].into()))
            .into(),
        ..r::CreatePost::default()
    };
    posts.push(create(stage, client, reel).await?);
    Ok(posts)
}

fn picture(made: image::ImageResult<Vec<u8>>) -> Result<Vec<u8>, CliError> {
    made.map_err(|error| failed("the picture", error))
}

async fn upload(
    client: &Client,
    name: &str,
    bytes: Vec<u8>,
    alt: Option<&str>,
) -> Result<r::MediaRef, CliError> {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let file = client.media_upload(Some(name.into()), body).await.map_err(|error| asked(&error))?;
    Ok(r::MediaRef { id: file.id, alt: alt.map(str::to_owned), part: None })
}

/// Connects an account as a person would: opens the link, allows, comes back, confirms.
async fn connect(
    stage: &Stage,
    client: &Client,
    platform: &str,
    instance: Option<String>,
    name: &str,
) -> Result<(), CliError> {
    let ask =
        r::Connect { platform: platform.into(), name: Some(name.into()), instance, ..r::Connect::default() };
    let started = client.connect_start(&ask).await.map_err(|error| asked(&error))?;
    let mut events = client.connect_events(&started.id).await.map_err(|error| asked(&error))?;
    while let Some(event) = events.next().await {
        match event.map_err(|error| asked(&error))? {
            m::ConnectEvent::Link { url, .. } => browse(&url).await?,
            m::ConnectEvent::Found { .. } => {
                client.connect_confirm(&started.id, &r::Choice::All).await.map_err(|error| asked(&error))?;
            }
            m::ConnectEvent::Connected { account } => {
                stage.say(
                    &format!(
                        "connected   {:<14} @{} ({} scopes granted)",
                        account.account,
                        account.username,
                        account.scopes.len()
                    ),
                    &json!({ "event": "connected", "account": account }),
                );
                return Ok(());
            }
            m::ConnectEvent::Failed { error } => return Err(failed(platform, error.message)),
        }
    }
    Err(failed(platform, "the connect ended without an answer"))
}

/// The stand-in for a browser: follows the start link, keeps its cookie, presses "Allow" on the
/// consent page, and goes where it is sent.
async fn browse(link: &str) -> Result<(), CliError> {
    let http = tls(None).and_then(reading_client).map_err(|error| failed("the browser", error))?;
    let fault = |error: reqwest::Error| failed("the browser", error.without_url());
    let go = |answer: &reqwest::Response| -> Result<Url, CliError> {
        let place = answer.headers().get(http::header::LOCATION).and_then(|it| it.to_str().ok());
        place
            .and_then(|it| answer.url().join(it).ok())
            .ok_or_else(|| failed("the browser", format!("expected to be sent on, got {}", answer.status())))
    };
    let first = http.get(link).send().await.map_err(fault)?;
    let cookie = first
        .headers()
        .get(http::header::SET_COOKIE)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.split(';').next())
        .unwrap_or_default()
        .to_owned();
    let consent = go(&first)?;
    // The page itself, as a person would see it; then the button.
    http.get(consent.clone()).send().await.and_then(reqwest::Response::error_for_status).map_err(fault)?;
    let pressed = http.post(consent).form(&[("decision", "allow")]).send().await.map_err(fault)?;
    let back = go(&pressed)?;
    let landed = http.get(back).header(http::header::COOKIE, &cookie).send().await.map_err(fault)?;
    let clean = go(&landed)?;
    http.get(clean).header(http::header::COOKIE, &cookie).send().await.map_err(fault)?;
    Ok(())
}
