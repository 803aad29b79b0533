//! What a post becomes on a Page, what is sent for it, and what the answers prove.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{frozen_body, is_comment, json_body, live};
use crate::domain::delivery::{Frozen, Live};
use crate::domain::hex::hex;
use crate::domain::media::MediaItem;
use crate::platforms::meta::{self, plain};
use crate::platforms::{Answer, Body, Failure, Field, FilePart, Job, Next, Problem, Request, Verdict};

/// The kinds of objects that a Page publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text, with or without a link.
    Feed,
    /// One photo or several. Also a single one goes the way of several: uploaded unseen first, it can
    /// be uploaded again without harm, and its id finds the post again.
    Photos,
    Video,
    Reel,
    PhotoStory,
    VideoStory,
    /// The first comment under any of them.
    Comment,
}

impl Form {
    pub(super) fn of(job: &Job<'_>) -> Self {
        if is_comment(job) { Self::Comment } else { Self::of_post(job.media, job.options) }
    }

    pub(super) fn of_post(media: &[MediaItem], options: &BTreeMap<String, String>) -> Self {
        let video = media.iter().any(|it| it.kind.is_video());
        match options.get("format").map(String::as_str) {
            Some("reel") => Self::Reel,
            Some("story") if video => Self::VideoStory,
            Some("story") => Self::PhotoStory,
            _ if video => Self::Video,
            _ if media.is_empty() => Self::Feed,
            _ => Self::Photos,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Photos => "photos",
            Self::Video => "video",
            Self::Reel => "reel",
            Self::PhotoStory => "photo_story",
            Self::VideoStory => "video_story",
            Self::Comment => "comment",
        }
    }

    /// The publishing call, for people.
    pub(super) fn request(self) -> &'static str {
        match self {
            Self::Feed | Self::Photos => "POST /{page-id}/feed",
            Self::Video => "POST /{page-id}/videos",
            Self::Reel => "POST /{page-id}/video_reels",
            Self::PhotoStory => "POST /{page-id}/photo_stories",
            Self::VideoStory => "POST /{page-id}/video_stories",
            Self::Comment => "POST /{post-id}/comments",
        }
    }
}

