//! Whatever keys are pressed and whatever the daemon does: nothing panics, and no text is lost.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;

use super::scenes::{account, draft, filled, picture, plain, post, press, trouble, wait};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::tui::app::App;
use crate::tui::editor::Editor;
use crate::tui::effect::{Deed, Effect, Entry, Load, Loaded, Msg, Outcome};
use crate::tui::remains::Remains;
use crate::tui::update::update;

/// What a step does.
#[derive(Debug, Clone)]
enum Step {
    Key(KeyCode, KeyModifiers),
    /// Keys that only bring something in this order.
    Keys(&'static str),
    Paste(String),
    /// Of a mouse, at a column and a row.
    Mouse(MouseEventKind, u16, u16),
    Wait,
    /// The daemon answers what it was asked, in order; or the answers are lost, done or not.
    Answer(How),
    Restart,
    Resize(u16, u16),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Well,
    LostBefore,
    LostAfter,
}

/// Everything that was written on a page.
#[derive(Debug, Clone, Default, PartialEq)]
struct Words {
    parts: Vec<String>,
    comment: String,
    own: BTreeMap<String, Vec<String>>,
    /// The files, by their ids.
    files: Vec<String>,
}

impl Words {
    fn of(
        parts: &[String],
        comment: Option<&String>,
        own: &BTreeMap<String, m::Variant>,
        files: Vec<String>,
    ) -> Self {
        let comment = comment.filter(|it| !it.trim().is_empty()).cloned().unwrap_or_default();
        let own = own.iter().map(|(name, it)| (name.clone(), it.parts.clone())).collect();
        Self { parts: parts.to_vec(), comment, own, files }
    }

    fn of_post(it: &m::Post) -> Self {
        let files = it.media.iter().map(|it| it.id.clone()).collect();
        Self::of(&it.parts, it.comment.as_ref(), &it.variants, files)
    }

    fn is_blank(&self) -> bool {
        let mut all = self.parts.iter().chain(self.own.values().flatten()).chain([&self.comment]);
        all.all(|it| it.trim().is_empty()) && self.files.is_empty()
    }
}

/// A daemon that remembers drafts.
#[derive(Default)]
struct Fake {
    drafts: BTreeMap<String, (Words, u32)>,
    keys: BTreeMap<String, String>,
    waiting: Vec<Effect>,
    made: usize,
    /// Posts that the user had deleted by saying yes.
    gone: Vec<String>,
}

impl Fake {
    fn stored(&self, id: &str) -> m::Post {
        let empty = || (Words { parts: vec![String::new()], ..Words::default() }, 1);
        let (Words { parts, comment, own, files }, version) =
            self.drafts.get(id).cloned().unwrap_or_else(empty);
        let variant = |parts: Vec<String>| m::Variant { body: None, parts, comment: None };
        let variants = own.into_iter().map(|(name, parts)| (name, variant(parts))).collect();
        let comment = Some(comment).filter(|it| !it.is_empty());
        let file = |id: String| m::Media {
            name: id.clone(),
            id,
            kind: "image".into(),
            bytes: 7,
            alt: None,
            part: 1,
        };
        let media = files.into_iter().map(file).collect();
        m::Post { id: id.into(), version, body: parts[0].clone(), parts, comment, variants, media, ..draft() }
    }

