//! `account list · show · rename · refresh · pause · resume · disconnect`.

use jiff::{SignedDuration, Timestamp};

use super::args::Account;
use super::error::{CliError, Outcome, SOME_FAILED};
use super::render::{Cell, Ui, clean_line};
use crate::control::client::Client;
use crate::control::messages as m;
use crate::control::words::{relative, tier};

/// The end of a grant is worth a word from so long before on.
const GRANT_NEAR: SignedDuration = SignedDuration::from_hours(24 * 30);

pub(super) async fn run(client: &Client, command: Account, ui: &mut Ui<'_, '_>) -> Outcome {
    match command {
        Account::Connect(args) => super::connect::run(client, args, ui).await,
        Account::List => {
            let list = client.account_list().await?;
            show_list(&list, ui)
        }
        Account::Show { account } => {
            let account = client.account_show(&account).await?;
            show(&account, ui)
        }
        Account::Rename { account, name } => {
            let renamed = client.account_rename(&account, &name).await?;
            changed(&renamed, &format!("{} is now {}", clean_line(&account), renamed.account), ui)?;
            // The configuration is the user's own file; nothing here writes it.
            for queue in client.queue_list().await?.queues {
                if queue.accounts.contains(&account) && renamed.account != account {
                    let text = format!("queue `{}` still names `{account}`", clean_line(&queue.name));
                    let hint = format!("write `{}` there, then: systemctl reload sendoff", renamed.account);
                    ui.warn(&CliError::failed("queue_account", text).hint(hint))?;
                }
            }
            Ok(0)
        }
        Account::Refresh { account } => {
            let account = client.account_refresh(&account).await?;
            let until = account.expires_at.map(|at| format!(", good until {}", ui.time(at, None)));
            let said = format!("{} has a fresh token{}", account.account, until.unwrap_or_default());
            changed(&account, &said, ui)
        }
        Account::Pause { account } => {
            let account = client.account_pause(&account).await?;
            changed(&account, &format!("{} is paused: nothing is sent to it", account.account), ui)?;
            ui.next(&format!("sendoff account resume {}", account.account))?;
            Ok(0)
        }
        Account::Resume { account } => {
            let account = client.account_resume(&account).await?;
            changed(&account, &format!("{} is {}", account.account, account.state), ui)
        }
        Account::Disconnect { account, yes } => {
            let question = format!(
                "Disconnect {}? Its tokens are revoked and deleted for good; what waits to be sent is cancelled.",
                clean_line(&account)
            );
            ui.destroy(yes, &question)?;
            let answer = client.account_disconnect(&account).await?;
            receipt(&answer, ui)
        }
    }
}

/// `erase --platform-user PLATFORM:ID`.
pub(super) async fn erase(client: &Client, whom: &str, yes: bool, ui: &mut Ui<'_, '_>) -> Outcome {
    let question = format!(
        "Erase everything of {}? Their accounts are disconnected for good; what waits to be sent is cancelled.",
        clean_line(whom)
    );
    ui.destroy(yes, &question)?;
    let answer = client.erase_platform_user(whom).await?;
    receipt(&answer, ui)
}

fn changed(account: &m::Account, said: &str, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(account)?;
    } else {
        ui.line(&clean_line(said))?;
    }
    Ok(0)
}

