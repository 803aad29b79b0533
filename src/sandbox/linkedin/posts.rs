//! Posts and comments: made, listed, shown, changed, deleted.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::media::Noun;
use super::oauth::Token;
use super::{LinkedIn, body, error, invalid, text};
use crate::sandbox::Published;
use crate::sandbox::wire::{Answer, Call};

/// How long the words of a post are refused again, as the older API had it. Deleted posts count.
const REPEATS: SignedDuration = SignedDuration::from_mins(10);

pub(super) struct Post {
    pub(super) urn: String,
    pub(super) author: String,
    /// As it came, escapes and all.
    commentary: String,
    /// As readers see it.
    pub(super) text: String,
    pub(super) note: Option<String>,
    /// Ids of files, and their alternative texts.
    pub(super) files: Vec<(String, String)>,
    /// As it came.
    content: Option<Value>,
    visibility: String,
    parent: Option<String>,
    state: &'static str,
    pub(super) at: Timestamp,
    changed: Timestamp,
    pub(super) deleted: Option<Timestamp>,
}

impl Post {
    pub(super) fn published(&self, account: &str) -> Published {
        Published {
            film: None,
            network: "linkedin",
            account: account.to_owned(),
            id: self.urn.clone(),
            text: self.text.clone(),
            parent: self.parent.clone(),
            alts: self.files.iter().map(|(_, alt)| alt.clone()).collect(),
            at: self.at,
            deleted: self.deleted,
        }
    }

    fn shown(&self) -> Value {
        let ms = self.at.as_millisecond();
        let mut shown = json!({ "id": self.urn, "author": self.author, "commentary": self.commentary,
            "visibility": self.visibility, "lifecycleState": self.state, "createdAt": ms, "publishedAt": ms,
            "lastModifiedAt": self.changed.as_millisecond(), "isReshareDisabledByAuthor": false,
            "distribution": { "feedDistribution": "MAIN_FEED", "targetEntities": [],
                "thirdPartyDistributionChannels": [] } });
        if let Some(content) = &self.content {
            shown["content"] = content.clone();
        }
        shown
    }
}

/// What a post is made of.
struct Content {
    kind: &'static str,
    note: Option<String>,
    files: Vec<(String, String)>,
}

impl LinkedIn {
    /// An id whose upper bits are the time, as LinkedIn's are.
    fn number(&mut self, now: Timestamp) -> u64 {
        self.last_id += 1;
        let ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        (ms << 22) + self.last_id % (1 << 22)
    }

    pub(super) fn create(&mut self, call: &Call, token: &Token) -> Result<Answer, Answer> {
        super::only(call, &[])?;
        let body = super::json_body(call)?;
        body::post(&body)?;
        let author = body["author"].as_str().unwrap_or_default().to_owned();
        self.may_write(token, &author, "partnerApiPostsExternal.CREATE")?;
        let commentary = body["commentary"].as_str().unwrap_or_default().to_owned();
        let content = match body.get("content") {
            None => Content { kind: "share", note: None, files: Vec::new() },
            Some(content) => self.content(call.now, &author, content)?,
        };
        if let Some(parent) = body["reshareContext"]["parent"].as_str()
            && self.posts.get(parent).is_none_or(|it| it.deleted.is_some())
        {
            return Err(
                error(400, "INVALID_URN_ID", 0, &format!("{parent} is not valid")).because("no such post")
            );
        }
        let same = |it: &&Post| {
            it.author == author
                && it.parent.is_none()
                && it.commentary == commentary
                && call.now.duration_since(it.at) < REPEATS
        };
        if let Some(first) = self.posts.values().find(same) {
            let message = format!("Content is a duplicate of {}", first.urn);
            return Err(Answer::json(422, &json!({ "status": 422, "message": message })));
        }
        let (text, whole) = text::shown(&commentary);
        let urn = format!("urn:li:{}:{}", content.kind, self.number(call.now));
        let post = Post {
            urn: urn.clone(),
            author,
            commentary,
            text,
            note: content.note,
            files: content.files,
            content: body.get("content").cloned(),
            visibility: body["visibility"].as_str().unwrap_or_default().to_owned(),
            parent: None,
            state: if std::mem::take(&mut self.fails_next) { "PUBLISH_FAILED" } else { "PUBLISHED" },
            at: call.now,
            changed: call.now,
            deleted: None,
        };
        self.posts.insert(urn.clone(), post);
        let answer = Answer::new(201, "application/json; charset=utf-8", "").with("x-restli-id", &urn);
        // It says nothing of it; whoever watches the stand-in should know.
        Ok(if whole { answer } else { answer.because("the text was cut off at a reserved character") })
    }

