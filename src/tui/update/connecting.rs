//! Accounts: connected by a link, paused, renamed, disconnected.

use super::screens::{item, menu};
use super::{Effects, ask};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::{App, title_of};
use crate::tui::editor::Editor;
use crate::tui::effect::{ConnectNews, Deed, Effect, Load};
use crate::tui::keys::Action;
use crate::tui::layer::{Ask, Confirm, Connecting, Layer, Link, Pick, Prompt, Then};
use crate::tui::look::Tone;

use super::writing;

/// False: not one of the keys of this screen.
pub(super) fn act(app: &mut App, action: Action, fx: &mut Effects) -> bool {
    if action == Action::Connect {
        choose_network(app);
        return true;
    }
    let Some(account) = app.account().cloned() else { return false };
    let name = account.account.clone();
    match action {
        Action::Reconnect => {
            let kind = (account.platform == "linkedin"
                && account.scopes.iter().any(|it| it.contains("organization")))
            .then(|| "organization".to_owned());
            let ask = r::Connect {
                platform: account.platform.clone(),
                name: Some(account.handle.clone()),
                kind,
                instance: account.server.clone(),
                ..r::Connect::default()
            };
            begin(app, ask, fx);
        }
        Action::TogglePause => {
            let paused = account.state == m::AccountState::Paused;
            fx.push(Effect::Do(if paused { Deed::AccountResume(name) } else { Deed::AccountPause(name) }));
        }
        Action::RefreshToken => {
            app.say(Tone::Dim, format!("asking for a fresh token of {name}…"));
            fx.push(Effect::Do(Deed::AccountRefresh(name)));
        }
        Action::Rename => {
            app.layers.push(Layer::Prompt(Prompt {
                title: format!("Rename {name} to"),
                about: "The name here, without the network: small letters, digits, `.`, `_` and `-`."
                    .to_owned(),
                entry: Editor::new(account.handle),
                then: Ask::Rename { account: name },
            }));
        }
        Action::Disconnect => {
            let title = title_of(&account.platform);
            let lines = vec![
                format!("Disconnect {name} (@{}, {}).", account.username, account.display_name),
                format!(
                    "The grant is revoked at {title} where it has a way; tokens and rows are deleted, and"
                ),
                "the account's key is destroyed: backups hold only what nobody can read.".to_owned(),
                "What waits for this account is not sent. This cannot be undone.".to_owned(),
            ];
            let then = Then::Do(Deed::Disconnect(name.clone()));
            app.layers.push(Layer::Confirm(Confirm { title: format!("Disconnect {name}?"), lines, then }));
        }
        Action::Enter => {
            let account = account.account;
            ask(app, Load::Account(account), fx);
        }
        _ => return false,
    }
    true
}

fn choose_network(app: &mut App) {
    let mut items = Vec::new();
    for it in &app.networks {
        let pick = |kind: Option<&str>| Pick::Connect {
            platform: it.platform.clone(),
            kind: kind.map(str::to_owned),
        };
        if it.platform == "linkedin" {
            items.push(item(&it.title, "a member", pick(Some("member"))));
            items.push(item(&it.title, "an organization's page", pick(Some("organization"))));
        } else {
            let note = match it.platform.as_str() {
                "facebook" => "Pages",
                "instagram" => "a professional account",
                _ => "",
            };
            items.push(item(&it.title, note, pick(None)));
        }
    }
    if items.is_empty() {
        app.say(Tone::Warn, "the networks are not known yet; try again in a moment");
        return;
    }
    menu(app, "Connect an account on", items);
}

/// A network was chosen; those with many servers are asked for one.
pub(super) fn chosen(app: &mut App, platform: String, kind: Option<String>, fx: &mut Effects) {
    if matches!(platform.as_str(), "bluesky" | "mastodon") {
        app.layers.push(Layer::Prompt(Prompt {
            title: format!("{}: which server?", title_of(&platform)),
            about: "Its address, or your handle; nothing for the usual one.".to_owned(),
            entry: Editor::default(),
            then: Ask::Instance { platform },
        }));
        return;
    }
    begin(app, r::Connect { platform, kind, ..r::Connect::default() }, fx);
}

/// Begins the conversation.
pub(super) fn begin(app: &mut App, ask: r::Connect, fx: &mut Effects) {
    if !app.is_up() {
        app.say(Tone::Warn, "the daemon cannot be reached");
        return;
    }
    fx.push(Effect::Connect(Box::new(ask.clone())));
    app.layers.push(Layer::Connect(Box::new(Connecting {
        title: title_of(&ask.platform),
        ask,
        id: None,
        link: None,
        found: None,
        at: 0,
        pasting: false,
        entry: Editor::default(),
        error: None,
        answered: false,
        connected: Vec::new(),
    })));
}

fn current(app: &mut App) -> Option<&mut Connecting> {
    app.layers.iter_mut().rev().find_map(|it| match it {
        Layer::Connect(it) => Some(&mut **it),
        _ => None,
    })
}