    /// One answer; none where the console waits for none.
    fn answer(&mut self, effect: Effect, how: How) -> Option<Msg> {
        let lost = || trouble("broken", true);
        if how == How::LostBefore {
            return match effect {
                Effect::Load(load) => Some(Msg::Loaded(load, Err(lost()))),
                Effect::Do(deed) => Some(Msg::Done(deed, Err(lost()))),
                Effect::Create(ask) => {
                    Some(Msg::Saved { key: ask.key.unwrap(), result: Box::new(Err(lost())) })
                }
                Effect::Edit { key, .. } => Some(Msg::Saved { key, result: Box::new(Err(lost())) }),
                Effect::Check { revision, .. } => {
                    Some(Msg::Checked { revision, result: Box::new(Err(lost())) })
                }
                _ => None,
            };
        }
        let msg = match effect {
            Effect::Create(ask) => {
                let result = Box::new(Ok(self.create(&ask)));
                Msg::Saved { key: ask.key.unwrap(), result }
            }
            Effect::Edit { key, id, ask } => Msg::Saved { key, result: Box::new(self.edit(&id, &ask)) },
            Effect::Check { revision, .. } => Msg::Checked {
                revision,
                result: Box::new(Ok(m::Check { ok: true, targets: vec![], cost_usd: None })),
            },
            Effect::Do(deed) => {
                let done = self.deed(&deed);
                Msg::Done(deed, done)
            }
            Effect::Load(load) => {
                let found = self.load(&load)?;
                Msg::Loaded(load, Ok(found))
            }
            Effect::Upload { ticket, path } => {
                let stored = m::Uploaded {
                    id: format!("med_{ticket}"),
                    name: "oven.png".into(),
                    kind: "image".into(),
                    bytes: 7,
                    width: 8,
                    height: 8,
                };
                // Every third one fails.
                let result =
                    if ticket.is_multiple_of(3) { Err(trouble("no_file", false)) } else { Ok(stored) };
                Msg::Uploaded { ticket, path, result: Box::new(result) }
            }
            Effect::Editor(text) => Msg::Edited(Ok(text)),
            Effect::Browse(folder) => {
                let path = folder.join("oven.png");
                let oven = Entry { name: "oven.png".into(), path, bytes: Some(7) };
                Msg::Browsed(Ok((folder, vec![oven])))
            }
            Effect::Look { ticket, .. } => {
                Msg::Picture { ticket, result: Box::new(Err("too few colours".into())) }
            }
            _ => return None,
        };
        if how == How::LostAfter {
            return Some(match msg {
                Msg::Saved { key, .. } => Msg::Saved { key, result: Box::new(Err(lost())) },
                Msg::Done(deed, _) => Msg::Done(deed, Err(lost())),
                Msg::Loaded(load, _) => Msg::Loaded(load, Err(lost())),
                other => other,
            });
        }
        Some(msg)
    }

    fn create(&mut self, ask: &r::CreatePost) -> m::Post {
        let key = ask.key.clone().unwrap();
        if let Some(id) = self.keys.get(&key) {
            return self.stored(id);
        }
        self.made += 1;
        let id = format!("pst_{}", self.made + 100);
        self.keys.insert(key, id.clone());
        let words = Words::of(&ask.parts, ask.comment.as_ref(), &ask.variants, files(&ask.media));
        self.drafts.insert(id.clone(), (words, 1));
        self.stored(&id)
    }

    fn edit(&mut self, id: &str, ask: &r::EditPost) -> Result<m::Post, crate::tui::effect::Trouble> {
        let Some((words, version)) = self.drafts.get_mut(id) else {
            return Err(trouble("unknown_id", false));
        };
        if ask.version.is_some_and(|it| it != *version) {
            return Err(trouble("changed_meanwhile", false));
        }
        let media = files(ask.media.as_ref().unwrap());
        let own = ask.variants.as_ref().unwrap();
        *words = Words::of(ask.parts.as_ref().unwrap(), ask.comment.as_ref(), own, media);
        *version += 1;
        Ok(self.stored(id))
    }

    fn deed(&mut self, deed: &Deed) -> Result<Outcome, crate::tui::effect::Trouble> {
        Ok(match deed {
            Deed::Schedule { id, .. } => Outcome::Post(Box::new(self.stored(id))),
            Deed::Amend { id, ask, .. } => {
                // Amended posts keep the text as drafts keep theirs.
                let none = BTreeMap::new();
                let own = ask.variants.as_ref().unwrap_or(&none);
                let media = files(ask.media.as_deref().unwrap_or_default());
                let words =
                    Words::of(&ask.parts.clone().unwrap_or_default(), ask.comment.as_ref(), own, media);
                self.drafts.insert(id.clone(), (words, 1));
                Outcome::Post(Box::new(self.stored(id)))
            }
            Deed::Delete { id, .. } => {
                self.drafts.remove(id);
                self.gone.push(id.clone());
                let at = super::scenes::at(super::scenes::NOW);
                Outcome::Receipt(m::Receipt { id: "rcp_1".into(), at, subject: id.clone(), items: vec![] })
            }
            Deed::Pause | Deed::Resume => Outcome::Nothing,
            Deed::AccountPause(_)
            | Deed::AccountResume(_)
            | Deed::AccountRefresh(_)
            | Deed::AccountRename { .. } => {
                Outcome::Account(Box::new(account("x:acme", m::AccountState::Ready)))
            }
            Deed::Disconnect(_) => return Err(trouble("failed", false)),
            Deed::Cancel(_) | Deed::Move { .. } => {
                let undo = Some("t1".to_owned());
                Outcome::Post(Box::new(m::Post { undo, ..super::scenes::scheduled() }))
            }
            Deed::Retry(_) | Deed::Resolve { .. } | Deed::Undo { .. } => {
                Outcome::Post(Box::new(super::scenes::scheduled()))
            }
        })
    }

