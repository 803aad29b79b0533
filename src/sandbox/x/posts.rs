//! Creating and deleting posts: the rules that X applies before it takes one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use super::body::{self, CREATE};
use super::count::{cashtags, links};
use super::problems::problem;
use super::{X, forbidden, invalid, invalid_one, is_id, json_object, not_found, not_permitted, weigh};
use crate::sandbox::wire::{Answer, Call};

/// How long the same words of the same user are refused. X does not publish its window.
const SAME_WORDS: SignedDuration = SignedDuration::from_hours(24);

/// A post that was taken.
pub(super) struct Post {
    pub(super) id: String,
    pub(super) user: usize,
    /// As it was sent.
    pub(super) sent: String,
    pub(super) pieces: Vec<Piece>,
    pub(super) parent: Option<String>,
    pub(super) conversation: String,
    pub(super) files: Vec<Attached>,
    pub(super) reply_settings: String,
    /// For people: its poll, and what else was chosen.
    pub(super) note: Option<String>,
    pub(super) at: Timestamp,
    pub(super) deleted: Option<Timestamp>,
}

/// A file of a post.
pub(super) struct Attached {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) alt: String,
}

/// A stretch of a post's text as X keeps it.
pub(super) enum Piece {
    Words(String),
    Link { short: String, target: String, shown: String, media_key: Option<String> },
}

impl Post {
    /// The text with short links, and where these are, in code points. Reads are HTML-escaped.
    pub(super) fn render(&self, escaped: bool) -> (String, Vec<Value>) {
        let mut text = String::new();
        let mut urls = Vec::new();
        let mut length = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Words(words) if escaped => {
                    text += &words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                }
                Piece::Words(words) => text += words,
                Piece::Link { short, target, shown, media_key } => {
                    let end = length + short.chars().count();
                    let mut url = json!({
                        "start": length, "end": end, "url": short, "expanded_url": target, "display_url": shown,
                    });
                    if let Some(key) = media_key {
                        url["media_key"] = key.clone().into();
                    }
                    urls.push(url);
                    text += short;
                }
            }
            length = text.chars().count();
        }
        (text, urls)
    }
}

