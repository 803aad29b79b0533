//! The page on which a person allows or denies, the same for all networks.

use std::fmt::Write as _;

use super::wire::{Answer, Call, Fields, escape};

/// What the page shows.
pub(super) struct Consent<'a> {
    pub(super) network: &'a str,
    pub(super) app: &'a str,
    pub(super) scopes: &'a [String],
    /// Names to choose from; the chosen one first.
    pub(super) users: Vec<&'a str>,
    pub(super) back_to: &'a str,
}

/// The page. Its form has no action, so it goes back to the address it came from, query included:
/// that is also how a script consents (see the module documentation).
pub(super) fn page(consent: &Consent) -> Answer {
    let mut scopes = String::new();
    for it in consent.scopes {
        let _ = write!(scopes, "<li><code>{}</code></li>", escape(it));
    }
    let mut users = String::new();
    for (at, it) in consent.users.iter().enumerate() {
        let checked = if at == 0 { " checked" } else { "" };
        let name = escape(it);
        let _ = write!(
            users,
            "<label class=\"choice\"><input type=\"radio\" name=\"user\" value=\"{name}\"{checked}> {name}</label>"
        );
    }
    let body = format!(
        "<h1>Sign in to {network}</h1>\
         <p><strong>{app}</strong> asks to act for one of the sandbox's users. It wants:</p><ul>{scopes}</ul>\
         <form method=\"post\"><fieldset><legend>Act as</legend>{users}</fieldset>\
         <p><button name=\"decision\" value=\"allow\">Allow</button> \
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Deny</button></p></form>\
         <p class=\"small\">Afterwards you are sent to <code>{back}</code></p>",
        network = escape(consent.network),
        app = escape(consent.app),
        back = escape(consent.back_to),
    );
    Answer::html(200, super::pages::layout(&format!("{} sandbox: sign in", consent.network), None, &body))
}

/// A page that says why nobody can be asked. The browser is never sent on from it: an address that
/// was not checked, or that belongs to a broken request, is no place to send a person.
pub(super) fn refused(network: &str, reason: &str) -> Answer {
    let body = format!(
        "<h1>Something went wrong</h1><p>{} would refuse this request: {}.</p>\
         <p class=\"small\">Start again from the program that sent you here.</p>",
        escape(network),
        escape(reason)
    );
    Answer::html(400, super::pages::layout(&format!("{network} sandbox: refused"), None, &body))
        .because(reason)
}

/// What the person, or the script, decided.
pub(super) enum Decision {
    Deny,
    Allow { user: Option<String>, scopes: Vec<String> },
}

/// Reads the form that the page sends. `asked` is what the application wants.
pub(super) fn decision(call: &Call, asked: &[String]) -> Result<Decision, String> {
    let form: Fields = call.form()?;
    match form.need("decision")? {
        "deny" => Ok(Decision::Deny),
        "allow" => {
            let scopes = match form.get("scope") {
                None => asked.to_vec(),
                Some(fewer) => {
                    let fewer: Vec<String> = fewer.split_ascii_whitespace().map(str::to_owned).collect();
                    if let Some(extra) = fewer.iter().find(|it| !asked.contains(it)) {
                        return Err(format!("scope `{extra}` was not asked for"));
                    }
                    fewer
                }
            };
            Ok(Decision::Allow { user: form.get("user").map(str::to_owned), scopes })
        }
        other => Err(format!("decision `{other}` is neither `allow` nor `deny`")),
    }
}