    fn load(&self, load: &Load) -> Option<Loaded> {
        let drafts = || self.drafts.keys().map(|id| self.stored(id)).collect::<Vec<_>>();
        Some(match load {
            Load::Status => Loaded::Status(Box::new(super::scenes::status())),
            Load::Drafts => Loaded::Posts(super::scenes::list(drafts())),
            Load::Due | Load::Lately | Load::Page { .. } | Load::Day { .. } => {
                Loaded::Posts(super::scenes::list(vec![super::scenes::scheduled(), super::scenes::held()]))
            }
            Load::Attention => Loaded::Posts(super::scenes::list(vec![super::scenes::held()])),
            Load::Post(id) | Load::Open(id) => {
                let known = [super::scenes::scheduled(), super::scenes::held()];
                let known = known.into_iter().find(|it| it.id == *id);
                Loaded::Post(Box::new(known.unwrap_or_else(|| self.stored(id))))
            }
            Load::Receipts => Loaded::Receipts(m::ReceiptList { receipts: vec![] }),
            Load::Doctor => Loaded::Doctor(m::Diagnosis { ok: true, findings: vec![] }),
            _ => return None,
        })
    }
}

fn files(media: &[r::MediaRef]) -> Vec<String> {
    media.iter().map(|it| it.id.clone()).collect()
}

fn texts(parts: &[Editor]) -> Vec<String> {
    parts.iter().map(|it| it.text().to_owned()).collect()
}

/// The page that is being written: which one, and what stands on it.
fn page(app: &App) -> (String, Words) {
    let it = &app.compose;
    let own = it.voices.iter().map(|(name, own)| (name.clone(), texts(&own.parts))).collect();
    let comment = Some(it.comment.text()).filter(|it| !it.trim().is_empty()).unwrap_or_default().to_owned();
    let files = it.media.iter().map(|it| it.id.clone()).collect();
    (it.key.clone(), Words { parts: texts(&it.common.parts), comment, own, files })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let code = prop_oneof![
        6 => prop::sample::select("abcdefghjklmnopqrstuvwxyzNRSDPCGJK12345678?:/+-<> []y".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        5 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down,
            KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown,
            KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1), KeyCode::F(6), KeyCode::Insert,
        ]),
    ];
    let mods = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        1 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
    ];
    let mouse = prop::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Moved,
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
    ]);
    let how = prop_oneof![4 => Just(How::Well), 1 => Just(How::LostBefore), 1 => Just(How::LostAfter)];
    let step = prop_oneof![
        12 => (code, mods).prop_map(|(code, mods)| Step::Key(code, mods)),
        // The way to the compose screen, so that texts are written at all.
        2 => Just(Step::Key(KeyCode::Char('n'), KeyModifiers::CONTROL)),
        // All accounts, own texts, the comment, files, a time, the end; a draft that is opened.
        3 => prop::sample::select(vec![
            "<BackTab><Enter>a<Enter>", "<A-v>j<Enter>", "<A-v>jj<Enter>", "<A-l>", "<A-n>", "<Tab><Tab>",
            "<Tab><Enter><Enter><Enter>", "<Tab><Enter>j<Enter>/tmp/oven.png<Enter>", "<Esc>1q", "<Esc>1qy", "<Tab><Tab><Tab><Tab><Enter>j<Enter>", "<C-s>", "<Esc>1G<Enter>",
            "<Esc>1<Enter>e",
        ]).prop_map(Step::Keys),
        2 => "[a-z日👩 \n]{1,12}".prop_map(Step::Paste),
        6 => (mouse, 0u16..90, 0u16..30).prop_map(|(kind, column, row)| Step::Mouse(kind, column, row)),
        3 => Just(Step::Wait),
        4 => how.prop_map(Step::Answer),
        1 => Just(Step::Restart),
        1 => (1u16..220, 1u16..60).prop_map(|(width, height)| Step::Resize(width, height)),
    ];
    prop::collection::vec(step, 1..120)
}