fn listed(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl X {
    /// `POST /2/tweets`.
    pub(super) fn create(&mut self, call: &Call, user: usize) -> Answer {
        let value = match json_object(call) {
            Ok(value) => value,
            Err(answer) => return answer,
        };
        let faults = body::faults(&value, CREATE);
        if !faults.is_empty() {
            return invalid(&faults);
        }
        let text: String = value["text"].as_str().unwrap_or_default().nfc().collect();
        let ids = listed(&value["media"]["media_ids"]);
        if let Err(answer) = self.check_text(user, &text, !ids.is_empty()).and_then(|()| check_kind(&value)) {
            return *answer;
        }
        let files = match self.attach(call, user, &ids) {
            Ok(files) => files,
            Err(answer) => return *answer,
        };
        let parent = value["reply"]["in_reply_to_tweet_id"].as_str().map(str::to_owned);
        let root = match self.check_parent(user, parent.as_deref()) {
            Ok(root) => root,
            Err(answer) => return *answer,
        };
        // Words are what X compares; a picture without words is never a duplicate.
        let words = (user, text.clone());
        if let Some((id, at)) = self.said.get(&words)
            && !text.is_empty()
            && call.now < *at + SAME_WORDS
            && self.posts.get(id).is_some_and(|it| it.deleted.is_none())
        {
            return forbidden("You are not allowed to create a Tweet with duplicate content.");
        }
        let id = self.next_id(call.now);
        self.said.insert(words, (id.clone(), call.now));
        let post = Post {
            pieces: self.pieces(user, &id, &text, &files),
            id: id.clone(),
            user,
            sent: text,
            conversation: root.unwrap_or_else(|| id.clone()),
            parent,
            files,
            reply_settings: value["reply_settings"].as_str().unwrap_or("everyone").to_owned(),
            note: note(&value),
            at: call.now,
            deleted: None,
        };
        let (text, _) = post.render(false);
        self.posts.insert(id.clone(), post);
        Answer::json(201, &json!({ "data": { "id": id, "text": text, "edit_history_tweet_ids": [id] } }))
    }

    fn check_text(&self, user: usize, text: &str, has_files: bool) -> Result<(), Box<Answer>> {
        let bad =
            |why: String| Err(Box::new(invalid_one("text", &text.chars().take(60).collect::<String>(), why)));
        // A poll needs its question, too.
        if text.trim().is_empty() && !has_files {
            return bad("The property [text] is required unless media is given".to_owned());
        }
        if text.contains(['\u{FFFE}', '\u{FEFF}', '\u{FFFF}']) {
            return bad("the text holds a character that X does not take".to_owned());
        }
        let (used, max) = (weigh(text), self.users[user].text_max());
        if used > max {
            return bad(format!("the text is too long: {used} of {max} weighted characters"));
        }
        if cashtags(text) > 1 {
            return bad("the text names more than one cashtag".to_owned());
        }
        Ok(())
    }

    /// The files of the post: the user's own, ready, and either pictures or one GIF or one video.
    fn attach(&self, call: &Call, user: usize, ids: &[String]) -> Result<Vec<Attached>, Box<Answer>> {
        let bad = |id: &str, why: String| Box::new(invalid_one("media.media_ids", id, why));
        let mut kinds = Vec::new();
        let mut attached: Vec<Attached> = Vec::new();
        for id in ids {
            let file = self.files.get(id).ok_or_else(|| bad(id, "Your media IDs are invalid.".to_owned()))?;
            file.attachable(user, &self.users[user].id, call.now)
                .map_err(|why| bad(id, format!("Your media IDs are invalid: media [{id}] {why}")))?;
            if attached.iter().any(|it| it.id == *id) {
                return Err(bad(id, format!("media [{id}] is named twice")));
            }
            kinds.push(file.kind());
            attached.push(Attached { id: id.clone(), key: file.key(), alt: file.alt.clone() });
        }
        if kinds.len() > 1 && kinds.iter().any(|it| *it != "photo") {
            return Err(bad("", "a post carries up to four photos, or one GIF, or one video".to_owned()));
        }
        Ok(attached)
    }

    /// The conversation that a reply joins. Self-serve apps may reply to their own user's posts
    /// only, as long as nobody mentions anybody here (docs.x.com changelog, 2026-02-23).
    fn check_parent(&self, user: usize, parent: Option<&str>) -> Result<Option<String>, Box<Answer>> {
        let Some(parent) = parent else { return Ok(None) };
        match self.posts.get(parent) {
            Some(post) if post.deleted.is_none() && post.user == user => Ok(Some(post.conversation.clone())),
            Some(post) if post.deleted.is_none() => Err(Box::new(forbidden(
                "Reply to this conversation is not allowed because you have not been mentioned or otherwise \
                 engaged by the author of the post you are replying to.",
            ))),
            _ => Err(Box::new(forbidden(
                "You attempted to reply to a Tweet that is deleted or not visible to you.",
            ))),
        }
    }

    /// Cuts the text at its links and gives each a short one; files add one at the end.
    fn pieces(&mut self, user: usize, id: &str, text: &str, files: &[Attached]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for (start, end) in links(text) {
            let written = &text[start..end];
            let bare = !written.to_ascii_lowercase().starts_with("http");
            let target = if bare { format!("http://{written}") } else { written.to_owned() };
            let shown = target.split_once("://").map_or(target.as_str(), |(_, rest)| rest).to_owned();
            pieces.push(Piece::Words(text[from..start].to_owned()));
            pieces.push(Piece::Link { short: self.short_link(), target, shown, media_key: None });
            from = end;
        }
        pieces.push(Piece::Words(text[from..].to_owned()));
        if let Some(first) = files.first() {
            if !text.is_empty() {
                pieces.push(Piece::Words(" ".to_owned()));
            }
            let short = self.short_link();
            let shown = short.trim_start_matches("https://").replace("t.co", "pic.x.com");
            let target = format!("https://x.com/{}/status/{id}/photo/1", self.users[user].username);
            pieces.push(Piece::Link { short, target, shown, media_key: Some(first.key.clone()) });
        }
        pieces
    }

    fn short_link(&mut self) -> String {
        let name: String =
            self.chance.token("t.co").chars().filter(char::is_ascii_alphanumeric).take(10).collect();
        format!("https://t.co/{name:0<10}")
    }

    /// `DELETE /2/tweets/{id}`. What X says to a missing post is not documented; a 404 of its
    /// documented type is.
    pub(super) fn delete(&mut self, call: &Call, user: usize, id: &str) -> Answer {
        if !is_id(id) {
            return invalid_one("id", id, format!("The `id` query parameter value [{id}] is not valid"));
        }
        match self.posts.get_mut(id) {
            Some(post) if post.deleted.is_none() && post.user == user => post.deleted = Some(call.now),
            Some(post) if post.deleted.is_none() => {
                return forbidden("You are not authorized to delete this Tweet.");
            }
            _ => {
                let mut problem = not_found("tweet", "id", id);
                problem["status"] = 404.into();
                return Answer::problem(404, &problem);
            }
        }
        Answer::json(200, &json!({ "data": { "deleted": true } }))
    }
}

/// What a post shows besides its words and files.
fn note(value: &Value) -> Option<String> {
    let mut all = Vec::new();
    if value["poll"].is_object() {
        let minutes = &value["poll"]["duration_minutes"];
        all.push(format!("poll: {} ({minutes} min)", listed(&value["poll"]["options"]).join(" / ")));
    }
    for (name, shown) in [("made_with_ai", "made with AI"), ("paid_partnership", "paid partnership")] {
        if value[name] == true {
            all.push(shown.to_owned());
        }
    }
    if let Some(id) = value["community_id"].as_str() {
        let followers = if value["share_with_followers"] == true { ", and to followers" } else { "" };
        all.push(format!("to community {id}{followers}"));
    }
    if let Some(who) = value["reply_settings"].as_str() {
        all.push(format!("replies: {who}"));
    }
    (!all.is_empty()).then(|| all.join(" · "))
}

/// The community that everybody here belongs to.
const COMMUNITY: &str = "1500000000000000001";

/// What excludes what, and what a self-serve app may not send at all.
fn check_kind(value: &Value) -> Result<(), Box<Answer>> {
    const CLOSED: &[&str] =
        &["card_uri", "direct_message_deep_link", "edit_options", "for_super_followers_only", "nullcast"];
    const EXCLUSIVE: &[&str] = &["media", "poll", "quote_tweet_id", "card_uri", "direct_message_deep_link"];
    let given: Vec<&str> = EXCLUSIVE.iter().copied().filter(|it| value.get(it).is_some()).collect();
    if given.len() > 1 {
        return Err(Box::new(invalid_one(
            given[1],
            "",
            format!("{} exclude each other", given.join(" and ")),
        )));
    }
    if value.get("quote_tweet_id").is_some() {
        let detail = "Quoting a post through the API needs an Enterprise plan.";
        return Err(Box::new(
            problem(403, "Authorization Error", detail, "not-authorized-for-resource").because(detail),
        ));
    }
    match value["community_id"].as_str() {
        Some(COMMUNITY) => {}
        Some(id) => {
            return Err(Box::new(not_permitted(&format!("the user is no member of community [{id}]"))));
        }
        None if value.get("share_with_followers").is_some() => {
            let why = "share_with_followers is for posts to a community";
            return Err(Box::new(invalid_one("share_with_followers", "", why)));
        }
        None => {}
    }
    match CLOSED.iter().find(|it| value.get(it).is_some_and(|it| *it != Value::Bool(false))) {
        Some(name) => Err(Box::new(not_permitted(&format!("`{name}` is closed to the sandbox's users")))),
        None => Ok(()),
    }
}