fn show_list(list: &m::AccountList, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(list)?;
        return Ok(0);
    }
    if list.accounts.is_empty() {
        ui.line("No account is connected yet.")?;
        ui.next("sendoff account connect x")?;
        return Ok(0);
    }
    let now = ui.now();
    let rows: Vec<Vec<Cell>> = list
        .accounts
        .iter()
        .map(|it| {
            // Most networks move the end of a grant on with each renewal; where it stands, it comes near.
            let near = |end: &Timestamp| end.duration_since(now) < GRANT_NEAR;
            let ending = it.grant_expires_at.filter(|_| it.can_refresh).filter(near);
            let token = match (ending, it.expires_at) {
                (Some(end), _) => format!("ends {}", relative(end, now)),
                (None, _) if it.can_refresh => "renewed by itself".to_owned(),
                (None, Some(at)) => format!("ends {}", relative(at, now)),
                (None, None) => "does not end".to_owned(),
            };
            vec![
                Cell::new(&it.account),
                Cell::state(it.state.as_str()),
                Cell::new(&it.display_name),
                Cell::new(token),
                Cell::new(it.reason.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    ui.table(&["ACCOUNT", "STATE", "NAME", "TOKEN", "REASON"], &rows)?;
    if let Some(broken) = list.accounts.iter().find(|it| it.state == m::AccountState::NeedsReconnect) {
        ui.next(&format!("sendoff account connect {} --name {}", broken.platform, broken.handle))?;
    }
    Ok(0)
}

fn show(account: &m::Account, ui: &mut Ui<'_, '_>) -> Outcome {
    if ui.json {
        ui.document(account)?;
        return Ok(0);
    }
    let list = |words: &[String]| (!words.is_empty()).then(|| clean_line(&words.join(", ")));
    let text = |it: &Option<String>| it.as_deref().map(clean_line);
    ui.line(&format!("{}  {}", clean_line(&account.account), account.state))?;
    let quota = |it: &m::Quota| {
        let of = it.limit.map_or_else(String::new, |limit| format!(" of {limit}"));
        let word = if it.limit.is_some_and(|limit| it.used >= limit) { "free again" } else { "counted anew" };
        let free = it.free_at.map_or_else(String::new, |at| format!("; {word} {}", ui.time(at, None)));
        format!("{}{of} used: {}{free}", it.used, clean_line(&it.what))
    };
    let quotas = account.quotas.iter().map(|it| ("quota", Some(quota(it))));
    let held = |it: &m::HeldBack| format!("until {}: {}", ui.time(it.until, None), clean_line(&it.message));
    let held = account.held_back.iter().map(|it| ("held back", Some(held(it))));
    let more: Vec<_> = held.chain(quotas).collect();
    let mut facts = vec![
        ("reason", text(&account.reason)),
        ("name", Some(clean_line(&account.display_name))),
        ("user", Some(format!("@{}", clean_line(&account.username)))),
        ("remote id", Some(clean_line(&account.remote_id))),
        ("server", text(&account.server)),
        ("tier", account.tier.as_deref().map(|it| clean_line(tier(it)))),
        ("scopes", list(&account.scopes)),
        ("missing", list(&account.missing_scopes)),
        ("token ends", account.expires_at.map(|at| ui.time(at, None))),
        ("refresh", Some(if account.can_refresh { "by itself" } else { "not possible" }.to_owned())),
        ("grant ends", account.grant_expires_at.map(|at| ui.time(at, None))),
        ("connected", Some(ui.time(account.connected_at, None))),
        ("spent", account.spending.as_ref().map(super::status::money)),
    ];
    facts.extend(more);
    ui.facts(&facts)?;
    Ok(0)
}

/// Prints a receipt; exit 4 when an item of it failed.
pub(super) fn receipt(answer: &m::ReceiptAnswer, ui: &mut Ui<'_, '_>) -> Outcome {
    let receipt = &answer.receipt;
    if ui.json {
        ui.document(answer)?;
    } else {
        ui.line(&format!("{}  {}", clean_line(&receipt.subject), clean_line(&receipt.id)))?;
        let rows: Vec<Vec<Cell>> = receipt
            .items
            .iter()
            .map(|it| {
                let said = [it.message.as_deref(), it.hint.as_deref()];
                let said: Vec<&str> = said.into_iter().flatten().collect();
                vec![
                    Cell::state(it.result.as_str()),
                    Cell::new(&it.what),
                    Cell::new(&it.r#where),
                    Cell::new(said.join("; ")),
                ]
            })
            .collect();
        ui.table(&["RESULT", "WHAT", "WHERE", ""], &rows)?;
    }
    let failed = receipt.items.iter().any(|it| it.result == m::Outcome::Failed);
    Ok(if failed { SOME_FAILED } else { 0 })
}

impl From<m::ErrorDetail> for CliError {
    fn from(detail: m::ErrorDetail) -> Self {
        Self { exit: 1, detail: detail.into(), causes: Vec::new(), quiet: false }
    }
}
