//! A post that is being written. Kept in the daemon while it is written, so that nothing that happens to
//! this terminal loses it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::editor::{Editor, of_parts};
use super::effect::{Effect, Trouble};
use crate::control::messages as m;
use crate::control::requests as r;

/// Milliseconds from a change to its being kept in the daemon.
const KEEP_AFTER_MS: i64 = 1_000;

/// What the cursor is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Field {
    To,
    #[default]
    Text,
    Media,
    Comment,
    Options,
    When,
}

impl Field {
    pub(crate) const ALL: [Self; 6] =
        [Self::To, Self::Text, Self::Media, Self::Comment, Self::Options, Self::When];

    pub(crate) fn next(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        let next = (at.cast_signed() + by).rem_euclid(Self::ALL.len().cast_signed());
        Self::ALL[next.cast_unsigned()]
    }
}

/// A file that goes with the post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    pub(crate) alt: String,
    /// The part it goes with, from 1.
    pub(crate) part: u32,
}

/// A file on its way up. The page is known by it when it is there, whatever became of the page meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) ticket: u64,
    pub(crate) path: PathBuf,
    /// The part that was written when it was chosen, from 1.
    pub(crate) part: u32,
}

/// When it goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Time {
    Now,
    /// As the user wrote it.
    At(String),
    Queue(String),
    Draft,
}

/// A post that had a time already when it was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Original {
    pub(crate) id: String,
    pub(crate) version: u32,
    /// Some of it is out: only the words can change.
    pub(crate) words_only: bool,
}

/// Text that one account or network gets instead of the common one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Voice {
    pub(crate) parts: Vec<Editor>,
    /// A comment of its own; it can be read here, and written by the command line.
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Compose {
    pub(crate) key: String,
    /// The draft in the daemon, and its version.
    pub(crate) id: Option<String>,
    pub(crate) version: u32,
    pub(crate) original: Option<Original>,
    pub(crate) to: Vec<String>,
    pub(crate) common: Voice,
    pub(crate) voices: BTreeMap<String, Voice>,
    /// Whose text is being written; none: the common one.
    pub(crate) voice: Option<String>,
    pub(crate) part: usize,
    pub(crate) comment: Editor,
    pub(crate) media: Vec<Attached>,
    /// Files on their way up.
    pub(crate) uploads: Vec<Upload>,
    /// Where an earlier run of the console left this page; the file goes when the daemon has it.
    pub(crate) file: Option<PathBuf>,
    pub(crate) options: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) time: Option<Time>,
    pub(crate) field: Field,
    /// The row of the text that is drawn first, and how wide rows are.
    pub(crate) top: usize,
    pub(crate) cells: usize,
    /// Counts changes.
    pub(crate) revision: u64,
    /// The last one that the daemon has.
    pub(crate) saved: u64,
    pub(crate) saved_at: Option<Timestamp>,
    /// What is on its way.
    pub(crate) saving: Option<u64>,
    /// A creation whose answer was lost: the very same one is repeated, so that it makes one draft.
    pub(crate) lost: Option<Box<r::CreatePost>>,
    /// The creation on the wire.
    pub(crate) creating: Option<Box<r::CreatePost>>,
    /// A change whose answer was lost: the daemon may have it, and a version of its own.
    pub(crate) unsure: bool,
    /// The daemon would not keep this revision.
    pub(crate) unsaved: Option<(u64, Trouble)>,
    pub(crate) changed_at: Option<Timestamp>,
    pub(crate) checking: Option<u64>,
    /// The time in the check that is on its way.
    pub(crate) checking_time: Option<String>,
    /// A time that the daemon does not take, and why; checks leave it out.
    pub(crate) time_refused: Option<(String, Trouble)>,
    /// When an answer to a check was lost; the next one waits a moment.
    pub(crate) check_lost_at: Option<Timestamp>,
    pub(crate) checked: Option<(u64, Result<m::Check, Trouble>)>,
    /// It goes out as soon as everything is kept.
    pub(crate) submit: bool,
    /// That question is on the wire.
    pub(crate) sending: bool,
    pub(crate) error: Option<Trouble>,
}

