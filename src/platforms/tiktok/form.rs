//! What a post becomes on TikTok, and the choices that TikTok's guidelines leave to the person who
//! posts (developers.tiktok.com/doc/content-sharing-guidelines).
//!
//! Whoever schedules is not there when it is published. So every choice is an option of the post, made
//! when it is scheduled: the audience and the consent have no default at all, and everything else is off
//! until it is switched on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::creator::Creator;
use crate::domain::media::MediaItem;
use crate::domain::reach::Reach;
use crate::platforms::{Job, OptionSpec, Problem};

/// Longest caption of a video, and longest title and description of photos, in UTF-16 units.
const CAPTION_MAX: usize = 2_200;
pub(super) const DESCRIPTION_MAX: usize = 4_000;
const TITLE_MAX: usize = 90;
/// Photos of one post.
pub(super) const PHOTOS_MAX: usize = 35;

const YES_NO: &[&str] = &["true", "false"];

/// What the consent is called: to the music rules, or to those and the rules of branded content.
const MUSIC: &str = "music";
const BRANDED: &str = "branded";

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        key: "mode",
        values: &["inbox", "direct"],
        help: "inbox: you finish the post in TikTok's app; direct: it is published; without it as far as \
               the account reaches",
    },
    OptionSpec {
        key: "privacy",
        values: &["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY"],
        help: "who may see it; must be chosen for each direct post",
    },
    OptionSpec { key: "allow_comment", values: YES_NO, help: "whether people may comment; off without it" },
    OptionSpec { key: "allow_duet", values: YES_NO, help: "whether people may make duets; off without it" },
    OptionSpec { key: "allow_stitch", values: YES_NO, help: "whether people may stitch it; off without it" },
    OptionSpec {
        key: "commercial",
        values: &["none", "own", "paid", "both"],
        help: "discloses commercial content: own = promotes yourself or your business, paid = a paid \
               partnership with another brand",
    },
    OptionSpec { key: "ai_generated", values: YES_NO, help: "labels a video as made with AI" },
    OptionSpec {
        key: "consent",
        values: &[MUSIC, BRANDED],
        help: "you agree to TikTok's Music Usage Confirmation (music), and for paid content to its Branded \
               Content Policy as well (branded); must be given for each direct post",
    },
    OptionSpec { key: "cover_ms", values: &[], help: "milliseconds into a video, where its cover is taken" },
    OptionSpec { key: "title", values: &[], help: "title of a photo post, up to 90 characters" },
    OptionSpec { key: "cover", values: &[], help: "which photo is the cover, counted from 1" },
    OptionSpec {
        key: "auto_music",
        values: YES_NO,
        help: "whether TikTok adds music to photos; off without it",
    },
];

/// Options that only a direct post has.
const DIRECT_ONLY: &[&str] = &[
    "privacy",
    "allow_comment",
    "allow_duet",
    "allow_stitch",
    "commercial",
    "ai_generated",
    "consent",
    "cover_ms",
    "auto_music",
];
const VIDEO_ONLY: &[&str] = &["allow_duet", "allow_stitch", "ai_generated", "cover_ms"];
const PHOTO_ONLY: &[&str] = &["title", "cover", "auto_music"];

/// What a post becomes, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub photo: bool,
    pub reach: Reach,
}

impl Form {
    pub(super) fn of(job: &Job<'_>) -> Self {
        Self::of_post(job.media, job.options, job.account.tier.as_deref())
    }

    /// `tier`: how far the account reaches, which the post's own wish may lessen.
    pub(super) fn of_post(
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Self {
        let wish = options.get("mode").map(String::as_str);
        Self { photo: media.iter().any(|it| it.kind.is_image()), reach: Reach::of(wish.or(tier)) }
    }

    pub(super) fn is_direct(self) -> bool {
        self.reach == Reach::Direct
    }

    /// Longest text that goes with it. A video for the inbox takes none.
    pub(super) fn text_max(self) -> Option<usize> {
        match self {
            Self { photo: true, .. } => Some(DESCRIPTION_MAX),
            Self { reach: Reach::Direct, .. } => Some(CAPTION_MAX),
            Self { reach: Reach::Inbox, .. } => None,
        }
    }

    /// The path of the call that begins it.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self { photo: true, .. } => "/v2/post/publish/content/init/",
            Self { reach: Reach::Direct, .. } => "/v2/post/publish/video/init/",
            Self { reach: Reach::Inbox, .. } => "/v2/post/publish/inbox/video/init/",
        }
    }

    /// The permission that its calls need.
    pub(super) fn scope(self) -> &'static str {
        scope_of(self.reach)
    }

    /// The permission that posts to the other place need.
    pub(super) fn other_scope(self) -> &'static str {
        scope_of(match self.reach {
            Reach::Inbox => Reach::Direct,
            Reach::Direct => Reach::Inbox,
        })
    }

    pub(super) fn word(self) -> &'static str {
        if self.photo { "photo" } else { "video" }
    }
}

