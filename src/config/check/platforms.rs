//! `[platforms.*]`: one shape in the file, and for each network the keys that it has.

use std::collections::BTreeMap;

use toml::Spanned;

use super::super::fault::Show;
use super::super::file::{AppFile, CallLimitFile, PlatformFile, PlatformsFile};
use super::super::secret::{SecretSource, SecretWritten};
use super::super::{App, CallLimit, InstagramLogin, LimitScope, Platform, TikTokApp, TikTokMode};
use super::{Check, duration, web_address, wrong};
use crate::domain::ids::PlatformName;

/// The base URLs of each network; `config.example.toml` repeats them.
fn endpoints(name: PlatformName) -> &'static [(&'static str, &'static str)] {
    match name {
        PlatformName::X => &[("authorize", "https://x.com"), ("api", "https://api.x.com")],
        PlatformName::Facebook => &[
            ("authorize", "https://www.facebook.com"),
            ("graph", "https://graph.facebook.com"),
            ("upload", "https://rupload.facebook.com"),
        ],
        PlatformName::Instagram => &[
            ("authorize", "https://www.instagram.com"),
            ("token", "https://api.instagram.com"),
            ("graph", "https://graph.instagram.com"),
        ],
        PlatformName::Threads => {
            &[("authorize", "https://threads.com"), ("graph", "https://graph.threads.net")]
        }
        PlatformName::LinkedIn => {
            &[("oauth", "https://www.linkedin.com"), ("api", "https://api.linkedin.com")]
        }
        PlatformName::TikTok => {
            &[("authorize", "https://www.tiktok.com"), ("api", "https://open.tiktokapis.com")]
        }
        PlatformName::Bluesky => &[("plc", "https://plc.directory")],
        PlatformName::Mastodon => &[],
    }
}

