//! Settings as TOML: the effective ones for `config print`, and the first ones for `init`.

use std::fmt::Display;
use std::path::Path;

use super::secret::SecretSource;
use super::{Config, InstagramLogin, LimitScope, LogFormat, Platform, Recurring, TikTokApp, TikTokMode};
use crate::domain::cost::usd;
use crate::domain::ids::PlatformName;
use crate::domain::schedule::print_duration;
use crate::domain::schedule::slots::SlotPattern;

/// A TOML string with all escapes it needs.
fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|it| quote(&it.to_string())).collect();
    format!("[{}]", items.join(", "))
}

fn source(secret: &SecretSource) -> String {
    match secret {
        SecretSource::File(file) => format!("{{ file = {} }}", path(file)),
        SecretSource::Credential(name) => format!("{{ credential = {} }}", quote(name)),
        SecretSource::Env(name) => format!("{{ env = {} }}", quote(name)),
    }
}

/// Lines of `key = value` below section headers.
#[derive(Default)]
struct Page(String);

impl Page {
    fn section(&mut self, header: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0.extend([gap, header, "\n"]);
    }

    fn line(&mut self, key: &str, value: impl Display) {
        self.0.extend([key, " = ", &value.to_string(), "\n"]);
    }
}

pub(super) fn print(config: &Config) -> String {
    let mut page = Page::default();
    page.section("[server]");
    let server = &config.server;
    page.line("listen", quote(&server.listen.to_string()));
    page.line("public_url", quote(server.public_url.as_str().trim_end_matches('/')));
    page.line("trusted_proxies", list(&server.trusted_proxies));
    let files: Vec<_> = server
        .verification_files
        .iter()
        .map(|(name, text)| format!("{} = {}", quote(name), quote(text)))
        .collect();
    page.line(
        "verification_files",
        if files.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", files.join(", ")) },
    );
    page.line("control_socket", path(&server.control_socket));
    page.section("[storage]");
    page.line("data_dir", path(&config.data_dir));
    page.section("[keys]");
    page.line("master", source(&config.master));
    page.section("[defaults]");
    page.line("timezone", quote(&config.timezone.name));
    page.line("late", quote(&config.late.to_string()));
    for (name, platform) in &config.platforms {
        print_platform(&mut page, *name, platform);
    }
    for queue in &config.queues {
        page.section("[[queue]]");
        page.line("name", quote(&queue.name));
        let cron: Vec<_> = queue.cron.iter().map(SlotPattern::as_str).collect();
        page.line("cron", list(&cron));
        page.line("timezone", quote(&queue.timezone.name));
        page.line("accounts", list(&queue.accounts));
        page.line("jitter", quote(&print_duration(queue.jitter)));
    }
    for it in &config.recurring {
        print_recurring(&mut page, it);
    }
    page.section("[engine]");
    for (key, value) in config.engine.durations() {
        page.line(key, quote(&print_duration(value)));
    }
    for (key, value) in config.engine.scales() {
        // `{:?}` keeps the `.0` that makes it a TOML float.
        page.line(key, format!("{value:?}"));
    }
    page.section("[egress]");
    page.line("allow", list(&config.egress_allow));
    page.section("[limits]");
    let limits = &config.limits;
    page.line("connections", limits.connections);
    page.line("per_address", limits.per_address);
    page.line("callbacks_per_minute", limits.callbacks_per_minute);
    page.line("media_max_bytes", limits.media_max_bytes);
    page.line("media_max_pixels", limits.media_max_pixels);
    page.line("media_max_duration", quote(&print_duration(limits.media_max_duration)));
    page.section("[log]");
    page.line("level", quote(config.log.level));
    page.line(
        "format",
        quote(match config.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }),
    );
    page.section("[privacy]");
    page.line("operator", quote(&config.privacy.operator));
    page.line("contact", quote(&config.privacy.contact));
    page.line("retention", quote(&config.privacy.retention));
    page.0
}

fn print_recurring(page: &mut Page, it: &Recurring) {
    page.section("[[recurring]]");
    page.line("name", quote(&it.name));
    let cron: Vec<_> = it.cron.iter().map(SlotPattern::as_str).collect();
    page.line("cron", list(&cron));
    page.line("timezone", quote(&it.timezone.name));
    page.line("accounts", list(&it.accounts));
    if let Some((body, thread)) = it.parts.split_first() {
        page.line("body", quote(body));
        page.line("thread", list(thread));
    }
    if let Some(comment) = &it.comment {
        page.line("comment", quote(comment));
    }
    if let Some(until) = it.until {
        page.line("until", quote(&until.to_string()));
    }
    if let Some(count) = it.count {
        page.line("count", count);
    }
    page.line("jitter", quote(&print_duration(it.jitter)));
    page.line("late", quote(&it.late.to_string()));
    for (platform, set) in &it.options {
        page.section(&format!("[recurring.options.{platform}]"));
        for (key, value) in set {
            page.line(&quote(key), quote(value));
        }
    }
}

