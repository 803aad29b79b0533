//! Reading: the user, single posts, and the timeline, with X's field selection.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::posts::Post;
use super::{X, instant, invalid_one, is_id, not_found};
use crate::sandbox::wire::{Answer, Call, base64url, from_base64url};

/// `tweet.fields` of 2.159 and `post.fields` of 2.167 together: the naming is in transition.
const POST_FIELDS: &[&str] = &[
    "article",
    "article_title",
    "attachments",
    "author_id",
    "card_uri",
    "community_id",
    "context_annotations",
    "conversation_id",
    "created_at",
    "display_text_range",
    "edit_controls",
    "edit_history_tweet_ids",
    "entities",
    "geo",
    "id",
    "in_reply_to_user_id",
    "lang",
    "matched_media_notes",
    "media_metadata",
    "non_public_metrics",
    "note_post",
    "note_request_suggestions",
    "note_tweet",
    "organic_metrics",
    "paid_partnership",
    "possibly_sensitive",
    "promoted_metrics",
    "public_metrics",
    "referenced_tweets",
    "reply_settings",
    "scopes",
    "source",
    "suggested_source_links",
    "suggested_source_links_with_counts",
    "text",
    "withheld",
];

const USER_FIELDS: &[&str] = &[
    "affiliation",
    "confirmed_email",
    "connection_status",
    "created_at",
    "description",
    "entities",
    "id",
    "is_identity_verified",
    "location",
    "most_recent_tweet_id",
    "name",
    "parody",
    "pinned_tweet_id",
    "profile_banner_url",
    "profile_image_url",
    "protected",
    "public_metrics",
    "receives_your_dm",
    "subscribes_to_you",
    "subscription",
    "subscription_type",
    "url",
    "username",
    "verified",
    "verified_followers_count",
    "verified_type",
    "withheld",
];

/// The values of a comma-separated parameter, each of them known.
fn selected<'c>(call: &'c Call, name: &str, known: &[&str]) -> Result<Vec<&'c str>, Box<Answer>> {
    let Some(list) = call.param(name) else { return Ok(Vec::new()) };
    let values: Vec<&str> = list.split(',').collect();
    match values.iter().find(|it| !known.contains(it)) {
        Some(bad) => {
            let why =
                format!("The `{name}` query parameter value [{bad}] is not one of [{}]", known.join(","));
            Err(Box::new(invalid_one(name, bad, why)))
        }
        None => Ok(values),
    }
}

/// Which fields were asked for, and in which of the two vocabularies.
struct Wanted<'c> {
    fields: Vec<&'c str>,
    new_names: bool,
}

impl<'c> Wanted<'c> {
    fn of(call: &'c Call) -> Result<Self, Box<Answer>> {
        let mut fields = selected(call, "tweet.fields", POST_FIELDS)?;
        fields.extend(selected(call, "post.fields", POST_FIELDS)?);
        Ok(Self { fields, new_names: call.param("post.fields").is_some() })
    }
}

impl X {
    /// `GET /2/users/me`.
    pub(super) fn me(&self, call: &Call, user: usize) -> Answer {
        let fields = match selected(call, "user.fields", USER_FIELDS) {
            Ok(fields) => fields,
            Err(answer) => return *answer,
        };
        let user = &self.users[user];
        let mut data = json!({ "id": user.id, "name": user.name, "username": user.username });
        for field in fields {
            let value = match field {
                "created_at" => json!("2020-01-01T00:00:00.000Z"),
                "profile_image_url" => {
                    json!(format!("https://pbs.twimg.com/profile_images/{}/a_normal.png", user.id))
                }
                "protected" => json!(false),
                "subscription_type" => json!(user.subscription),
                "verified" => json!(user.subscription != "None"),
                "verified_type" => json!(if user.subscription == "None" { "none" } else { "blue" }),
                _ => continue,
            };
            data[field] = value;
        }
        Answer::json(200, &json!({ "data": data }))
    }

    /// `GET /2/tweets/{id}`: a missing post comes as 200 with `errors` and no `data`.
    pub(super) fn read(&self, call: &Call, id: &str) -> Answer {
        if !is_id(id) {
            return invalid_one("id", id, format!("The `id` query parameter value [{id}] is not valid"));
        }
        let wanted = match Wanted::of(call) {
            Ok(wanted) => wanted,
            Err(answer) => return *answer,
        };
        match self.posts.get(id).filter(|it| it.deleted.is_none()) {
            Some(post) => Answer::json(200, &json!({ "data": self.show(post, &wanted) })),
            None => Answer::json(200, &json!({ "errors": [not_found("tweet", "id", id)] })),
        }
    }