/// Checks that the page that was left is with the daemon, or was empty, or was thrown away by a yes.
fn left_safely(before: &(String, Words), id: Option<&String>, fake: &Fake) -> bool {
    before.1.is_blank()
        || id.is_some_and(|id| {
            fake.gone.contains(id) || fake.drafts.get(id).is_some_and(|it| it.0 == before.1)
        })
        // Opened and left as it was.
        || [super::scenes::scheduled(), super::scenes::held()].iter().any(|it| Words::of_post(it) == before.1)
        // An amended post has the text under its own id.
        || fake.drafts.values().any(|it| it.0 == before.1)
        || fake.waiting.iter().any(|it| matches!(it, Effect::Do(Deed::Delete { id: gone, .. }) if Some(gone) == id))
}

/// Which page each upload was begun on: a page may get another key, and no file may get another page.
#[derive(Default)]
struct Births {
    now: usize,
    uploads: BTreeMap<String, usize>,
}

impl Births {
    fn note(
        &mut self,
        before: &(String, Words),
        after: &(String, Words),
        effects: &[Effect],
    ) -> Result<(), TestCaseError> {
        if before.0 != after.0 && before.1 != after.1 {
            self.now += 1;
        } else if before.0 == after.0 {
            for id in after.1.files.iter().filter(|it| !before.1.files.contains(it)) {
                let born = self.uploads.get(id);
                prop_assert!(born == Some(&self.now), "{id} of page {born:?} is on page {}", self.now);
            }
        }
        for it in effects {
            if let Effect::Upload { ticket, .. } = it {
                self.uploads.insert(format!("med_{ticket}"), self.now);
            }
        }
        Ok(())
    }
}

/// The console has ended: what it wrote is with the daemon, or in the file that the next one takes up.
fn after_the_end(app: &App, fake: &mut Fake, n: usize) -> Result<App, TestCaseError> {
    let (_, words) = page(app);
    let left = Remains::of(app);
    // What was on the wire arrives, or not.
    for effect in std::mem::take(&mut fake.waiting) {
        if n.is_multiple_of(2) && matches!(effect, Effect::Create(_) | Effect::Edit { .. }) {
            fake.answer(effect, How::Well);
        }
    }
    let is_old = app.compose.original.is_some() && app.compose.is_kept();
    let is_old = is_old
        || [super::scenes::scheduled(), super::scenes::held()].iter().any(|it| Words::of_post(it) == words);
    let is_there = fake.drafts.values().any(|it| it.0 == words);
    let is_gone = app.compose.id.as_ref().is_some_and(|it| fake.gone.contains(it));
    prop_assert!(
        words.is_blank() || is_old || is_there || is_gone || left.is_some(),
        "lost at the end: {words:?} {:?}",
        app.compose
    );
    let mut next = filled((80, 24), plain());
    next.session = format!("s{n}");
    next.compose.key = next.draft_key();
    if let Some(remains) = left {
        let bytes = serde_json::to_vec(&remains).unwrap();
        let remains = serde_json::from_slice(&bytes).unwrap();
        let msg = Msg::Left { path: "/f".into(), remains: Box::new(remains), more: 0 };
        fake.waiting.extend(update(&mut next, msg));
        fake.waiting.extend(press(&mut next, "y"));
        prop_assert_eq!(page(&next).1, words);
    }
    Ok(next)
}

fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut app = filled((80, 24), plain());
    let mut fake = Fake::default();
    // What opens from the lists is stored as well.
    fake.drafts.insert("pst_3".into(), (Words::of_post(&draft()), 1));
    let mut births = Births::default();
    for (n, step) in steps.into_iter().enumerate() {
        let (before, id) = (page(&app), app.compose.id.clone());
        let mut discards = false;
        let effects = match step {
            Step::Key(code, mods) => {
                discards = matches!(
                    app.layers.last(),
                    Some(crate::tui::layer::Layer::Confirm(it))
                        if matches!(it.then, crate::tui::layer::Then::Discard)
                );
                update(&mut app, Msg::Key(KeyEvent::new(code, mods)))
            }
            Step::Keys(keys) => press(&mut app, keys),
            Step::Paste(text) => update(&mut app, Msg::Paste(text)),
            // The places are those that were drawn last.
            Step::Mouse(kind, column, row) => {
                let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
                update(&mut app, Msg::Mouse(event))
            }
            Step::Wait => wait(&mut app, 1),
            Step::Resize(width, height) => update(&mut app, Msg::Resize(width, height)),
            Step::Restart => {
                let mut effects = update(&mut app, Msg::Down(trouble("unreachable", true)));
                effects.extend(update(&mut app, Msg::Up(Box::new(super::scenes::status()))));
                effects
            }
            Step::Answer(how) => {
                let mut effects = Vec::new();
                for effect in std::mem::take(&mut fake.waiting) {
                    let (before, id) = (page(&app), app.compose.id.clone());
                    if let Some(msg) = fake.answer(effect, how) {
                        let more = update(&mut app, msg);
                        births.note(&before, &page(&app), &more)?;
                        fake.waiting.extend(more.iter().cloned());
                        effects.extend(more);
                        let after = page(&app);
                        prop_assert!(
                            after.0 == before.0
                                || after.1 == before.1
                                || left_safely(&before, id.as_ref(), &fake),
                            "lost at an answer: {before:?} {id:?} {:?}",
                            fake.drafts
                        );
                    }
                }
                fake.waiting.clear();
                effects
            }
        };
        births.note(&before, &page(&app), &effects)?;
        fake.waiting.extend(effects);
        if app.quit {
            app = after_the_end(&app, &mut fake, n)?;
            births = Births::default();
            continue;
        }
        let after = page(&app);
        prop_assert!(
            discards
                || after.0 == before.0
                || after.1 == before.1
                || left_safely(&before, id.as_ref(), &fake),
            "lost: {before:?} {id:?} {:?}",
            fake.drafts
        );
        drop(picture(&mut app));
    }
    // In the end everything is with the daemon, or on the page of the dead console: nothing is.
    app.layers.clear();
    for _ in 0..6 {
        let more = wait(&mut app, 2);
        fake.waiting.extend(more);
        for effect in std::mem::take(&mut fake.waiting) {
            if matches!(effect, Effect::Create(_) | Effect::Edit { .. } | Effect::Check { .. })
                && let Some(msg) = fake.answer(effect, How::Well)
            {
                let more = update(&mut app, msg);
                fake.waiting.extend(more);
            }
        }
    }
    let (_, words) = page(&app);
    let kept = app.compose.id.as_ref().and_then(|it| fake.drafts.get(it));
    // Opened and not changed: it is where it was.
    let is_old = app.compose.original.is_some() && app.compose.is_kept();
    let is_gone = app.compose.id.as_ref().is_some_and(|it| fake.gone.contains(it));
    prop_assert!(
        words.is_blank() || is_gone || is_old || kept.is_some_and(|it| it.0 == words),
        "not kept: {words:?} {:?} {:?}",
        app.compose,
        fake.drafts
    );
    Ok(())
}

/// 256 sequences unless told otherwise; `.ci/run` has 10,000, built as quick as a release.
fn cases() -> u32 {
    std::env::var("SENDOFF_CONSOLE_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(256)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn any_keys_and_any_answers_lose_no_text_and_never_panic(steps in steps()) {
        play(steps)?;
    }
}

#[test]
fn the_checks_of_this_test_notice_a_loss() {
    let fake = Fake::default();
    let written = |comment: &str| ("k".to_owned(), Words { comment: comment.into(), ..Words::default() });
    assert!(!left_safely(&written("text"), Some(&"pst_1".to_owned()), &fake));
    assert!(left_safely(&written(" "), None, &fake));
    let _ = post("pst_1", "", vec![]);
}