    /// What comes with the words, of which [`body::post`] has seen that it is well made.
    fn content(&self, now: Timestamp, author: &str, content: &Value) -> Result<Content, Answer> {
        let share = |note: Option<String>, files| Content { kind: "share", note, files };
        let mut shapes = content.as_object().into_iter().flatten();
        let Some((shape, it)) = shapes.next() else { return Err(invalid("/content")) };
        Ok(match shape.as_str() {
            "media" => {
                let (noun, id, alt) = self.file(now, author, it)?;
                let title = it["title"].as_str().map(|it| format!("{}: {it}", noun.word()));
                let kind = if noun == Noun::Video { "ugcPost" } else { "share" };
                Content { kind, ..share(title, vec![(id, alt)]) }
            }
            "multiImage" => {
                let all = it["images"].as_array().into_iter().flatten();
                let files = all.map(|it| self.file(now, author, it).map(|(_, id, alt)| (id, alt)));
                let files = files.collect::<Result<Vec<_>, _>>()?;
                share(Some(format!("{} pictures", files.len())), files)
            }
            "article" => {
                let mut files = Vec::new();
                if it["thumbnail"].is_string() {
                    let (_, id, alt) = self.file(now, author, &json!({ "id": it["thumbnail"] }))?;
                    files.push((id, alt));
                }
                share(it["source"].as_str().map(str::to_owned), files)
            }
            _ => {
                let choices = it["options"].as_array().into_iter().flatten();
                let choices: Vec<_> = choices.filter_map(|it| it["text"].as_str()).collect();
                let (question, duration) = (&it["question"], &it["settings"]["duration"]);
                let words = |it: &Value| it.as_str().unwrap_or_default().to_owned();
                let (question, choices) = (words(question), choices.join(" / "));
                let length = words(duration).to_lowercase().replace('_', " ");
                share(Some(format!("poll: {question} {choices} ({length})")), Vec::new())
            }
        })
    }

    /// A file that is there, and the author's.
    fn file(&self, now: Timestamp, author: &str, media: &Value) -> Result<(Noun, String, String), Answer> {
        let urn = media["id"].as_str().unwrap_or_default();
        let alt = media["altText"].as_str().unwrap_or_default();
        let odd = || error(400, "INVALID_URN_ID", 0, &format!("{urn} is not valid")).because("no such file");
        let (kind, id) = urn.strip_prefix("urn:li:").and_then(|it| it.split_once(':')).ok_or_else(odd)?;
        let asset = self.assets.get(id).filter(|it| it.noun.word() == kind).ok_or_else(odd)?;
        if asset.owner != author {
            return Err(odd().because("a file of another owner"));
        }
        match asset.state(now) {
            "AVAILABLE" => Ok((asset.noun, id.to_owned(), alt.to_owned())),
            "PROCESSING_FAILED" => {
                Err(error(400, "MEDIA_ASSET_PROCESSING_FAILED", 0, "The file could not be processed"))
            }
            "PROCESSING" => Err(error(400, "MEDIA_ASSET_PROCESSING", 0, "The file is being processed")),
            _ => Err(error(400, "MEDIA_ASSET_WAITING_UPLOAD", 0, "The file has not been uploaded")),
        }
    }

    /// Only organizations' posts can be read.
    fn may_read(&self, token: &Token, author: &str) -> Result<(), Answer> {
        if !token.may("r_organization_social") || !author.starts_with("urn:li:organization:") {
            return Err(super::denied("partnerApiPostsExternal.FINDER-author"));
        }
        self.may_write(token, author, "partnerApiPostsExternal.GET")
    }

    pub(super) fn list(&self, call: &Call, token: &Token) -> Result<Answer, Answer> {
        super::only(call, &["q", "author", "count", "start", "sortBy"])?;
        if call.header("x-restli-method") != Some("FINDER") {
            return Err(invalid("a finder wants the header X-RestLi-Method: FINDER"));
        }
        let author = call.param("author").unwrap_or_default();
        if call.param("q") != Some("author") {
            return Err(invalid("q is not author"));
        }
        body::urn("author", &json!(author), &["person", "organization"])?;
        if call.param("sortBy").is_some_and(|it| !matches!(it, "CREATED" | "LAST_MODIFIED")) {
            return Err(invalid("sortBy"));
        }
        self.may_read(token, author)?;
        let number = |name: &str, or: usize| call.param(name).map_or(Some(or), |it| it.parse().ok());
        let (Some(count @ 1..=100), Some(start)) = (number("count", 10), number("start", 0)) else {
            return Err(invalid("count is 1 to 100, start a number"));
        };
        let mine = |it: &&Post| it.author == author && it.parent.is_none() && it.deleted.is_none();
        let rows: Vec<Value> =
            self.posts.values().rev().filter(mine).skip(start).take(count).map(Post::shown).collect();
        let paging = json!({ "start": start, "count": count, "links": [] });
        Ok(Answer::json(200, &json!({ "paging": paging, "elements": rows })))
    }