fn print_platform(page: &mut Page, name: PlatformName, platform: &Platform) {
    page.section(&format!("[platforms.{name}]"));
    if let Some(id) = &platform.client_id {
        page.line("client_id", quote(id));
    }
    if let Some(secret) = &platform.client_secret {
        page.line("client_secret", source(secret));
    }
    page.line("resend_when_absent", platform.resend_when_absent);
    if let Some(version) = &platform.api_version {
        page.line(
            if name == PlatformName::LinkedIn { "linkedin_version" } else { "graph_version" },
            quote(version),
        );
    }
    if let Some(budget) = platform.monthly_budget {
        page.line("monthly_budget_usd", usd(budget));
    }
    if name == PlatformName::Instagram {
        page.line(
            "login",
            quote(match platform.login {
                InstagramLogin::Instagram => "instagram",
                InstagramLogin::Facebook => "facebook",
            }),
        );
    }
    if let Some(id) = &platform.config_id {
        page.line("config_id", quote(id));
    }
    if name == PlatformName::TikTok {
        page.line(
            "app_kind",
            quote(match platform.app_kind {
                TikTokApp::Web => "web",
                TikTokApp::Desktop => "desktop",
            }),
        );
        page.line(
            "mode",
            quote(match platform.mode {
                TikTokMode::Inbox => "inbox",
                TikTokMode::Direct => "direct",
            }),
        );
    }
    for limit in &platform.limits {
        page.section(&format!("[[platforms.{name}.limits]]"));
        page.line("calls", limit.calls);
        page.line("per", quote(&print_duration(limit.per)));
        page.line(
            "scope",
            quote(match limit.scope {
                LimitScope::Account => "account",
                LimitScope::App => "app",
            }),
        );
    }
    if !platform.endpoints.is_empty() {
        page.section(&format!("[platforms.{name}.endpoints]"));
        for (key, url) in &platform.endpoints {
            page.line(key, quote(url));
        }
    }
    if let Some(app) = &platform.organization {
        page.section(&format!("[platforms.{name}.organization]"));
        page.line("client_id", quote(&app.client_id));
        if let Some(secret) = &app.client_secret {
            page.line("client_secret", source(secret));
        }
    }
}

pub(super) fn starter(dir: &Path, timezone: &str) -> String {
    let (socket, data, key) = (dir.join("control.sock"), dir.join("data"), dir.join("master.key"));
    format!(
        r#"# Sendoff's settings. `sendoff config check` looks them over; `sendoff config print` shows every
# value in force. `kill -HUP` (or `systemctl reload sendoff`) takes up most changes.

[server]
# The public listener: the end of a sign-in, media while a network fetches it, legal pages.
listen = "127.0.0.1:8420"
# How a browser reaches it. With a domain and a TLS proxy in front: "https://post.example.org".
public_url = "http://127.0.0.1:8420"
# The door of the command line and the console.
control_socket = {socket}

[storage]
data_dir = {data}

[keys]
# Opens the stored tokens. Keep a copy of it, but not beside a copy of the data.
master = {{ file = {key} }}

[defaults]
# The zone of times that name none.
timezone = {timezone}
# A post that could not go out by this much after its time is not sent, and you are told.
late = "60m"

# One section for each network whose app you have registered. Bluesky and Mastodon need none.
# In its console each app is told where a sign-in ends: public_url and /oauth/NAME/callback, exactly.
# [platforms.x]
# client_id = "your client id"
# client_secret = {{ file = "x.secret" }}

# Meta calls them app id and app secret, and takes no app without a secret. Of http addresses Facebook
# takes "http://localhost:8420" alone, as public_url too, and only while the app is in development mode.
# [platforms.facebook]
# client_id = "your app id"
# client_secret = {{ file = "facebook.secret" }}

# The Instagram app's own id and secret, not the Meta app's; or login = "facebook" and neither, for
# accounts that hang on a Page. Needs a public https address in public_url either way.
# [platforms.instagram]
# client_id = "your Instagram app id"
# client_secret = {{ file = "instagram.secret" }}

# A queue: posts put into it take the next free slot.
# [[queue]]
# name = "mornings"
# cron = ["0 9 * * MON-FRI"]
# accounts = ["x:acme"]
"#,
        socket = path(&socket),
        data = path(&data),
        key = path(&key),
        timezone = quote(timezone),
    )
}