/// developers.tiktok.com/doc/tiktok-api-scopes
fn scope_of(reach: Reach) -> &'static str {
    match reach {
        Reach::Inbox => "video.upload",
        Reach::Direct => "video.publish",
    }
}

/// Whether a switch of the post is on.
pub(super) fn is_on(options: &BTreeMap<String, String>, key: &str) -> bool {
    options.get(key).is_some_and(|it| it == "true")
}

/// Promotes a brand of somebody else's, and their own.
fn commercial(options: &BTreeMap<String, String>) -> (bool, bool) {
    match options.get("commercial").map(String::as_str) {
        Some("paid") => (true, false),
        Some("own") => (false, true),
        Some("both") => (true, true),
        _ => (false, false),
    }
}

/// What others may not do with a direct video: comment, duet, stitch. Either the account has it switched
/// off, or the post.
pub(super) fn forbidden(job: &Job<'_>, creator: &Creator) -> [bool; 3] {
    let allowed = |key| is_on(job.options, key);
    [
        creator.comment_disabled || !allowed("allow_comment"),
        creator.duet_disabled || !allowed("allow_duet"),
        creator.stitch_disabled || !allowed("allow_stitch"),
    ]
}

/// `post_info` of a direct video.
pub(super) fn video_info(job: &Job<'_>, creator: &Creator) -> Value {
    let (brand, own) = commercial(job.options);
    let [comment, duet, stitch] = forbidden(job, creator);
    let mut info = json!({
        "privacy_level": job.options.get("privacy"),
        "disable_comment": comment,
        "disable_duet": duet,
        "disable_stitch": stitch,
        "brand_content_toggle": brand,
        "brand_organic_toggle": own,
        "is_aigc": is_on(job.options, "ai_generated"),
    });
    if !job.text.trim().is_empty() {
        info["title"] = json!(job.text);
    }
    if let Some(at) = job.options.get("cover_ms").and_then(|it| it.parse::<i32>().ok()) {
        info["video_cover_timestamp_ms"] = json!(at);
    }
    info
}

/// The body of a photo post, its addresses still open. `creator`: of a direct one.
pub(super) fn photos(job: &Job<'_>, creator: Option<&Creator>) -> Value {
    let mut info = json!({});
    if let Some(title) = job.options.get("title") {
        info["title"] = json!(title);
    }
    if !job.text.trim().is_empty() {
        info["description"] = json!(job.text);
    }
    if let Some(creator) = creator {
        let (brand, own) = commercial(job.options);
        info["privacy_level"] = json!(job.options.get("privacy"));
        info["disable_comment"] = json!(creator.comment_disabled || !is_on(job.options, "allow_comment"));
        info["auto_add_music"] = json!(is_on(job.options, "auto_music"));
        info["brand_content_toggle"] = json!(brand);
        info["brand_organic_toggle"] = json!(own);
    }
    let cover = job.options.get("cover").and_then(|it| it.parse::<usize>().ok()).unwrap_or(1);
    json!({
        "media_type": "PHOTO",
        "post_mode": if creator.is_some() { "DIRECT_POST" } else { "MEDIA_UPLOAD" },
        "post_info": info,
        "source_info": {
            "source": "PULL_FROM_URL",
            "photo_images": vec![Value::Null; job.media.len()],
            "photo_cover_index": cover.saturating_sub(1),
        },
    })
}

/// Collects what is wrong.
struct Found(Vec<Problem>);

impl Found {
    fn say(&mut self, field: &str, code: &'static str, message: &str, hint: &str) {
        self.0.push(Problem {
            field: field.to_owned(),
            code,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        });
    }

    fn option(&mut self, key: &str, message: &str, hint: &str) {
        self.say(&format!("options.tiktok.{key}"), "bad_option", message, hint);
    }
}

