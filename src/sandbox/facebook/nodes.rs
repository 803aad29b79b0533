//! Single objects: shown, edited, deleted.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::oauth::Holder;
use super::params::Params;
use super::posts::{Kind, Post};
use super::{Facebook, done, error, instant, invalid, missing, ok};
use crate::sandbox::wire::Answer;

/// Fields of posts and comments in the generated specifications, as far as they mean something here.
const POST_FIELDS: &[&str] =
    &["id", "message", "created_time", "permalink_url", "is_published", "attachments", "from"];
const VIDEO_FIELDS: &[&str] =
    &["id", "status", "published", "post_id", "permalink_url", "title", "description", "created_time"];
const PHOTO_FIELDS: &[&str] = &["id", "page_story_id", "alt_text_custom", "created_time"];

impl Facebook {
    /// A post or comment with the fields that were asked for; a field that does not exist fails the
    /// whole call.
    pub(super) fn show(&self, post: &Post, fields: &[String]) -> Result<Value, Answer> {
        let page = &self.pages[post.page];
        let mut shown = json!({ "id": post.id });
        for field in fields {
            if !POST_FIELDS.contains(&field.as_str()) {
                return Err(invalid(&format!("Tried accessing nonexisting field ({field})")));
            }
            match field.as_str() {
                // An empty message is left out, as Facebook does.
                "message" if !post.text.is_empty() => shown["message"] = json!(post.text),
                "created_time" => shown["created_time"] = json!(instant(post.at)),
                "permalink_url" => shown["permalink_url"] = json!(self.address(&post.id)),
                "is_published" if post.kind != Kind::Comment => shown["is_published"] = json!(true),
                "from" => shown["from"] = json!({ "id": page.id, "name": page.name }),
                "attachments" => {
                    if let Some(attached) = self.attachments(post) {
                        shown["attachments"] = attached;
                    }
                }
                _ => {}
            }
        }
        Ok(shown)
    }

    fn attachments(&self, post: &Post) -> Option<Value> {
        let photo = |id: &String| {
            json!({ "media_type": "photo", "type": "photo", "target": { "id": id, "url": self.address(id) },
                "url": self.address(id) })
        };
        if let Some(link) = &post.link {
            // Links are wrapped; the plain one stands beside.
            let shim = format!("https://l.facebook.com/l.php?u={link}&h=AT0");
            return Some(json!({ "data": [{ "media_type": "link", "type": "share", "url": shim,
                "unshimmed_url": link, "title": "A link" }] }));
        }
        match post.photos.as_slice() {
            [] => None,
            [one] => Some(json!({ "data": [photo(one)] })),
            many => {
                let inner: Vec<Value> = many.iter().map(photo).collect();
                Some(json!({ "data": [{ "media_type": "album", "type": "album",
                    "subattachments": { "data": inner } }] }))
            }
        }
    }

    pub(super) fn address(&self, id: &str) -> String {
        format!("{}/facebook/{id}", self.origin)
    }

    pub(super) fn node(&mut self, holder: &Holder, id: &str, params: &Params) -> Result<Answer, Answer> {
        let fields = params.fields().unwrap_or_else(|| vec!["id".into()]);
        let known = |known: &[&str]| match fields.iter().find(|it| !known.contains(&it.as_str())) {
            Some(odd) => Err(invalid(&format!("Tried accessing nonexisting field ({odd})"))),
            None => Ok(()),
        };
        if let Some(video) = self.videos.get_mut(id).filter(|it| Some(it.page) == holder.page) {
            known(VIDEO_FIELDS)?;
            if video.deleted {
                return Err(missing(id));
            }
            let mut shown = video.look(id);
            if video.public() {
                // Without a host, as the network gives those of films.
                let page = &self.pages[video.page].id;
                let address =
                    if video.is_reel() { format!("/reel/{id}/") } else { format!("/{page}/videos/{id}/") };
                shown["permalink_url"] = json!(address);
            }
            if let Some(object) = shown.as_object_mut() {
                object.retain(|key, _| key == "id" || fields.iter().any(|it| it == key));
            }
            return ok(&shown);
        }
        if let Some(photo) = self.photos.get(id).filter(|it| Some(it.page) == holder.page) {
            known(PHOTO_FIELDS)?;
            return ok(&json!({ "id": id, "page_story_id": photo.used }));
        }
        match self.posts.get(id).filter(|it| Some(it.page) == holder.page && it.deleted.is_none()) {
            Some(post) => ok(&self.show(post, &fields)?),
            None => Err(missing(id)),
        }
    }

    /// Only the words of a post can be changed.
    pub(super) fn edit(&mut self, holder: &Holder, id: &str, params: &Params) -> Result<Answer, Answer> {
        let text = params.text("message").ok_or_else(|| invalid("message is missing"))?;
        match self.posts.get_mut(id).filter(|it| Some(it.page) == holder.page && it.deleted.is_none()) {
            Some(post) if matches!(post.kind, Kind::Feed | Kind::Comment) => {
                post.text = text;
                done()
            }
            Some(_) => Err(invalid("this object cannot be edited")),
            None => Err(missing(id).because("no such post of this Page")),
        }
    }

    pub(super) fn delete(&mut self, now: Timestamp, holder: &Holder, id: &str) -> Result<Answer, Answer> {
        if let Some(video) = self.videos.get_mut(id).filter(|it| Some(it.page) == holder.page && !it.deleted)
        {
            video.deleted = true;
            let post = video.post.clone();
            if let Some(post) = post.and_then(|it| self.posts.get_mut(&it)) {
                post.deleted = Some(now);
            }
            return done();
        }
        match self.posts.get_mut(id).filter(|it| Some(it.page) == holder.page && it.deleted.is_none()) {
            Some(post) if post.kind == Kind::Story => {
                // No call is documented for it.
                Err(error(400, 100, 0, "(#100) Unsupported delete request.")
                    .because("a story cannot be deleted"))
            }
            Some(post) => {
                post.deleted = Some(now);
                done()
            }
            None => Err(missing(id)),
        }
    }
}