impl Check<'_> {
    pub(super) fn platforms(&mut self, written: &PlatformsFile) -> BTreeMap<PlatformName, Platform> {
        use PlatformName as P;
        let all = [
            (P::Facebook, &written.facebook),
            (P::Instagram, &written.instagram),
            (P::X, &written.x),
            (P::LinkedIn, &written.linkedin),
            (P::TikTok, &written.tiktok),
            (P::Bluesky, &written.bluesky),
            (P::Mastodon, &written.mastodon),
            (P::Threads, &written.threads),
        ];
        let mut platforms: BTreeMap<_, _> =
            all.into_iter().map(|(name, it)| (name, self.platform(name, it))).collect();
        // Both Meta networks share one life-cycle of versions; Instagram follows unless told otherwise.
        let facebook = platforms.get(&P::Facebook).and_then(|it| it.api_version.clone());
        if let Some(instagram) = platforms.get_mut(&P::Instagram)
            && written.instagram.graph_version.is_none()
        {
            instagram.api_version = facebook;
        }
        platforms
    }

    fn platform(&mut self, name: PlatformName, written: &PlatformFile) -> Platform {
        use PlatformName as P;
        let meta: &[P] = &[P::Facebook, P::Instagram, P::Threads];
        self.belongs(name, "graph_version", written.graph_version.as_ref(), meta);
        self.belongs(name, "linkedin_version", written.linkedin_version.as_ref(), &[P::LinkedIn]);
        self.belongs(name, "monthly_budget_usd", written.monthly_budget_usd.as_ref(), &[P::X]);
        self.belongs(name, "login", written.login.as_ref(), &[P::Instagram]);
        self.belongs(name, "config_id", written.config_id.as_ref(), &[P::Facebook, P::Instagram]);
        self.belongs(name, "organization", written.organization.as_ref(), &[P::LinkedIn]);
        self.belongs(name, "app_kind", written.app_kind.as_ref(), &[P::TikTok]);
        self.belongs(name, "mode", written.mode.as_ref(), &[P::TikTok]);
        let app = self.app(written.client_id.as_ref(), written.client_secret.as_ref());
        let login = self.one_of(
            written.login.as_ref(),
            InstagramLogin::Instagram,
            &[("instagram", InstagramLogin::Instagram), ("facebook", InstagramLogin::Facebook)],
        );
        if let (P::Instagram, InstagramLogin::Facebook, Some(id)) = (name, login, &written.client_id) {
            let message = "with `login = \"facebook\"` Instagram has no app of its own";
            self.fault(
                &id.span(),
                wrong(message, "remove it: the app of `[platforms.facebook]` is used"),
                Show::Line,
            );
        }
        let api_version = match name {
            P::Facebook | P::Instagram => Some(self.graph_version(written, "v26.0")),
            P::Threads => Some(self.graph_version(written, "v1.0")),
            P::LinkedIn => Some(self.value(written.linkedin_version.as_ref(), "202608".to_owned(), |text| {
                let month = text.get(4..).and_then(|it| it.parse::<u8>().ok());
                let fits = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
                if fits && matches!(month, Some(1..=12)) {
                    Ok(text.clone())
                } else {
                    Err(wrong(
                        format!("`{text}` is not a version of LinkedIn's API"),
                        "write year and month, like `202608`",
                    ))
                }
            })),
            P::X | P::TikTok | P::Bluesky | P::Mastodon => None,
        };
        let organization = written.organization.as_ref().and_then(|it| self.organization(it));
        let (client_id, client_secret) = app;
        Platform {
            client_id,
            client_secret,
            endpoints: self.endpoints(name, written),
            resend_when_absent: written.resend_when_absent.unwrap_or(false),
            monthly_budget: self.value(written.monthly_budget_usd.as_ref(), None, |usd| {
                if !(0.0..=1_000_000.0).contains(usd) {
                    return Err(wrong(
                        format!("`{usd}` is not a sum of money"),
                        "write US dollars, like `25` or `7.5`; leave it out for no budget",
                    ));
                }
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the range above
                Ok(Some((usd * 1_000_000.0).round() as u64))
            }),
            api_version,
            login,
            config_id: self.value(written.config_id.as_ref(), None, |text| {
                if text.is_empty() || text.len() > 30 || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(wrong(
                        format!("`{text}` is not the id of a configuration"),
                        "write the number that stands at Facebook Login for Business, Configurations",
                    ));
                }
                Ok(Some(text.clone()))
            }),
            organization,
            app_kind: self.one_of(
                written.app_kind.as_ref(),
                TikTokApp::Web,
                &[("web", TikTokApp::Web), ("desktop", TikTokApp::Desktop)],
            ),
            mode: self.one_of(
                written.mode.as_ref(),
                TikTokMode::Inbox,
                &[("inbox", TikTokMode::Inbox), ("direct", TikTokMode::Direct)],
            ),
            limits: written.limits.iter().filter_map(|it| self.call_limit(it)).collect(),
        }
    }

    fn call_limit(&mut self, written: &Spanned<CallLimitFile>) -> Option<CallLimit> {
        let CallLimitFile { calls, per, scope } = written.get_ref();
        let (Some(calls), Some(per)) = (calls, per) else {
            let missing = if calls.is_none() { "calls" } else { "per" };
            let hint = "write both, like `calls = 50` and `per = \"24h\"`";
            self.fault(&written.span(), wrong(format!("a limit needs `{missing}`"), hint), Show::Line);
            return None;
        };
        let calls = self.value(Some(calls), None, |n| match u32::try_from(*n) {
            Ok(n @ 1..=100_000) => Ok(Some(n)),
            _ => Err(wrong(format!("`{n}` is out of range"), "write a number from 1 to 100000")),
        })?;
        let per = self.value(Some(per), None, |it| duration(it).map(Some))?;
        let scopes = [("account", LimitScope::Account), ("app", LimitScope::App)];
        Some(CallLimit { calls, per, scope: self.one_of(scope.as_ref(), LimitScope::Account, &scopes) })
    }

    /// Refuses a key that only other networks have.
    fn belongs<T>(
        &mut self,
        name: PlatformName,
        key: &str,
        written: Option<&Spanned<T>>,
        owners: &[PlatformName],
    ) {
        if let Some(written) = written.filter(|_| !owners.contains(&name)) {
            let owners: Vec<_> = owners.iter().map(|it| format!("`[platforms.{it}]`")).collect();
            let message = format!("`{key}` is not a key of `[platforms.{name}]`");
            self.fault(
                &written.span(),
                wrong(message, format!("it belongs to {}", owners.join(", "))),
                Show::Line,
            );
        }
    }

    fn graph_version(&mut self, written: &PlatformFile, default: &str) -> String {
        self.value(written.graph_version.as_ref(), default.to_owned(), |text| {
            let number = |it: &str| !it.is_empty() && it.len() <= 3 && it.bytes().all(|b| b.is_ascii_digit());
            let parts = text.strip_prefix('v').and_then(|it| it.split_once('.'));
            if parts.is_some_and(|(major, minor)| number(major) && number(minor)) {
                Ok(text.clone())
            } else {
                Err(wrong(
                    format!("`{text}` is not a version of the Graph API"),
                    format!("write one like `{default}`"),
                ))
            }
        })
    }

    fn app(
        &mut self,
        id: Option<&Spanned<String>>,
        secret: Option<&Spanned<SecretWritten>>,
    ) -> (Option<String>, Option<SecretSource>) {
        let client_id = self.value(id, None, |text| {
            if text.trim().is_empty() || text.contains('…') {
                return Err(wrong(
                    "`client_id` is not filled in",
                    "copy it from the app's page on the network",
                ));
            }
            Ok(Some(text.trim().to_owned()))
        });
        if let (None, Some(secret)) = (id, secret) {
            let message = "there is a `client_secret` but no `client_id`";
            self.fault(&secret.span(), wrong(message, "add the `client_id` of the same app"), Show::Key);
        }
        (client_id, self.secret(secret))
    }

    fn organization(&mut self, written: &Spanned<AppFile>) -> Option<App> {
        let AppFile { client_id, client_secret } = written.get_ref();
        if client_id.is_none() && client_secret.is_none() {
            let message = "`[platforms.linkedin.organization]` has no `client_id`";
            self.fault(
                &written.span(),
                wrong(message, "add the app for organizations, or remove the section"),
                Show::Line,
            );
        }
        let (client_id, client_secret) = self.app(client_id.as_ref(), client_secret.as_ref());
        Some(App { client_id: client_id?, client_secret })
    }

    fn endpoints(&mut self, name: PlatformName, written: &PlatformFile) -> BTreeMap<&'static str, String> {
        let known = endpoints(name);
        let mut all: BTreeMap<_, _> = known.iter().map(|(key, url)| (*key, (*url).to_owned())).collect();
        for (key, url) in &written.endpoints {
            let Some((key, default)) = known.iter().find(|(it, _)| it == key.get_ref()) else {
                let names: Vec<_> = known.iter().map(|(key, _)| *key).collect();
                let hint = if names.is_empty() {
                    format!("{} has none: accounts bring their own server", name.title())
                } else {
                    format!("known here: {}", names.join(", "))
                };
                self.fault(
                    &key.span(),
                    wrong(format!("`{}` is not an endpoint of {name}", key.get_ref()), hint),
                    Show::Line,
                );
                continue;
            };
            let base = self.value(Some(url), (*default).to_owned(), |text| {
                Ok(web_address(text)?.as_str().trim_end_matches('/').to_owned())
            });
            all.insert(key, base);
        }
        all
    }
}