impl Compose {
    /// An empty page for these accounts.
    ///
    /// `key` makes the creation of its draft happen once, however often it is asked for.
    pub(crate) fn fresh(key: String) -> Self {
        let common = Voice { parts: vec![Editor::default()], comment: None };
        Self { common, cells: 60, key, ..Self::default() }
    }

    /// A post of the daemon's, to write on.
    pub(crate) fn open(post: &m::Post, key: String) -> Self {
        let own = |(name, it): (&String, &m::Variant)| {
            let comment = it.comment.clone().filter(|it| Some(it) != post.comment.as_ref());
            let (parts, _) = it.over(&post.parts, None);
            (name.clone(), Voice { parts: of_parts(&parts), comment })
        };
        let file = |it: &m::Media| Attached {
            id: it.id.clone(),
            name: it.name.clone(),
            kind: it.kind.clone(),
            bytes: it.bytes,
            alt: it.alt.clone().unwrap_or_default(),
            part: it.part,
        };
        let is_draft = post.deliveries.is_empty();
        let original = (!is_draft).then(|| Original {
            id: post.id.clone(),
            version: post.version,
            words_only: post.deliveries.iter().any(|it| it.state == m::DeliveryState::Published),
        });
        Self {
            id: is_draft.then(|| post.id.clone()),
            version: post.version,
            original,
            to: post.to.clone(),
            common: Voice { parts: of_parts(&post.parts), comment: None },
            voices: post.variants.iter().map(own).collect(),
            comment: Editor::new(post.comment.clone().unwrap_or_default()),
            media: post.media.iter().map(file).collect(),
            options: post.options.clone(),
            time: match &post.intended {
                Some(r::When::At(when)) => Some(Time::At(when.clone())),
                Some(r::When::Queue(queue)) => Some(Time::Queue(queue.clone())),
                Some(r::When::Now) => Some(Time::Now),
                Some(r::When::Draft) | None => None,
            },
            ..Self::fresh(key)
        }
    }

    /// The parts that are being written.
    pub(crate) fn parts(&self) -> &[Editor] {
        self.parts_of(self.voice.as_ref())
    }

    pub(crate) fn parts_mut(&mut self) -> &mut Vec<Editor> {
        let own = self.voice.as_ref().and_then(|it| self.voices.get_mut(it));
        &mut own.unwrap_or(&mut self.common).parts
    }

    /// The text under the cursor.
    pub(crate) fn editor(&self) -> Option<&Editor> {
        self.parts().get(self.part)
    }

    /// Which text a key changes now.
    pub(crate) fn editor_mut(&mut self) -> Option<&mut Editor> {
        let part = self.part;
        match self.field {
            Field::Comment => Some(&mut self.comment),
            Field::Text => self.parts_mut().get_mut(part),
            _ => None,
        }
    }

    /// Nothing was written that could be lost.
    pub(crate) fn is_blank(&self) -> bool {
        let blank = |it: &Voice| it.parts.iter().all(Editor::is_blank);
        blank(&self.common)
            && self.voices.values().all(blank)
            && self.comment.is_blank()
            && self.media.is_empty()
    }

