//! What concerns the app at a network: where its console takes which address, what reaches this installation
//! from there, and what the console alone shows.

use url::Url;

use super::m::FindingResult::{Ok as Fine, Warning};
use super::{Findings, at, m};
use crate::config::{Config, InstagramLogin, TikTokApp, TikTokMode};
use crate::domain::ids::PlatformName;

/// What TikTok wants to reach here: photos, which it fetches, and its word of what became of posts.
pub(super) fn tiktok(config: &Config, found: &mut Findings) {
    let platform = PlatformName::TikTok;
    let url = &config.server.public_url;
    if url.scheme() == "https" {
        let page = at(url, "/webhooks/tiktok");
        let message = format!("TikTok's word of what became of a post is heard at `{page}`");
        let hint = "developers.tiktok.com: Manage apps, the app, Webhooks: that address. Without it TikTok is \
                    asked again and again, which comes to the same a little later";
        found.put(platform, "callbacks", Fine, message, Some(hint.into()));
    } else {
        let message = "TikTok can send no word of what became of a post; it is asked instead";
        found.put(platform, "callbacks", Fine, message, None);
    }
    if config.platform(platform).app_kind == TikTokApp::Desktop && !is_stand_in(config, platform) {
        found.put(
            platform,
            "photos",
            Warning,
            "an app for desktop comes back to this machine alone, and from there TikTok fetches no photos",
            Some(
                "videos need nothing; for photos register an app for the web, with an https `public_url`, and \
                 set `app_kind = \"web\"`"
                    .into(),
            ),
        );
    }
}

/// The network is one of our own stand-ins, which take what they stand for does not.
pub(super) fn is_stand_in(config: &Config, platform: PlatformName) -> bool {
    let there = config.platform(platform).endpoints.values().next().map_or("", String::as_str);
    Url::parse(there).is_ok_and(|it| it.scheme() == "http")
}

/// Meta's callbacks need the app's secret and an address that Meta reaches.
pub(super) fn callbacks(config: &Config, platform: PlatformName, found: &mut Findings) {
    if !matches!(platform, PlatformName::Facebook | PlatformName::Instagram)
        || config.platform(platform).client_secret.is_none()
    {
        return;
    }
    let url = &config.server.public_url;
    if url.scheme() == "https" {
        let hint = format!(
            "deauthorize: `{}`; data deletion: `{}`",
            at(url, &format!("/meta/{platform}/deauthorize")),
            at(url, &format!("/meta/{platform}/data-deletion"))
        );
        let message = "Meta's callbacks are heard here; the app must know their addresses";
        found.put(platform, "callbacks", Fine, message, Some(hint));
    } else {
        found.put(
            platform,
            "callbacks",
            Warning,
            "Meta cannot tell this installation that somebody removed the app or wants their data deleted",
            Some(
                "with an https `public_url` it can; else `sendoff erase --platform-user` does it by hand"
                    .into(),
            ),
        );
    }
}

/// Where the console of a network takes the address to come back to. None: there is no app.
pub(super) fn place(config: &Config, platform: PlatformName) -> Option<&'static str> {
    Some(match platform {
        PlatformName::X => "console.x.com: the app, User authentication settings, Callback URI",
        PlatformName::Facebook => {
            "developers.facebook.com: Facebook Login, Settings, Valid OAuth Redirect URIs"
        }
        PlatformName::Instagram => match config.platform(platform).login {
            InstagramLogin::Instagram => {
                "developers.facebook.com: Instagram, API setup with Instagram login, Business login settings, \
                 OAuth redirect URIs"
            }
            InstagramLogin::Facebook => {
                "developers.facebook.com: Facebook Login, Settings, Valid OAuth Redirect URIs"
            }
        },
        PlatformName::LinkedIn => {
            "linkedin.com/developers/apps: the app (each of them), Auth, Authorized redirect URLs"
        }
        PlatformName::TikTok => "developers.tiktok.com: Manage apps, the app, Login Kit, Redirect URI",
        PlatformName::Bluesky | PlatformName::Mastodon | PlatformName::Threads => return None,
    })
}

/// What is known against an address that our own rules let through.
pub(super) fn doubt(platform: PlatformName, config: &Config) -> (m::FindingResult, &'static str) {
    let url = &config.server.public_url;
    match platform {
        _ if url.scheme() == "https" || is_stand_in(config, platform) => (Fine, ""),
        PlatformName::Facebook if url.host_str() != Some("localhost") => (
            Warning,
            "; of http addresses Facebook takes `http://localhost:PORT` alone, and that only while the app is in \
             development mode",
        ),
        PlatformName::LinkedIn => (Warning, "; whether LinkedIn takes it is for its own page to say"),
        _ => (Fine, ""),
    }
}

/// What no call tells, and where it stands.
pub(super) fn only_there(config: &Config, platform: PlatformName) -> &'static [(&'static str, &'static str)] {
    const LIVE: (&str, &str) = (
        "whether the app is live cannot be seen from here",
        "developers.facebook.com, App settings: while it is in development mode, only people with a role on it \
         see its posts",
    );
    match platform {
        PlatformName::X => &[(
            "whether the app has credits and the permission to write cannot be seen from here",
            "console.x.com: Billing; and User authentication settings, App permissions: Read and write",
        )],
        PlatformName::Facebook | PlatformName::Instagram => &[LIVE],
        PlatformName::LinkedIn => &[(
            "which products the app has cannot be seen from here",
            "linkedin.com/developers/apps, the app, Auth, OAuth 2.0 scopes must list what is asked for; one that \
             is missing breaks every sign-in",
        )],
        PlatformName::TikTok => match (config.platform(platform).mode, config.platform(platform).app_kind) {
            (TikTokMode::Direct, _) => &[(
                "whether TikTok has audited the app cannot be seen from here",
                "until it has, direct posts are taken from private accounts with the audience SELF_ONLY alone",
            )],
            (TikTokMode::Inbox, TikTokApp::Web | TikTokApp::Desktop) => &[(
                "whether the app has the scope video.upload cannot be seen from here",
                "developers.tiktok.com: Manage apps, the app, Scopes",
            )],
        },
        PlatformName::Bluesky | PlatformName::Mastodon | PlatformName::Threads => &[],
    }
}
