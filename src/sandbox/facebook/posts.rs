//! Posts, photos, stories made of photos, and comments.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::oauth::Holder;
use super::params::Params;
use super::{Facebook, error, invalid, missing, ok};
use crate::sandbox::wire::Answer;

/// How long the same words count as the same post (code 506). The window is not documented.
const REPEAT: SignedDuration = SignedDuration::from_mins(10);
/// The largest photo (error 1366046).
const PHOTO_MAX: usize = 4_000_000;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Feed,
    Video,
    Reel,
    Story,
    Comment,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Feed => "post",
            Self::Video => "video",
            Self::Reel => "reel",
            Self::Story => "story",
            Self::Comment => "comment",
        }
    }
}

/// Something public.
pub(super) struct Post {
    pub(super) id: String,
    pub(super) page: usize,
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) link: Option<String>,
    pub(super) photos: Vec<String>,
    /// The video behind it, or the photo or video of a story.
    pub(super) media: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) at: Timestamp,
    pub(super) deleted: Option<Timestamp>,
}

/// An uploaded photo.
pub(super) struct Photo {
    pub(super) page: usize,
    pub(super) bytes: Bytes,
    pub(super) alt: String,
    /// The post that shows it.
    pub(super) used: Option<String>,
}

/// The type that the first bytes give away.
fn mime(bytes: &Bytes) -> &'static str {
    infer::get(bytes).map(|it| it.mime_type()).unwrap_or_default()
}

/// Whether an address is one of Facebook's own (error 1609008).
fn is_own(link: &str) -> bool {
    let host = url::Url::parse(link).ok().and_then(|it| it.host_str().map(str::to_owned)).unwrap_or_default();
    host == "facebook.com" || host.ends_with(".facebook.com")
}

impl Facebook {
    pub(super) fn feed(
        &mut self,
        now: Timestamp,
        holder: &Holder,
        page: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        let at = self.own_page(holder, page)?;
        if params.truth("published") == Some(false) || params.text("scheduled_publish_time").is_some() {
            return Err(invalid("scheduling is ours; nothing may be left to wait on the network"));
        }
        let text = params.text("message").unwrap_or_default();
        let link = params.text("link");
        if text.encode_utf16().count() > 63_206 {
            return Err(invalid("message is too long"));
        }
        if let Some(link) = &link
            && url::Url::parse(link).is_err()
        {
            return Err(error(400, 1500, 0, "The url you supplied is invalid").because("link is no address"));
        }
        if link.as_deref().is_some_and(is_own) {
            let message = "Links to Facebook cannot be shared this way.";
            return Err(error(400, 100, 1_609_008, message).because("a link to Facebook itself"));
        }
        let photos = if params.text("attached_media").is_some() {
            let list = params.nested("attached_media").unwrap_or_default();
            let list = list.as_array().ok_or_else(|| invalid("attached_media is not a list"))?;
            let ids = list.iter().map(|it| it["media_fbid"].as_str().map(str::to_owned));
            ids.collect::<Option<Vec<_>>>().ok_or_else(|| invalid("an entry has no media_fbid"))?
        } else {
            Vec::new()
        };
        if text.is_empty() && link.is_none() && photos.is_empty() {
            return Err(error(400, 197, 0, "The post is empty.").because("nothing to post"));
        }
        for id in &photos {
            match self.photos.get(id) {
                Some(photo) if photo.page != at => return Err(missing(id).because("another Page's photo")),
                Some(photo) if photo.used.is_some() => {
                    return Err(error(400, 1_366_051, 0, "These photos were already posted.")
                        .because("a photo is used a second time"));
                }
                // Stories take others; of posts the error names these two.
                Some(photo) if !matches!(mime(&photo.bytes), "image/jpeg" | "image/png") => {
                    let message = "Photos should be smaller than 4 MB and saved as JPG, PNG.";
                    return Err(
                        error(400, 100, 1_366_046, message).because("a photo of a post in another format")
                    );
                }
                Some(_) => {}
                None => return Err(missing(id).because("no such photo")),
            }
        }
        let same = |it: &&Post| {
            it.page == at
                && it.kind == Kind::Feed
                && it.deleted.is_none()
                && it.photos.is_empty()
                && (&it.text, &it.link) == (&text, &link)
                && now.duration_since(it.at) < REPEAT
        };
        if photos.is_empty() && self.posts.values().any(|it| same(&it)) {
            return Err(error(400, 506, 0, "(#506) Duplicate status message").because("the same words again"));
        }
        let id = format!("{page}_{}", self.next_id());
        for photo in &photos {
            if let Some(photo) = self.photos.get_mut(photo) {
                photo.used = Some(id.clone());
            }
        }
        let post = Post {
            id: id.clone(),
            page: at,
            kind: Kind::Feed,
            text,
            link,
            photos,
            media: None,
            parent: None,
            at: now,
            deleted: None,
        };
        self.posts.insert(id.clone(), post);
        self.made(&id, params)
    }