/// What the capability struct cannot say.
pub(super) fn problems(
    media: &[MediaItem],
    options: &BTreeMap<String, String>,
    tier: Option<&str>,
) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    let form = Form::of_post(media, options, tier);
    if form.is_direct() && Reach::of(tier) == Reach::Inbox && tier.is_some() {
        found.option(
            "mode",
            "the account was connected for the inbox alone",
            "set `mode = \"direct\"` in [platforms.tiktok], connect the account again and allow everything; \
             or leave `tiktok.mode` out",
        );
    }
    if form.is_direct() {
        choices(options, &mut found);
    }
    for key in options.keys().map(String::as_str) {
        if !form.is_direct() && DIRECT_ONLY.contains(&key) {
            found.option(
                key,
                "a post that goes to the inbox carries none: it is chosen in TikTok's app",
                "leave it out, or publish directly with `mode=direct`",
            );
        } else if form.photo && VIDEO_ONLY.contains(&key) {
            found.option(key, "it is for videos alone", "leave it out");
        } else if !form.photo && !media.is_empty() && PHOTO_ONLY.contains(&key) {
            found.option(key, "it is for photos alone", "leave it out");
        }
    }
    values(media, options, &mut found);
    found.0
}

/// An account whose person unticked a permission makes posts of the other kind, and none of this one.
pub(super) fn not_granted(
    media: &[MediaItem],
    options: &BTreeMap<String, String>,
    tier: Option<&str>,
    lacks: &[String],
) -> Option<Problem> {
    let form = Form::of_post(media, options, tier);
    // Further than the account reaches is told as such.
    let beyond = form.is_direct() && Reach::of(tier) == Reach::Inbox;
    let scope = form.scope();
    let lacking = !beyond && lacks.iter().any(|it| it == scope);
    lacking.then(|| Problem {
        field: "options.tiktok.mode".into(),
        code: "not_granted",
        message: format!(
            "TikTok takes a post {} only with `{scope}`, which this account was not given",
            if form.is_direct() { "for the profile" } else { "for the inbox" }
        ),
        hint: Some(format!(
            "connect the account again and leave the box of `{scope}` ticked, or choose `mode={}`",
            if form.is_direct() { Reach::Inbox } else { Reach::Direct }.as_str()
        )),
    })
}

/// What must be chosen, and what does not go together.
fn choices(options: &BTreeMap<String, String>, found: &mut Found) {
    let privacy = options.get("privacy").map(String::as_str);
    if privacy.is_none() {
        found.say(
            "options.tiktok.privacy",
            "privacy_missing",
            "who may see the post was not chosen, and TikTok forbids to choose it for you",
            "add e.g. `--option tiktok.privacy=SELF_ONLY` (or PUBLIC_TO_EVERYONE, MUTUAL_FOLLOW_FRIENDS, \
             FOLLOWER_OF_CREATOR)",
        );
    }
    let (brand, _) = commercial(options);
    if brand && privacy == Some("SELF_ONLY") {
        found.option(
            "commercial",
            "a paid partnership cannot be posted for yourself alone",
            "choose another audience in `tiktok.privacy`",
        );
    }
    let wanted = if brand { BRANDED } else { MUSIC };
    match options.get("consent").map(String::as_str) {
        Some(BRANDED) => {}
        Some(MUSIC) if !brand => {}
        given => {
            let message = if brand {
                "paid content is posted only with your consent to TikTok's Branded Content Policy and Music \
                 Usage Confirmation"
            } else {
                "it is posted only with your consent to TikTok's Music Usage Confirmation"
            };
            let code = if given.is_none() { "consent_missing" } else { "bad_option" };
            let hint = format!("read it, and add `--option tiktok.consent={wanted}` if you agree");
            found.say("options.tiktok.consent", code, message, &hint);
        }
    }
}

fn values(media: &[MediaItem], options: &BTreeMap<String, String>, found: &mut Found) {
    if let Some(at) = options.get("cover_ms") {
        let length = media.first().and_then(|it| it.detail.video.as_ref());
        let length = length.map_or(u64::MAX, |it| it.duration_ms);
        let fits = at.parse::<i32>().ok().and_then(|it| u64::try_from(it).ok());
        if fits.is_none_or(|it| it >= length) {
            found.option(
                "cover_ms",
                "it is not a moment within the video",
                "write milliseconds from its beginning, e.g. `1500`",
            );
        }
    }
    if let Some(long) = options.get("title").map(|it| it.encode_utf16().count()).filter(|it| *it > TITLE_MAX)
    {
        let message = format!("it is {long} UTF-16 units, and a title of photos may have {TITLE_MAX}");
        found.option("title", &message, "shorten it; the text may be longer");
    }
    if let Some(cover) = options.get("cover") {
        let place = cover.parse::<usize>().ok().filter(|it| *it >= 1);
        if place.is_none_or(|it| !media.is_empty() && it > media.len()) {
            found.option("cover", "there is no such photo in the post", "count from 1");
        }
    }
}