    /// Notes that something changed.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.revision += 1;
        self.error = None;
        self.changed_at.get_or_insert(now);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.saved == self.revision || (self.is_blank() && self.id.is_none())
    }

    /// Why the daemon does not take the time as it is written now.
    pub(crate) fn bad_time(&self) -> Option<&Trouble> {
        let Some(Time::At(when)) = &self.time else { return None };
        self.time_refused.as_ref().filter(|it| it.0 == *when).map(|it| &it.1)
    }

    /// The daemon has all of it, files included: another page may take its place.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_kept() && self.uploads.is_empty()
    }

    /// The daemon would not keep it as it is now.
    pub(crate) fn is_refused(&self) -> bool {
        self.unsaved.as_ref().is_some_and(|it| it.0 == self.revision)
    }

    /// Why another page cannot take its place yet.
    pub(crate) fn not_yet(&self) -> String {
        match (self.uploads.first(), &self.unsaved) {
            (Some(it), _) => format!("one moment: {} is still on its way up", it.path.display()),
            (None, Some((_, trouble))) if self.is_refused() => {
                format!("what you wrote is not kept yet: {}", trouble.message)
            }
            _ => "one moment: what you wrote is still being kept".to_owned(),
        }
    }

    /// Has it kept with the next round, not a second after the change.
    pub(crate) fn hurry(&mut self) {
        self.changed_at = Some(Timestamp::MIN);
    }

    pub(crate) fn texts(parts: &[Editor]) -> Vec<String> {
        parts.iter().map(|it| it.text().to_owned()).collect()
    }

    fn variants(&self) -> BTreeMap<String, m::Variant> {
        let one = |(name, it): (&String, &Voice)| {
            let own = m::Variant { body: None, parts: Self::texts(&it.parts), comment: it.comment.clone() };
            (name.clone(), own)
        };
        // Those of nobody it goes to now as well: what was written once is there when they are chosen again.
        self.voices.iter().map(one).collect()
    }

    /// The texts there are, in the order in which they stand side by side: the common one is `None`.
    pub(crate) fn voice_names(&self) -> Vec<Option<String>> {
        std::iter::once(None).chain(self.voices.keys().cloned().map(Some)).collect()
    }

    /// The parts of a text by its name, as [`Compose::voice_names`] has it.
    pub(crate) fn parts_of(&self, voice: Option<&String>) -> &[Editor] {
        &voice.and_then(|it| self.voices.get(it)).unwrap_or(&self.common).parts
    }

    /// Whose text an account gets: its own, its network's, or the common one.
    pub(crate) fn voice_of(&self, account: &str) -> Option<&String> {
        let network = account.split(':').next().unwrap_or(account);
        let own = |name: &str| self.voices.get_key_value(name).map(|it| it.0);
        own(account).or_else(|| own(network))
    }

    /// Goes to the text beside this one.
    pub(crate) fn next_voice(&mut self, by: isize) {
        let names = self.voice_names();
        let at = names.iter().position(|it| *it == self.voice).unwrap_or(0);
        let next = (at.cast_signed() + by).rem_euclid(names.len().cast_signed()).cast_unsigned();
        self.speak(names[next].clone());
    }

    /// Writes on the text of this name.
    pub(crate) fn speak(&mut self, voice: Option<String>) {
        self.voice = voice;
        self.part = self.part.min(self.parts().len().saturating_sub(1));
        self.top = 0;
        self.field = Field::Text;
    }

    /// Whether an account or a network is among the targets.
    pub(crate) fn concerns(&self, name: &str) -> bool {
        self.to.iter().any(|it| it == name || it.split(':').next() == Some(name))
    }

    /// The networks it goes to, each once.
    pub(crate) fn networks(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.to.iter().filter_map(|it| Some(it.split(':').next()?.to_owned())).collect();
        all.dedup();
        all.sort();
        all.dedup();
        all
    }

    fn media_refs(&self) -> Vec<r::MediaRef> {
        let parts = self.voices.values().chain([&self.common]).map(|it| it.parts.len()).max().unwrap_or(1);
        let last = u32::try_from(parts).unwrap_or(1);
        let one = |it: &Attached| r::MediaRef {
            id: it.id.clone(),
            alt: (!it.alt.is_empty()).then(|| it.alt.clone()),
            part: Some(it.part.clamp(1, last)),
        };
        self.media.iter().map(one).collect()
    }

    /// The options of networks that it goes to; others would be refused.
    fn used_options(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let used = |it: &(&String, &BTreeMap<String, String>)| self.concerns(it.0) && !it.1.is_empty();
        self.options.iter().filter(used).map(|(name, set)| (name.clone(), set.clone())).collect()
    }

    /// As a new post.
    pub(crate) fn asked(&self) -> r::CreatePost {
        r::CreatePost {
            parts: Self::texts(&self.common.parts),
            comment: Some(self.comment.text().to_owned()).filter(|it| !it.trim().is_empty()),
            to: self.to.clone(),
            media: self.media_refs(),
            options: self.used_options(),
            variants: self.variants(),
            when: match &self.time {
                Some(Time::At(when)) => Some(r::When::At(when.clone())),
                _ => None,
            },
            source: Some("console".into()),
            ..r::CreatePost::default()
        }
    }

    /// The field “When”, for the draft.
    fn intended(&self) -> r::When {
        match &self.time {
            Some(Time::At(when)) => r::When::At(when.clone()),
            Some(Time::Queue(queue)) => r::When::Queue(queue.clone()),
            Some(Time::Now) => r::When::Now,
            Some(Time::Draft) | None => r::When::Draft,
        }
    }

    /// As a change to what the daemon has.
    pub(crate) fn edited(&self, version: u32) -> r::EditPost {
        let all = self.asked();
        r::EditPost {
            parts: Some(all.parts),
            comment: Some(all.comment.unwrap_or_default()),
            to: Some(all.to),
            media: Some(all.media),
            options: Some(all.options),
            variants: Some(all.variants),
            late: None,
            unfinished: true,
            intended: Some(self.intended()),
            version: Some(version),
        }
    }

    /// The change to a post that has its time: checked in full, accounts as they are.
    pub(crate) fn amended(&self, original: &Original) -> r::EditPost {
        let all =
            r::EditPost { to: None, unfinished: false, intended: None, ..self.edited(original.version) };
        if !original.words_only {
            return all;
        }
        r::EditPost { parts: all.parts, comment: all.comment, version: all.version, ..r::EditPost::default() }
    }

    /// What should be asked of the daemon now: a check, and to keep what changed.
    pub(crate) fn wishes(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut wishes = Vec::new();
        let past = |at: Timestamp| now.as_millisecond() - at.as_millisecond() >= KEEP_AFTER_MS;
        let is_new = self.checked.as_ref().is_none_or(|it| it.0 != self.revision)
            && self.check_lost_at.is_none_or(past);
        if self.checking.is_none() && is_new && !self.to.is_empty() && !self.is_blank() {
            self.checking = Some(self.revision);
            self.check_lost_at = None;
            let mut ask = self.asked();
            // One bad time must not hide what the networks say.
            if self.bad_time().is_some() {
                ask.when = None;
            }
            self.checking_time = match &ask.when {
                Some(r::When::At(when)) => Some(when.clone()),
                _ => None,
            };
            wishes.push(Effect::Check { revision: self.revision, ask: Box::new(ask) });
        }
        if self.saving.is_some() || self.sending {
            return wishes;
        }
        let refused = self.is_refused();
        let ripe = self.changed_at.is_some_and(past);
        if self.lost.is_some() {
            let Some(ask) = self.lost.take_if(|_| ripe) else { return wishes };
            // What it keeps is older than what is here; the next round brings the rest.
            self.saving = Some(self.saved);
            self.creating = Some(ask.clone());
            wishes.push(Effect::Create(ask));
            return wishes;
        }
        if !self.is_kept() && !refused && (ripe || self.submit) {
            self.saving = Some(self.revision);
            self.changed_at = None;
            wishes.push(if let Some(id) = &self.id {
                let mut ask = self.edited(self.version);
                ask.version = ask.version.filter(|_| !self.unsure);
                Effect::Edit { key: self.key.clone(), id: id.clone(), ask: Box::new(ask) }
            } else {
                let ask = Box::new(r::CreatePost {
                    when: Some(r::When::Draft),
                    unfinished: true,
                    intended: Some(self.intended()),
                    key: Some(self.key.clone()),
                    ..self.asked()
                });
                self.creating = Some(ask.clone());
                Effect::Create(ask)
            });
        }
        wishes
    }

    /// Nothing is written while it is on its way out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.submit || self.sending
    }

    /// Everything that can be told to be wrong before it is sent; none: it may go.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        if !self.uploads.is_empty() {
            Some("a file is still on its way up")
        } else if self.is_blank() {
            Some("there is nothing to post yet")
        } else if self.to.is_empty() {
            Some("choose at least one account (the field “To”)")
        } else if self.time.is_none() && self.original.is_none() {
            Some("choose when it goes out (the field “When”)")
        } else {
            None
        }
    }
}