    /// What a write answers: the id, or the fields that were asked for.
    fn made(&self, id: &str, params: &Params) -> Result<Answer, Answer> {
        match (params.fields(), self.posts.get(id)) {
            (Some(fields), Some(post)) => ok(&self.show(post, &fields)?),
            _ => ok(&json!({ "id": id })),
        }
    }

    pub(super) fn photo(&mut self, holder: &Holder, page: &str, params: &Params) -> Result<Answer, Answer> {
        let at = self.own_page(holder, page)?;
        let bytes = params.bytes("source").ok_or_else(|| {
            error(400, 324, 0, "(#324) Requires upload file")
                .because("no part `source`; nothing is fetched here")
        })?;
        if params.truth("published") != Some(false) {
            return Err(invalid("a photo that is public at once cannot be found again after a lost answer"));
        }
        if !matches!(mime(&bytes), "image/jpeg" | "image/png" | "image/gif" | "image/tiff" | "image/bmp") {
            return Err(error(400, 1, 2_069_019, "Invalid image").because("no picture that is taken here"));
        }
        if bytes.len() >= PHOTO_MAX {
            let message = "Photos should be smaller than 4 MB and saved as JPG, PNG.";
            return Err(error(400, 100, 1_366_046, message).because("the photo is too large"));
        }
        let id = self.next_id();
        let alt = params.text("alt_text_custom").unwrap_or_default();
        self.photos.insert(id.clone(), Photo { page: at, bytes, alt, used: None });
        ok(&json!({ "id": id }))
    }

    pub(super) fn photo_story(
        &mut self,
        now: Timestamp,
        holder: &Holder,
        page: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        let at = self.own_page(holder, page)?;
        let id = params.text("photo_id").ok_or_else(|| invalid("photo_id is missing"))?;
        match self.photos.get(&id) {
            Some(photo) if photo.page == at && photo.used.is_none() => {}
            Some(_) => return Err(invalid("the photo was used in a post before")),
            None => return Err(missing(&id).because("no such photo")),
        }
        let post = self.next_id();
        if let Some(photo) = self.photos.get_mut(&id) {
            photo.used = Some(post.clone());
        }
        self.story(now, at, &post, id.clone(), vec![id]);
        ok(&json!({ "success": true, "post_id": post }))
    }

    pub(super) fn story(
        &mut self,
        now: Timestamp,
        page: usize,
        id: &str,
        media: String,
        photos: Vec<String>,
    ) {
        let post = Post {
            id: id.to_owned(),
            page,
            kind: Kind::Story,
            text: String::new(),
            link: None,
            photos,
            media: Some(media),
            parent: None,
            at: now,
            deleted: None,
        };
        self.posts.insert(id.to_owned(), post);
    }

    pub(super) fn comment(
        &mut self,
        now: Timestamp,
        holder: &Holder,
        parent: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        let (page, parent) = self.commented(holder, parent)?;
        let text = params.text("message").filter(|it| !it.trim().is_empty());
        let text = text.ok_or_else(|| invalid("a comment needs a message"))?;
        let tail = parent.rsplit('_').next().unwrap_or(&parent).to_owned();
        let id = format!("{tail}_{}", self.next_id());
        let post = Post {
            id: id.clone(),
            page,
            kind: Kind::Comment,
            text,
            link: None,
            photos: Vec::new(),
            media: None,
            parent: Some(parent),
            at: now,
            deleted: None,
        };
        self.posts.insert(id.clone(), post);
        self.made(&id, params)
    }

