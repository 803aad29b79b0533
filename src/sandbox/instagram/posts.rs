//! What was published: listed, shown, commented, deleted.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::containers::File;
use super::{Caller, Instagram, invalid, missing, ok};
use crate::sandbox::Published;
use crate::sandbox::facebook::error;
use crate::sandbox::facebook::params::Params;
use crate::sandbox::wire::Answer;

const MEDIA_FIELDS: &[&str] =
    &["id", "caption", "timestamp", "media_product_type", "media_type", "permalink", "username", "shortcode"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Carousel,
    Reel,
    Story,
    Comment,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Image => "picture",
            Self::Carousel => "carousel",
            Self::Reel => "reel",
            Self::Story => "story",
            Self::Comment => "comment",
        }
    }
}

pub(super) struct Post {
    pub(super) id: String,
    pub(super) user: usize,
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) files: Vec<File>,
    pub(super) parent: Option<String>,
    pub(super) at: Timestamp,
    pub(super) deleted: Option<Timestamp>,
}

impl Post {
    pub(super) fn published(&self, account: &str) -> Published {
        Published {
            film: None,
            network: "instagram",
            account: account.to_owned(),
            id: self.id.clone(),
            text: self.text.clone(),
            parent: self.parent.clone(),
            alts: self.files.iter().filter(|it| !it.video).map(|it| it.alt.clone()).collect(),
            at: self.at,
            deleted: self.deleted,
        }
    }

    fn media_type(&self) -> &'static str {
        match self.files.first() {
            _ if self.kind == Kind::Carousel => "CAROUSEL_ALBUM",
            Some(file) if file.video => "VIDEO",
            _ => "IMAGE",
        }
    }

    fn product(&self) -> &'static str {
        match self.kind {
            Kind::Reel => "REELS",
            Kind::Story => "STORY",
            Kind::Image | Kind::Carousel | Kind::Comment => "FEED",
        }
    }
}

fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

impl Instagram {
    fn show(&self, post: &Post, fields: &[String]) -> Result<Value, Answer> {
        let mut shown = json!({ "id": post.id });
        for field in fields {
            let value = match field.as_str() {
                "id" => continue,
                // An empty caption is left out.
                "caption" if post.text.is_empty() => continue,
                "caption" => json!(post.text),
                "timestamp" => json!(instant(post.at)),
                "media_product_type" => json!(post.product()),
                "media_type" => json!(post.media_type()),
                "permalink" => json!(format!("{}/instagram/p/{}", self.origin, post.id)),
                "username" => json!(self.users[post.user].username),
                _ => return Err(invalid(&format!("Tried accessing nonexisting field ({field})"))),
            };
            shown[field.as_str()] = value;
        }
        Ok(shown)
    }

    fn mine(&self, caller: &Caller, id: &str) -> Option<&Post> {
        self.posts.get(id).filter(|it| it.user == caller.user && it.deleted.is_none())
    }

    pub(super) fn list(
        &self,
        caller: &Caller,
        user: &str,
        params: &Params,
        stories: bool,
    ) -> Result<Answer, Answer> {
        self.own(caller, user)?;
        let number = |name: &str| params.text(name).and_then(|it| it.parse::<i64>().ok());
        let since = number("since");
        let limit = usize::try_from(number("limit").unwrap_or(25)).unwrap_or(25);
        let fields = params.fields().unwrap_or_else(|| vec!["id".into()]);
        let wanted = |it: &&Post| {
            it.user == caller.user
                && it.deleted.is_none()
                && it.kind != Kind::Comment
                && (it.kind == Kind::Story) == stories
                && since.is_none_or(|since| it.at.as_second() >= since)
        };
        let mut all: Vec<&Post> = self.posts.values().rev().filter(wanted).collect();
        if let Some(cursor) = params.text("after") {
            let at = all.iter().position(|it| it.id == cursor).ok_or_else(|| invalid("Invalid cursor"))?;
            all.drain(..=at);
        }
        let page = &all[..all.len().min(limit)];
        let rows = page.iter().map(|it| self.show(it, &fields)).collect::<Result<Vec<_>, _>>()?;
        let mut body = json!({ "data": rows });
        if let Some(last) = page.last().filter(|_| all.len() > limit) {
            let next = format!("{}/instagram/next?access_token=hidden&after={}", self.origin, last.id);
            body["paging"] = json!({ "cursors": { "after": last.id }, "next": next });
        }
        Ok(ok(&body))
    }