    pub(super) fn get(&self, call: &Call, token: &Token, urn: &str) -> Result<Answer, Answer> {
        super::only(call, &["viewContext"])?;
        if call.param("viewContext").is_some_and(|it| !matches!(it, "READER" | "AUTHOR")) {
            return Err(invalid("viewContext"));
        }
        named(urn)?;
        if !token.may("r_organization_social") {
            return Err(super::denied("partnerApiPostsExternal.GET"));
        }
        let post = self.posts.get(urn).filter(|it| it.deleted.is_none());
        let post = post.ok_or_else(|| error(404, "RESOURCE_NOT_FOUND", 0, "Could not find entity"))?;
        self.may_read(token, &post.author)?;
        Ok(Answer::json(200, &post.shown()))
    }

    /// Other words for a post. Nothing else of it can be changed.
    pub(super) fn update(&mut self, call: &Call, token: &Token, urn: &str) -> Result<Answer, Answer> {
        super::only(call, &[])?;
        if call.header("x-restli-method") != Some("PARTIAL_UPDATE") {
            return Err(invalid("an update wants the header X-RestLi-Method: PARTIAL_UPDATE, and this one"));
        }
        named(urn)?;
        let body = super::json_body(call)?;
        body::update(&body)?;
        let author = self.posts.get(urn).filter(|it| it.deleted.is_none()).map(|it| it.author.clone());
        let author = author.ok_or_else(|| error(404, "RESOURCE_NOT_FOUND", 0, "Could not find entity"))?;
        self.may_write(token, &author, "partnerApiPostsExternal.PARTIAL_UPDATE")?;
        let answer = Answer::new(204, "application/json; charset=utf-8", "");
        let (Some(post), Some(words)) =
            (self.posts.get_mut(urn), body["patch"]["$set"]["commentary"].as_str())
        else {
            return Ok(answer);
        };
        let (text, whole) = text::shown(words);
        (post.commentary, post.text, post.changed) = (words.to_owned(), text, call.now);
        Ok(if whole { answer } else { answer.because("the text was cut off at a reserved character") })
    }

    /// Gone already is as good.
    pub(super) fn delete(&mut self, call: &Call, token: &Token, urn: &str) -> Result<Answer, Answer> {
        super::only(call, &[])?;
        if call.header("x-restli-method").is_some_and(|it| it != "DELETE") {
            return Err(invalid("X-RestLi-Method"));
        }
        named(urn)?;
        let author = self.posts.get(urn).map(|it| it.author.clone());
        if let Some(author) = author {
            self.may_write(token, &author, "partnerApiPostsExternal.DELETE")?;
            let under: Vec<String> = self
                .posts
                .values()
                .filter(|it| it.parent.as_deref() == Some(urn))
                .map(|it| it.urn.clone())
                .collect();
            for id in under.iter().map(String::as_str).chain([urn]) {
                if let Some(post) = self.posts.get_mut(id) {
                    post.deleted = post.deleted.or(Some(call.now));
                }
            }
        }
        Ok(Answer::new(204, "application/json; charset=utf-8", ""))
    }

    pub(super) fn comment(&mut self, call: &Call, token: &Token, urn: &str) -> Result<Answer, Answer> {
        super::only(call, &[])?;
        let body = super::json_body(call)?;
        body::comment(&body)?;
        let actor = body["actor"].as_str().unwrap_or_default().to_owned();
        self.may_write(token, &actor, "socialActions.CREATE")?;
        if self.posts.get(urn).is_none_or(|it| it.deleted.is_some()) || body["object"] != urn {
            return Err(error(404, "RESOURCE_NOT_FOUND", 0, "Could not find entity").because("no such post"));
        }
        let text = body["message"]["text"].as_str().unwrap_or_default().to_owned();
        let id = self.number(call.now).to_string();
        let name = format!("urn:li:comment:({urn},{id})");
        let comment = Post {
            urn: name.clone(),
            author: actor,
            commentary: text.clone(),
            text,
            note: None,
            files: Vec::new(),
            content: None,
            visibility: String::new(),
            parent: Some(urn.to_owned()),
            state: "PUBLISHED",
            at: call.now,
            changed: call.now,
            deleted: None,
        };
        self.posts.insert(name.clone(), comment);
        Ok(Answer::json(201, &json!({ "id": id, "commentUrn": name })).with("x-restli-id", &id))
    }
}

/// Whether an address names a post.
fn named(urn: &str) -> Result<(), Answer> {
    body::urn("the post", &json!(urn), &["share", "ugcPost"]).map(drop)
}