/// What the capability struct cannot say.
pub(super) fn problems(
    parts: &[&str],
    media: &[MediaItem],
    options: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let problem = |field: &str, code, message: &str, hint: &str| Problem {
        field: field.to_owned(),
        code,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    let mut found = Vec::new();
    let form = Form::of_post(media, options);
    let videos = media.iter().filter(|it| it.kind.is_video()).count();
    let text = parts.iter().any(|it| !it.trim().is_empty());
    let one_video = videos == 1 && media.len() == 1;
    match form {
        Form::Reel if !one_video => found.push(problem(
            "media",
            "reel_needs_one_video",
            "a reel on Facebook is exactly one video",
            "give one video, or leave `facebook.format` out",
        )),
        Form::PhotoStory | Form::VideoStory => {
            if media.len() != 1 {
                found.push(problem(
                    "media",
                    "story_needs_one_file",
                    "a story on Facebook is exactly one photo or video",
                    "give one file, or leave `facebook.format` out",
                ));
            }
            if text {
                found.push(problem(
                    "parts[0]",
                    "story_without_text",
                    "a story on Facebook carries no text",
                    "write an empty text for Facebook, or leave `facebook.format` out",
                ));
            }
        }
        Form::Video if !one_video => found.push(problem(
            "media",
            "video_alone",
            "a post on Facebook has photos, or one video and nothing else",
            "leave the others out, or split them over several posts",
        )),
        _ => {}
    }
    if options.contains_key("title") && !matches!(form, Form::Video | Form::Reel) {
        found.push(problem(
            "options.facebook.title",
            "bad_option",
            "only a video or a reel has a title",
            "leave `facebook.title` out",
        ));
    }
    if let Some(link) = options.get("link") {
        let url = url::Url::parse(link).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
        let host = url.as_ref().and_then(|it| it.host_str()).unwrap_or_default();
        let wrong = if form != Form::Feed {
            Some(("a post with media shows no link preview", "leave the link out, or write it in the text"))
        } else if host.is_empty() {
            Some(("it is not a web address", "write it whole, e.g. `https://example.org/news`"))
        } else if host == "facebook.com" || host.ends_with(".facebook.com") {
            // Subcode 1609008.
            Some(("Facebook takes no links to itself here", "write the address in the text"))
        } else {
            None
        };
        if let Some((message, hint)) = wrong {
            found.push(problem("options.facebook.link", "bad_option", message, hint));
        }
    }
    found
}

/// Uploads a photo that nobody sees yet (developers.facebook.com/docs/pages-api/posts).
pub(super) fn photo(page: &str, item: &MediaItem) -> Request {
    let mut fields = vec![("published".to_owned(), Field::Text("false".into()))];
    if let Some(alt) = item.alt.as_ref().filter(|it| !it.trim().is_empty()) {
        fields.push(("alt_text_custom".into(), Field::Text(alt.clone())));
    }
    fields.push(("source".into(), Field::file(FilePart::whole(item))));
    meta::post("facebook.photo", format!("/{page}/photos"), Body::Multipart(fields))
}

/// The request of a text, a link or photos.
pub(super) fn feed(job: &Job<'_>, photos: &[&str]) -> Frozen {
    let mut params = json!({ "published": true });
    if !job.text.trim().is_empty() {
        params["message"] = json!(job.text);
    }
    if let Some(link) = job.options.get("link").filter(|_| photos.is_empty() && !is_comment(job)) {
        params["link"] = json!(link);
    }
    if !photos.is_empty() {
        params["attached_media"] = photos.iter().map(|id| json!({ "media_fbid": id })).collect();
    }
    let form = Form::of(job);
    let media: Vec<String> = job.media.iter().map(|it| it.id.to_string()).collect();
    let link = params["link"].as_str().unwrap_or_default().to_owned();
    frozen(&[form.as_str(), &plain(job.text), &link, &media.join(",")], &params)
}

/// The request of a first comment.
pub(super) fn comment(job: &Job<'_>) -> Result<Next, Failure> {
    let parent = meta::commented(job)?;
    let params = json!({ "message": job.text });
    Ok(Next::Publish(frozen(&[Form::Comment.as_str(), parent, &plain(job.text)], &params)))
}

/// The request that makes a story of an uploaded photo (developers.facebook.com/docs/page-stories-api).
pub(super) fn photo_story(photo: &str) -> Frozen {
    Frozen { marker: photo.to_owned(), body: json!({ "photo_id": photo }).to_string().into_bytes() }
}

/// Parameters, and the print by which two requests for the same words are known.
fn frozen(print: &[&str], params: &Value) -> Frozen {
    let mut digest = Sha256::new();
    for part in print {
        digest.update(part);
        digest.update([0]);
    }
    Frozen { marker: hex(&digest.finalize()), body: params.to_string().into_bytes() }
}

/// The publishing call. Where it may, it asks for the address of what it made.
pub(super) fn publish(job: &Job<'_>, frozen: &Frozen) -> Request {
    let page = &job.account.remote_id;
    let body = json_body(&frozen_body(frozen));
    let (label, path, fields) = match Form::of(job) {
        Form::Feed | Form::Photos => ("facebook.feed", format!("/{page}/feed"), Some("id,permalink_url")),
        Form::Video => ("facebook.video.finish", format!("/{page}/videos"), None),
        Form::Reel => ("facebook.reel.finish", format!("/{page}/video_reels"), None),
        Form::PhotoStory => ("facebook.story.photo", format!("/{page}/photo_stories"), None),
        Form::VideoStory => ("facebook.story.finish", format!("/{page}/video_stories"), None),
        Form::Comment => {
            let parent = job.before.last().and_then(|it| it.remote_id.as_deref()).unwrap_or_default();
            ("facebook.comment", format!("/{parent}/comments"), Some("id,permalink_url"))
        }
    };
    let mut request = meta::post(label, path, body);
    request.query.extend(fields.map(|it| ("fields".to_owned(), it.to_owned())));
    request
}

/// What a success answers. None: nothing by which the object could be known.
pub(super) fn outcome(job: &Job<'_>, frozen: &Frozen, answer: &Answer, json: &Value) -> Option<Verdict> {
    let form = Form::of(job);
    let address = |id: &str| meta::permalink(answer, &json["permalink_url"], id);
    match form {
        Form::Feed | Form::Photos | Form::Comment => {
            let id = meta::id(&json["id"])?;
            let address = address(&id);
            Some(Verdict::Applied(live(id, address, form, false)))
        }
        Form::PhotoStory | Form::VideoStory => {
            let id = meta::id(&json["post_id"]).filter(|_| json["success"] == true)?;
            Some(Verdict::Applied(story(&id, form, false)))
        }
        Form::Video | Form::Reel => {
            // It has our video and works on it; what becomes of it the video itself will tell.
            let id = frozen_body(frozen)["video_id"].as_str().map_or(frozen.marker.clone(), str::to_owned);
            (json["success"] == true
                || meta::id(&json["id"]).is_some()
                || meta::id(&json["post_id"]).is_some())
            .then(|| Verdict::Pending { message: format!("Facebook works on video `{id}`") })
        }
    }
}

/// How the ids of stories are marked.
pub(super) const STORY: &str = "story:";

/// A live story. Its id is marked: it cannot be deleted through the API, and reading it is another
/// call than reading a post. Its address is told by the list of stories alone.
pub(super) fn story(id: &str, form: Form, verified: bool) -> Live {
    Live { permalink: None, ..live(format!("{STORY}{id}"), String::new(), form, verified) }
}
