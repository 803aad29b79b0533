//! What was written and no daemon has when the console ends: it goes into a file of this machine, and the
//! next start offers it.
//!
//! A draft's home is the daemon. This is for the one case in which it has none: the daemon is away, or
//! would not take the text, and the terminal goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::compose::{Attached, Compose, Original, Time, Voice};
use super::editor::{Editor, of_parts};
use crate::control::requests as r;

/// A page as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remains {
    /// Which daemon its ids are of.
    pub(crate) socket: String,
    /// Of the page: a creation that is repeated under it makes one draft.
    pub(crate) key: String,
    pub(crate) id: Option<String>,
    pub(crate) version: u32,
    pub(crate) original: Option<Original>,
    pub(crate) to: Vec<String>,
    pub(crate) parts: Vec<String>,
    pub(crate) voices: BTreeMap<String, Own>,
    pub(crate) comment: String,
    pub(crate) media: Vec<Attached>,
    /// Files that were on their way up.
    pub(crate) uploads: Vec<PathBuf>,
    pub(crate) options: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) time: Option<Time>,
    /// The creation whose answer was not seen.
    pub(crate) lost: Option<Box<r::CreatePost>>,
}

/// An own text of one account or network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) parts: Vec<String>,
    pub(crate) comment: Option<String>,
}

impl Remains {
    /// What would be lost if the console ended now; none if the daemon has everything.
    pub(crate) fn of(app: &App) -> Option<Self> {
        let it = &app.compose;
        if it.is_at_rest() || (it.is_blank() && it.uploads.is_empty()) {
            return None;
        }
        let own = |(name, it): (&String, &Voice)| {
            (name.clone(), Own { parts: Compose::texts(&it.parts), comment: it.comment.clone() })
        };
        Some(Self {
            socket: app.socket.clone(),
            key: it.key.clone(),
            id: it.id.clone(),
            version: it.version,
            original: it.original.clone(),
            to: it.to.clone(),
            parts: Compose::texts(&it.common.parts),
            voices: it.voices.iter().map(own).collect(),
            comment: it.comment.text().to_owned(),
            media: it.media.clone(),
            uploads: it.uploads.iter().map(|it| it.path.clone()).collect(),
            options: it.options.clone(),
            time: it.time.clone(),
            lost: it.lost.clone().or_else(|| it.creating.clone()),
        })
    }

    /// The page again, to be kept as soon as there is a daemon. If its draft was changed since, it becomes
    /// one of its own.
    pub(crate) fn open(self, path: PathBuf, now: Timestamp) -> Compose {
        let own =
            |(name, it): (String, Own)| (name, Voice { parts: of_parts(it.parts), comment: it.comment });
        Compose {
            id: self.id,
            version: self.version,
            original: self.original,
            to: self.to,
            voices: self.voices.into_iter().map(own).collect(),
            common: Voice { parts: of_parts(self.parts), comment: None },
            comment: Editor::new(self.comment),
            media: self.media,
            options: self.options,
            time: self.time,
            lost: self.lost,
            file: Some(path),
            revision: 1,
            changed_at: Some(now),
            ..Compose::fresh(self.key)
        }
    }
}
