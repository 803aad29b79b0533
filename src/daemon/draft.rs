//! What is kept of a draft beside its words.

use super::shared::Shared;
use crate::config::Zone;
use crate::control::requests as r;
use crate::domain::post::Intended;
use crate::domain::schedule::parse_when;

/// When a draft is to go out. What is reckoned from now (`tomorrow 9am`, `+2h`) is kept as the time it means
/// now, for it is read again on another day; what cannot be read is kept as it was written, and told of when the
/// draft is sent on its way.
pub(super) fn intended(shared: &Shared, when: Option<&r::When>, zone: &Zone) -> Option<Intended> {
    match when? {
        r::When::At(text) => {
            let due = parse_when(text, shared.now(), &zone.rules, &zone.name);
            Some(Intended::At(due.map_or_else(
                |_| text.clone(),
                |due| {
                    let form = if due.civil.second() == 0 { "%F %H:%M" } else { "%F %T" };
                    due.civil.strftime(form).to_string()
                },
            )))
        }
        r::When::Queue(name) => Some(Intended::Queue(name.clone())),
        r::When::Now => Some(Intended::Now),
        r::When::Draft => None,
    }
}