/// What a sign counts at most, on any network with threads: X counts some twice.
fn weight(cluster: &str) -> usize {
    if cluster.chars().all(|c| u32::from(c) <= 0x10ff) { cluster.chars().count() } else { 2 }
}

/// Cuts a text into pieces of at most `longest`, between paragraphs, sentences or words where it can.
pub(crate) fn split(text: &str, longest: usize) -> Vec<String> {
    use unicode_segmentation::UnicodeSegmentation as _;
    let longest = longest.max(2);
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (mut used, mut end) = (0, rest.len());
        for (at, cluster) in rest.grapheme_indices(true) {
            used += weight(cluster);
            if used > longest {
                end = at;
                break;
            }
        }
        if end < rest.len() {
            let head = &rest[..end];
            // A break near the beginning would leave a crumb.
            let far = |it: &usize| *it >= head.len() / 3;
            let paragraph = head.rfind("\n\n").map(|it| it + 2).filter(far);
            let sentence =
                [". ", "! ", "? ", "\n"].iter().filter_map(|it| Some(head.rfind(it)? + it.len())).max();
            // The blank behind the last word may be the first sign that did not fit.
            let whole = rest[end..].starts_with(char::is_whitespace).then_some(end);
            let word = head.rfind(char::is_whitespace).map(|it| it + 1);
            let cut = paragraph.or_else(|| sentence.filter(far)).or(whole).or(word).filter(|it| *it > 0);
            if let Some(cut) = cut.filter(|it| rest.is_char_boundary(*it)) {
                end = cut;
            }
            // A single sign that is heavier than a piece goes alone.
            if end == 0 {
                end = rest.graphemes(true).next().map_or(rest.len(), str::len);
            }
        }
        let piece = rest[..end].trim();
        if !piece.is_empty() {
            pieces.push(piece.to_owned());
        }
        rest = rest[end..].trim_start();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_texts_are_cut_where_a_reader_would() {
        assert_eq!(
            split("One sentence. Another one. A third.", 28),
            ["One sentence. Another one.", "A third."]
        );
        assert_eq!(split("first paragraph\n\nsecond paragraph", 20), ["first paragraph", "second paragraph"]);
        assert_eq!(split("one two three", 7), ["one two", "three"]);
        assert_eq!(split("日本語です", 4), ["日本", "語で", "す"]);
        assert_eq!(split("short", 280), ["short"]);
        assert!(split("  ", 280).is_empty());
    }

    proptest! {
        #[test]
        fn a_cut_loses_nothing_but_blanks(text in "[a-zé日 .\n👩]{0,300}", longest in 2usize..80) {
            let bare = |it: &str| it.split_whitespace().collect::<String>();
            let pieces = split(&text, longest);
            prop_assert_eq!(bare(&pieces.join(" ")), bare(&text));
            for piece in pieces {
                use unicode_segmentation::UnicodeSegmentation as _;
                prop_assert!(piece.graphemes(true).map(weight).sum::<usize>() <= longest);
            }
        }
    }
}