    /// `GET /2/tweets?ids=…`.
    pub(super) fn read_many(&self, call: &Call) -> Answer {
        let list = call.param("ids").unwrap_or_default();
        let ids: Vec<&str> = list.split(',').collect();
        if let Some(bad) = ids.iter().find(|it| !is_id(it)) {
            return invalid_one("ids", bad, format!("The `ids` query parameter value [{bad}] is not valid"));
        }
        if ids.len() > 100 {
            return invalid_one("ids", list, "The `ids` query parameter holds more than 100 values");
        }
        let wanted = match Wanted::of(call) {
            Ok(wanted) => wanted,
            Err(answer) => return *answer,
        };
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            match self.posts.get(id).filter(|it| it.deleted.is_none()) {
                Some(post) => found.push(self.show(post, &wanted)),
                None => missing.push(not_found("tweet", "ids", id)),
            }
        }
        let mut body = Map::new();
        if !found.is_empty() {
            body.insert("data".to_owned(), found.into());
        }
        if !missing.is_empty() {
            body.insert("errors".to_owned(), missing.into());
        }
        Answer::json(200, &Value::Object(body))
    }

    /// `GET /2/users/{id}/tweets`: newest first; no `data` when there is nothing.
    pub(super) fn timeline(&self, call: &Call, id: &str) -> Answer {
        if !is_id(id) {
            return invalid_one("id", id, format!("The `id` query parameter value [{id}] is not valid"));
        }
        let page = match Page::of(call) {
            Ok(page) => page,
            Err(answer) => return *answer,
        };
        let wanted = match Wanted::of(call) {
            Ok(wanted) => wanted,
            Err(answer) => return *answer,
        };
        let Some((user, _)) = self.user(id) else {
            return Answer::json(200, &json!({ "errors": [not_found("user", "id", id)] }));
        };
        let mut matching = self.posts.values().rev().filter(|it| it.user == user && page.holds(it));
        let shown: Vec<&Post> = matching.by_ref().take(page.max).collect();
        let more = matching.next().is_some();
        let mut meta = json!({ "result_count": shown.len() });
        if let (Some(newest), Some(oldest)) = (shown.first(), shown.last()) {
            meta["newest_id"] = newest.id.clone().into();
            meta["oldest_id"] = oldest.id.clone().into();
            if more {
                meta["next_token"] = base64url(oldest.id.as_bytes()).into();
            }
        }
        let mut body = Map::new();
        if !shown.is_empty() {
            let data: Vec<Value> = shown.iter().map(|it| self.show(it, &wanted)).collect();
            body.insert("data".to_owned(), data.into());
        }
        body.insert("meta".to_owned(), meta);
        Answer::json(200, &Value::Object(body))
    }

    fn show(&self, post: &Post, wanted: &Wanted) -> Value {
        let (text, urls) = post.render(true);
        let mut out = json!({ "id": post.id, "text": text });
        let history = if wanted.new_names { "edit_history_post_ids" } else { "edit_history_tweet_ids" };
        out[history] = json!([post.id]);
        for field in &wanted.fields {
            let value = match *field {
                "attachments" if !post.files.is_empty() => {
                    json!({ "media_keys": post.files.iter().map(|it| it.key.as_str()).collect::<Vec<_>>() })
                }
                "author_id" => json!(self.users[post.user].id),
                "conversation_id" => json!(post.conversation),
                "created_at" => json!(instant(post.at)),
                "entities" if !urls.is_empty() => json!({ "urls": urls }),
                "in_reply_to_user_id" if post.parent.is_some() => json!(self.users[post.user].id),
                "lang" => json!("en"),
                "non_public_metrics" => {
                    json!({ "impression_count": 0, "url_link_clicks": 0, "user_profile_clicks": 0, "engagements": 0 })
                }
                "public_metrics" => {
                    let reposts = if wanted.new_names { "repost_count" } else { "retweet_count" };
                    json!({ reposts: 0, "reply_count": self.replies(&post.id), "like_count": 0, "quote_count": 0,
                            "bookmark_count": 0, "impression_count": 0 })
                }
                "referenced_tweets" => match &post.parent {
                    Some(parent) => json!([{ "type": "replied_to", "id": parent }]),
                    None => continue,
                },
                "reply_settings" => json!(post.reply_settings),
                "source" => json!("Sandbox app"),
                _ => continue,
            };
            out[*field] = value;
        }
        out
    }

    fn replies(&self, id: &str) -> usize {
        self.posts.values().filter(|it| it.parent.as_deref() == Some(id) && it.deleted.is_none()).count()
    }
}

/// Which part of a timeline was asked for.
struct Page {
    max: usize,
    since: Option<i64>,
    until: Option<i64>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    no_replies: bool,
}

impl Page {
    fn of(call: &Call) -> Result<Self, Box<Answer>> {
        let bad = |name: &str, value: &str| {
            let why = format!("The `{name}` query parameter value [{value}] is not valid");
            Box::new(invalid_one(name, value, why))
        };
        let id = |name: &str| match call.param(name) {
            None => Ok(None),
            Some(value) if is_id(value) => value.parse().map(Some).map_err(|_| bad(name, value)),
            Some(value) => Err(bad(name, value)),
        };
        let time = |name: &str| match call.param(name) {
            None => Ok(None),
            Some(value) => match value.parse::<Timestamp>() {
                // X's own floor: 2010-11-06.
                Ok(at) if at.as_second() >= 1_289_001_600 => Ok(Some(at)),
                _ => Err(bad(name, value)),
            },
        };
        let max = match call.param("max_results") {
            None => 10,
            Some(value) => value
                .parse()
                .ok()
                .filter(|it| (5..=100).contains(it))
                .ok_or_else(|| bad("max_results", value))?,
        };
        let mut until = id("until_id")?;
        if let Some(token) = call.param("pagination_token") {
            let last = from_base64url(token).and_then(|it| String::from_utf8(it).ok()?.parse::<i64>().ok());
            until = Some(last.ok_or_else(|| bad("pagination_token", token))?);
        }
        Ok(Self {
            max,
            since: id("since_id")?,
            until,
            after: time("start_time")?,
            before: time("end_time")?,
            no_replies: selected(call, "exclude", &["replies", "retweets"])?.contains(&"replies"),
        })
    }

    fn holds(&self, post: &Post) -> bool {
        let id: i64 = post.id.parse().unwrap_or_default();
        post.deleted.is_none()
            && self.since.is_none_or(|it| id > it)
            && self.until.is_none_or(|it| id < it)
            && self.after.is_none_or(|it| post.at >= it)
            && self.before.is_none_or(|it| post.at < it)
            && !(self.no_replies && post.parent.is_some())
    }
}