    pub(super) fn node(
        &mut self,
        now: Timestamp,
        caller: &Caller,
        id: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        let fields = params.fields().unwrap_or_else(|| vec!["id".into()]);
        if let Some(post) = self.mine(caller, id) {
            let odd = fields.iter().find(|it| !MEDIA_FIELDS.contains(&it.as_str()));
            return match odd {
                Some(odd) => Err(invalid(&format!("Tried accessing nonexisting field ({odd})"))),
                None => Ok(ok(&self.show(post, &fields)?)),
            };
        }
        if let Some(answer) = self.container(now, caller, id, &fields) {
            return answer;
        }
        let user = &self.users[caller.user];
        if user.id == id {
            return Ok(ok(&json!({ "id": id, "username": user.username, "name": user.name })));
        }
        Err(missing(id))
    }

    pub(super) fn me(&self, caller: &Caller) -> Answer {
        let user = &self.users[caller.user];
        ok(&json!({ "id": user.app_scoped, "user_id": user.id, "username": user.username,
            "name": user.name, "account_type": "BUSINESS" }))
    }

    pub(super) fn comment(
        &mut self,
        now: Timestamp,
        caller: &Caller,
        parent: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        // What a comment on a story is answered stands in no document. This is what Meta's table of error
        // codes has for an object that a call may not use (developers.facebook.com/docs/instagram-platform/
        // instagram-graph-api/reference/error-codes: 100/33).
        let Some(post) = self.mine(caller, parent).filter(|it| it.kind != Kind::Story) else {
            return Err(missing(parent).because("no such post to comment on"));
        };
        let parent = post.id.clone();
        let text = params.text("message").filter(|it| !it.trim().is_empty());
        let text = text.ok_or_else(|| invalid("a comment needs a message"))?;
        let id = self.next_id();
        let comment = Post {
            id: id.clone(),
            user: caller.user,
            kind: Kind::Comment,
            text,
            files: Vec::new(),
            parent: Some(parent),
            at: now,
            deleted: None,
        };
        self.posts.insert(id.clone(), comment);
        Ok(ok(&json!({ "id": id })))
    }

    pub(super) fn comments(&self, caller: &Caller, parent: &str) -> Result<Answer, Answer> {
        if self.mine(caller, parent).is_none() {
            return Err(missing(parent));
        }
        let under = |it: &&Post| it.parent.as_deref() == Some(parent) && it.deleted.is_none();
        let rows: Vec<Value> = self
            .posts
            .values()
            .filter(under)
            .map(|it| {
                json!({ "id": it.id, "text": it.text, "timestamp": instant(it.at),
                    "username": self.users[it.user].username })
            })
            .collect();
        Ok(ok(&json!({ "data": rows })))
    }

    pub(super) fn delete(&mut self, now: Timestamp, caller: &Caller, id: &str) -> Result<Answer, Answer> {
        if !caller.through_facebook {
            return Err(error(400, 100, 0, "Unsupported delete request.")
                .because("nothing can be deleted at Instagram's own door"));
        }
        match self.posts.get_mut(id).filter(|it| it.user == caller.user && it.deleted.is_none()) {
            Some(post) => {
                post.deleted = Some(now);
                Ok(ok(&json!({ "success": true, "deleted_id": id })))
            }
            None => Err(missing(id)),
        }
    }
}