fn close(app: &mut App) {
    app.layers.retain(|it| !matches!(it, Layer::Connect(_)));
}

/// A key while the conversation is on.
pub(super) fn answer(app: &mut App, action: Action, fx: &mut Effects) {
    let pasting = current(app).is_some_and(|it| it.pasting && it.found.is_none());
    if pasting && writing::edit_key(app, action) {
        return;
    }
    let Some(it) = current(app) else { return };
    match action {
        Action::Up => it.at = it.at.saturating_sub(1),
        Action::Down => it.at = (it.at + 1).min(it.found.as_ref().map_or(0, |it| it.len().saturating_sub(1))),
        Action::Tick => {
            let at = it.at;
            if let Some(found) = it.found.as_mut().and_then(|it| it.get_mut(at)) {
                found.1 = !found.1;
            }
        }
        Action::Paste if !it.ask.paste => {
            // The link is another one then: the network's own, and the terminal proves who asks.
            let ask = r::Connect { paste: true, ..it.ask.clone() };
            let leave = it.id.take();
            close(app);
            fx.extend(leave.map(Effect::Leave));
            begin(app, ask, fx);
            if let Some(it) = current(app) {
                it.pasting = true;
            }
        }
        Action::Enter if it.pasting && it.found.is_none() => {
            let address = it.entry.text().trim().to_owned();
            it.error = None;
            if let (Some(id), false) = (it.id.clone(), address.is_empty()) {
                fx.push(Effect::Pasted { id, address });
            }
        }
        Action::Yes if it.found.is_some() && !it.answered => {
            let found = it.found.iter().flatten();
            let chosen: Vec<String> = found.filter(|it| it.1).map(|it| it.0.remote_id.clone()).collect();
            if chosen.is_empty() {
                app.say(Tone::Warn, "nothing is ticked; n connects nothing");
                return;
            }
            it.answered = true;
            if let Some(id) = it.id.clone() {
                fx.push(Effect::Confirm { id, choice: r::Choice::Select(chosen) });
            }
        }
        Action::No if it.found.is_some() => {
            let id = it.id.clone();
            close(app);
            fx.extend(id.map(|id| Effect::Confirm { id, choice: r::Choice::No }));
            app.say(Tone::Dim, "nothing was connected, and nothing is stored");
        }
        Action::Back => {
            let id = it.id.clone();
            close(app);
            fx.extend(id.map(Effect::Leave));
            app.say(Tone::Dim, "stopped; nothing is stored");
        }
        _ => {}
    }
}

/// What the conversation brought.
pub(super) fn news(app: &mut App, news: ConnectNews, fx: &mut Effects) {
    let Some(it) = current(app) else {
        // It was left before it had a name.
        if let ConnectNews::Started(id) = news {
            fx.push(Effect::Leave(id));
        }
        return;
    };
    match news {
        ConnectNews::Started(id) => it.id = Some(id),
        ConnectNews::NotTaken(trouble) => it.error = Some(trouble),
        ConnectNews::Broken(trouble) => {
            close(app);
            super::complain(app, &trouble);
        }
        ConnectNews::Event(event) => match *event {
            m::ConnectEvent::Link { url, expires_at, callback, code_lives_s } => {
                let code = if it.ask.paste { None } else { qr(&url) };
                it.link = Some(Link { url, expires_at, callback, code_lives_s, code });
            }
            m::ConnectEvent::Found { accounts } => {
                it.found = Some(accounts.into_iter().map(|it| (it, true)).collect());
                it.at = 0;
            }
            m::ConnectEvent::Connected { account } => {
                it.connected.push(account.account.clone());
                let all = it.connected.join(", ");
                let chosen = it.found.iter().flatten().filter(|it| it.1).count();
                if it.connected.len() >= chosen {
                    close(app);
                }
                app.say(Tone::Good, format!("connected {all}"));
                // An answer on its way may be older than this.
                app.stale.accounts = true;
                app.stale.status = true;
            }
            m::ConnectEvent::Failed { error } => {
                close(app);
                let hint = error.hint.map_or_else(String::new, |it| format!(" ({it})"));
                app.say(Tone::Bad, format!("{}{hint}", error.message));
            }
        },
    }
}

/// The address as a QR code of half blocks; dark is drawn as ink. None if it is too long for a terminal.
fn qr(url: &str) -> Option<Vec<String>> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::with_error_correction_level(url, qrcode::EcLevel::L).ok()?;
    if code.width() > 72 {
        return None;
    }
    let image = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .quiet_zone(false)
        .build();
    // Two modules of quiet on each side do for every scanner of today, and fit a small terminal.
    let lines: Vec<String> = image.lines().map(|it| format!("  {it}  ")).collect();
    let blank = " ".repeat(lines.first()?.chars().count());
    Some(std::iter::once(blank.clone()).chain(lines).chain(std::iter::once(blank)).collect())
}