    /// The Page and the post behind an id that may be commented on: a post's, or its video's.
    /// What a comment on a story is answered stands in no document; this is what Meta's pages have for an
    /// object that a call may not use (developers.facebook.com/docs/graph-api/guides/error-handling: 100/33).
    fn commented(&self, holder: &Holder, id: &str) -> Result<(usize, String), Answer> {
        let found = self.posts.values().find(|it| {
            let by_media = it.media.as_deref() == Some(id) && it.kind != Kind::Story;
            (it.id == id || by_media) && it.deleted.is_none() && it.kind != Kind::Comment
        });
        match found {
            Some(post) if holder.page == Some(post.page) => Ok((post.page, post.id.clone())),
            _ => Err(missing(id).because("no such post of this Page")),
        }
    }

    pub(super) fn comments(&self, holder: &Holder, parent: &str, params: &Params) -> Result<Answer, Answer> {
        let (_, parent) = self.commented(holder, parent)?;
        let under = |it: &&Post| it.parent.as_deref() == Some(&parent) && it.deleted.is_none();
        self.part(self.posts.values().filter(under), params)
    }

    /// Published posts (no stories, no reels, no comments), or stories; the newest first.
    pub(super) fn list(
        &self,
        holder: &Holder,
        page: &str,
        params: &Params,
        stories: bool,
    ) -> Result<Answer, Answer> {
        let at = self.own_page(holder, page)?;
        let wanted = if stories { Kind::Story } else { Kind::Feed };
        let mine = |it: &&Post| it.page == at && it.kind == wanted && it.deleted.is_none();
        if !stories {
            return self.part(self.posts.values().rev().filter(mine), params);
        }
        let rows: Vec<Value> = self
            .posts
            .values()
            .filter(mine)
            .map(|it| {
                json!({ "post_id": it.id, "status": "published", "media_id": it.media,
                    "url": self.address(&it.id),
                    "creation_time": it.at.as_second().to_string(),
                    "media_type": if it.photos.is_empty() { "video" } else { "photo" } })
            })
            .collect();
        ok(&json!({ "data": rows }))
    }

    /// One part of a list, as `since`, `limit` and `fields` want it.
    fn part<'a>(&'a self, all: impl Iterator<Item = &'a Post>, params: &Params) -> Result<Answer, Answer> {
        let number = |name: &str| match params.text(name) {
            None => Ok(None),
            Some(text) => {
                text.parse::<i64>().map(Some).map_err(|_| invalid(&format!("{name} is not a number")))
            }
        };
        let (since, limit) = (number("since")?, number("limit")?.unwrap_or(25));
        if !(1..=100).contains(&limit) {
            return Err(invalid("limit should be between 1 and 100"));
        }
        let limit = usize::try_from(limit).unwrap_or(25);
        let fields =
            params.fields().unwrap_or_else(|| vec!["id".into(), "message".into(), "created_time".into()]);
        let fits = |it: &&Post| since.is_none_or(|since| it.at.as_second() >= since);
        let mut all: Vec<&Post> = all.filter(fits).collect();
        if let Some(cursor) = params.text("after") {
            let at = all.iter().position(|it| it.id == cursor).ok_or_else(|| invalid("Invalid cursor"))?;
            all.drain(..=at);
        }
        let page = &all[..all.len().min(limit)];
        let rows = page.iter().map(|it| self.show(it, &fields)).collect::<Result<Vec<_>, _>>()?;
        let mut body = json!({ "data": rows });
        if let Some(last) = page.last().filter(|_| all.len() > limit) {
            let next = format!("{}/facebook/next?access_token=hidden&after={}", self.origin, last.id);
            body["paging"] = json!({ "cursors": { "after": last.id }, "next": next });
        }
        ok(&body)
    }
}
