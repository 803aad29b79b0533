//! `account connect`: a link out, a browser somewhere, a question, an account.
//!
//! Nothing is stored before the question is answered, so leaving at any point leaves nothing behind.

use std::fmt::Write as _;

use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::args::Connect;
use super::error::{CliError, Outcome};
use super::render::{Paint, Ui, clean_line};
use crate::control::client::Client;
use crate::control::messages as m;
use crate::control::requests as r;
use crate::control::words::loopback_port;
use crate::domain::ids::PlatformName;

pub(super) async fn run(client: &Client, args: Connect, ui: &mut Ui<'_, '_>) -> Outcome {
    let decided = args.yes || !args.select.is_empty();
    if args.no_wait && !decided {
        return Err(CliError::usage("--no-wait leaves nobody to confirm the account")
            .hint("add --yes, or --select REMOTE_ID"));
    }
    let ask = r::Connect {
        platform: args.platform,
        name: args.name,
        kind: args.kind,
        instance: args.instance,
        handle: args.handle,
        select: args.select,
        yes: args.yes,
        paste: args.paste,
    };
    let id = client.connect_start(&ask).await?.id;
    let mut events = client.connect_events(&id).await?;
    let mut connected = Vec::new();
    while let Some(event) = events.next().await {
        let event = event?;
        if ui.json {
            ui.document(&event)?;
        }
        match event {
            m::ConnectEvent::Link { url, expires_at, callback, code_lives_s } => {
                if !ui.json {
                    show_link(&ask, &url, expires_at, ui)?;
                }
                if args.no_wait {
                    return Ok(0);
                }
                if ask.paste {
                    let mut address = paste(&ask, callback.as_deref(), code_lives_s, ui)?;
                    // What is no address of ours has used nothing up: a slip of the hand may be mended.
                    while let Err(error) = client.connect_paste(&id, &address).await {
                        if error.detail().code != "bad_address" || !ui.io.terminal[0] {
                            return Err(error.into());
                        }
                        ui.note(&format!("{}\n", clean_line(&error.detail().message)))?;
                        address = pasted(ui)?;
                    }
                } else if !ui.json {
                    ui.note("Waiting for the browser… (Ctrl-C leaves; nothing is stored)")?;
                }
            }
            m::ConnectEvent::Found { accounts } => {
                if !ui.json {
                    show_found(&ask, &accounts, ui)?;
                }
                if !decided {
                    let choice = choose(&accounts, ui)?;
                    client.connect_confirm(&id, &choice).await?;
                }
            }
            m::ConnectEvent::Connected { account } => connected.push(account),
            m::ConnectEvent::Failed { error } => return Err(error.into()),
        }
    }
    if connected.is_empty() {
        return Err(CliError::failed("ended", "the conversation ended without an account")
            .hint("see what the daemon says: sendoff log"));
    }
    if !ui.json {
        show_connected(&connected, ui)?;
    }
    Ok(0)
}

fn show_link(
    ask: &r::Connect,
    url: &str,
    expires_at: Timestamp,
    ui: &mut Ui<'_, '_>,
) -> Result<(), CliError> {
    let url = clean_line(url);
    // The code first: what is typed or copied stays in sight on a small terminal. With --paste the address
    // has to come back to this terminal, so a telephone is of no use.
    if ui.io.terminal[1]
        && !ui.quiet
        && !ask.paste
        && let Some(code) = qr(&url, ui.has_color())
    {
        ui.line(&code)?;
    }
    ui.line(&format!("To connect {}, open this link in a browser:\n", title(ask)))?;
    ui.line(&format!("  {}\n", ui.paint(Paint::Bold, &url)))?;
    let until = ui.time(expires_at, None);
    ui.note(&format!("The link works once, until {until}."))?;
    match loopback_port(&url).filter(|_| !ask.paste) {
        Some(port) => ui.note(&format!(
            "It leads to this machine. If your browser is on another one, run there first:\n\n  \
             ssh -L {port}:127.0.0.1:{port} THIS_HOST\n"
        )),
        None => Ok(()),
    }
}

/// The network as people call it.
fn title(ask: &r::Connect) -> String {
    let known = ask.platform.parse::<PlatformName>();
    known.map_or_else(|_| clean_line(&ask.platform), |it| it.title().to_owned())
}

