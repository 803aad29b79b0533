//! `[[recurring]]`: posts with a schedule of their own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::civil::Date;
use toml::Spanned;

use super::super::file::{RecurringFile, UntilWritten};
use super::super::{Recurring, Zone};
use super::{Check, Show, Wrong, plain_name, span, wrong, zone};
use crate::domain::ids::{AccountName, PlatformName};
use crate::domain::schedule::Late;
use crate::domain::schedule::slots::SlotPattern;

impl Check<'_> {
    pub(super) fn recurring(
        &mut self,
        written: &[Spanned<RecurringFile>],
        default_zone: &Zone,
        default_late: Late,
    ) -> Vec<Recurring> {
        let mut names = BTreeSet::new();
        written.iter().map(|it| self.one(it, &mut names, default_zone, default_late)).collect()
    }

    fn one(
        &mut self,
        table: &Spanned<RecurringFile>,
        names: &mut BTreeSet<String>,
        default_zone: &Zone,
        default_late: Late,
    ) -> Recurring {
        let it = table.get_ref();
        let missing = |check: &mut Self, key: &str, example: &str| {
            let message = format!("this recurring post has no `{key}`");
            check.fault(&table.span(), wrong(message, format!("add `{key} = {example}`")), Show::Line);
        };
        if it.name.is_none() {
            missing(self, "name", "\"opening-hours\"");
        }
        if it.cron.is_none() {
            missing(self, "cron", "[\"0 9 * * MON-FRI\"]");
        }
        if it.accounts.is_none() {
            missing(self, "accounts", "[\"x:acme\"]");
        }
        if it.body.is_none() {
            missing(self, "body", "\"We are open.\"");
        }
        let name = self.value(it.name.as_ref(), String::new(), |text| {
            if !plain_name(text) {
                let hint = "use 1 to 64 characters of a-z, 0-9, `.`, `_`, `-`";
                return Err(wrong(format!("`{text}` is not a name of a recurring post"), hint));
            }
            if !names.insert(text.clone()) {
                let message = format!("there are two recurring posts named `{text}`");
                return Err(wrong(message, "rename one of them"));
            }
            Ok(text.clone())
        });
        let cron = self.list(it.cron.as_ref(), "cron", |text| {
            SlotPattern::new(text).map_err(|error| Wrong(error.to_string(), error.hint()))
        });
        let accounts = self.list(it.accounts.as_ref(), "accounts", |text| {
            let hint = "write accounts as `account list` shows them, like `x:acme`";
            text.parse::<AccountName>().map_err(|error| wrong(error.message, hint))
        });
        let count = self.value(it.count.as_ref(), None, |value| match u32::try_from(*value) {
            Ok(value @ 1..) => Ok(Some(value)),
            _ => Err(wrong(format!("`{value}` is not a number of runs"), "write 1 or more")),
        });
        Recurring {
            name,
            cron,
            timezone: self.value(it.timezone.as_ref(), default_zone.clone(), |text| zone(text)),
            accounts,
            parts: self.texts(it),
            comment: self
                .value(it.comment.as_ref(), None, |text| Ok(Some(text.clone()).filter(|it| !it.is_empty()))),
            options: self.options(&it.options),
            until: self.value(it.until.as_ref(), None, |written| until(written).map(Some)),
            count,
            jitter: self.value(it.jitter.as_ref(), SignedDuration::ZERO, |text| span(text)),
            late: self.value(it.late.as_ref(), default_late, |text| {
                text.parse::<Late>().map_err(|error| Wrong(error.to_string(), None))
            }),
        }
    }

    /// `body`, and behind it the further parts of a thread.
    fn texts(&mut self, it: &RecurringFile) -> Vec<String> {
        let texts: Vec<_> = it.body.iter().chain(it.thread.iter().flatten()).collect();
        for text in &texts {
            if text.get_ref().trim().is_empty() {
                self.fault(
                    &text.span(),
                    wrong("the text is empty", "write what is to be posted"),
                    Show::Line,
                );
            }
        }
        texts.into_iter().map(|it| it.get_ref().clone()).collect()
    }

    fn options(
        &mut self,
        written: &BTreeMap<Spanned<String>, BTreeMap<String, String>>,
    ) -> BTreeMap<PlatformName, BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for (name, set) in written {
            match name.get_ref().parse::<PlatformName>() {
                Ok(platform) => {
                    found.insert(platform, set.clone());
                }
                Err(error) => {
                    let hint = "options belong to a platform: `[recurring.options.x]`";
                    self.fault(&name.span(), wrong(error.message, hint), Show::Line);
                }
            }
        }
        found
    }
}

/// A date, as TOML's own or as text.
fn until(written: &UntilWritten) -> Result<Date, Wrong> {
    let text = match written {
        UntilWritten::Text(text) => text.clone(),
        UntilWritten::Date(date) => date.to_string(),
    };
    let plain = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
    text.parse::<Date>().ok().filter(|_| plain).ok_or_else(|| {
        wrong(format!("`{text}` is not a date"), "write the last day it runs on, like `2026-12-31`")
    })
}