/// The address as a QR code of half blocks, or nothing if it is too long for one that fits a terminal.
///
/// Scanners want dark on light. With colour that is said outright; without, a dark terminal is taken for
/// granted, and its ink draws the light modules.
fn qr(url: &str, color: bool) -> Option<String> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::with_error_correction_level(url, qrcode::EcLevel::L).ok()?;
    if code.width() > 72 {
        return None;
    }
    let (ink, paper) =
        if color { (Dense1x2::Dark, Dense1x2::Light) } else { (Dense1x2::Light, Dense1x2::Dark) };
    let image = code.render::<Dense1x2>().dark_color(ink).light_color(paper).build();
    Some(image.lines().fold(String::new(), |mut out, line| {
        let (on, off) = if color { ("\x1b[38;5;16;48;5;231m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(out, "  {on}{line}{off}");
        out
    }))
}

/// Explains what to paste, and reads it.
fn paste(
    ask: &r::Connect,
    callback: Option<&str>,
    code_lives_s: Option<u32>,
    ui: &mut Ui<'_, '_>,
) -> Result<String, CliError> {
    let mut text = "\nAfter you have agreed, the browser lands on an address that it may not be\n\
        able to open. That is fine: copy the whole address from its address bar and\npaste it here."
        .to_owned();
    if let Some(seconds) = code_lives_s {
        let _ = write!(text, "\nBe quick: the code of {} in it lives {seconds} seconds.", title(ask));
    }
    if let Some(port) = callback.and_then(loopback_port) {
        let _ = write!(
            text,
            "\n\nNo hurry at all with a forwarded port, run on the machine with the browser:\n\n  \
             ssh -L {port}:127.0.0.1:{port} THIS_HOST\n\nand then connect again without --paste.\n"
        );
    }
    if callback.is_some_and(|it| loopback_port(it).is_none()) {
        text +=
            "\n\nThis installation has a public address: without --paste the link works in any browser.\n";
    }
    ui.note(&text)?;
    pasted(ui)
}

fn pasted(ui: &mut Ui<'_, '_>) -> Result<String, CliError> {
    let address = ui.ask("\nPaste the address: ")?;
    if address.is_empty() {
        return Err(CliError::failed("no_address", "no address was pasted; nothing is stored")
            .hint("run it again, and paste the whole address the browser landed on"));
    }
    Ok(address)
}

fn show_found(ask: &r::Connect, accounts: &[m::FoundAccount], ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    ui.line(&format!("\nFound on {}:", title(ask)))?;
    for (n, it) in accounts.iter().enumerate() {
        let number = if accounts.len() > 1 { format!("{}. ", n + 1) } else { String::new() };
        let user = ui.paint(Paint::Bold, &format!("@{}", clean_line(&it.username)));
        ui.line(&format!("  {number}{user}  {}", clean_line(&it.display_name)))?;
        ui.line(&format!("     id {}", clean_line(&it.remote_id)))?;
        if let Some(name) = &it.account {
            ui.line(&format!("     will be called {}", clean_line(name)))?;
        }
        if !it.missing_scopes.is_empty() {
            let missing = clean_line(&it.missing_scopes.join(", "));
            ui.line(&ui.paint(Paint::Yellow, &format!("     not granted: {missing}")))?;
        }
        for warning in &it.warnings {
            ui.line(&ui.paint(Paint::Yellow, &format!("     {}", clean_line(warning))))?;
        }
    }
    Ok(())
}

/// One line decides: `y` for all, numbers for some, anything else for none.
fn choose(accounts: &[m::FoundAccount], ui: &mut Ui<'_, '_>) -> Result<r::Choice, CliError> {
    let question = if accounts.len() > 1 {
        format!("Connect all {}? [y/N, or numbers such as 1,3] ", accounts.len())
    } else {
        "Connect this account? [y/N] ".to_owned()
    };
    let line = ui.ask(&question)?.to_lowercase();
    if matches!(line.as_str(), "y" | "yes") {
        return Ok(r::Choice::All);
    }
    let numbers: Option<Vec<usize>> =
        line.split([',', ' ']).filter(|it| !it.is_empty()).map(|it| it.parse().ok()).collect();
    let picked: Option<Vec<String>> = numbers.filter(|it| !it.is_empty()).and_then(|numbers| {
        let pick = |n: usize| Some(accounts.get(n.checked_sub(1)?)?.remote_id.clone());
        numbers.into_iter().map(pick).collect()
    });
    Ok(picked.map_or(r::Choice::No, r::Choice::Select))
}

fn show_connected(accounts: &[m::Account], ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    for it in accounts {
        let name = clean_line(&it.account);
        let said = ui.paint(Paint::Green, &format!("connected {name}"));
        ui.line(&format!("\n{said}  {} (@{})", clean_line(&it.display_name), clean_line(&it.username)))?;
        let list = |words: &[String]| (!words.is_empty()).then(|| clean_line(&words.join(", ")));
        let renewal = (!it.can_refresh).then_some(it.expires_at).flatten();
        let facts = [
            ("granted", list(&it.scopes)),
            ("missing", list(&it.missing_scopes)),
            (
                "token ends",
                renewal.map(|at| format!("{}, and cannot be renewed by itself", ui.time(at, None))),
            ),
        ];
        ui.facts(&facts)?;
    }
    match accounts.first() {
        Some(first) => ui.next(&format!(
            "sendoff post create \"Hello\" --to {} --at \"tomorrow 9am\"",
            clean_line(&first.account)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_square_of_half_blocks_and_a_very_long_one_none() {
        let code = qr("https://post.example.org/connect/AbCdEfGh12345678", false).unwrap();
        let widths: Vec<usize> = code.lines().map(|it| it.chars().count()).collect();
        assert!(widths.iter().all(|it| *it == widths[0]) && widths[0] < 60, "{widths:?}");
        assert!(code.chars().all(|it| " ▀▄█\n".contains(it)));
        assert_eq!(qr(&"x".repeat(2_000), false), None);
    }

    #[test]
    fn the_quiet_zone_is_light_with_colour_and_without() {
        let first = |color| qr("https://post.example.org/connect/1", color).unwrap();
        let plain = first(false);
        assert!(plain.lines().next().unwrap().trim().chars().all(|it| it == '█'), "{plain}");
        let painted = first(true);
        let line = painted.lines().next().unwrap().trim();
        let line = line.strip_prefix("\x1b[38;5;16;48;5;231m").and_then(|it| it.strip_suffix("\x1b[0m"));
        assert!(line.unwrap().chars().all(|it| it == ' '), "{painted:?}");
    }
}
