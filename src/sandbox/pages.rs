//! Pages for people: what is here, and what each network published. No script, nothing from
//! elsewhere; they reload themselves, so that a watcher sees posts arrive.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::wire::{Answer, Call, escape};
use super::{Published, World};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8883;--soft:#8881;--accent:#2563eb}\
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:1.5rem 1rem}\
h1{font-size:1.4rem;margin:0 0 .75rem}nav{display:flex;gap:1rem;margin-bottom:1.5rem}a{color:var(--accent)}\
code{font-size:.9em;background:var(--soft);padding:.1em .3em;border-radius:.25em;overflow-wrap:anywhere}\
article{border:1px solid var(--line);border-radius:.75rem;padding:.75rem 1rem;margin:0 0 .75rem;overflow:hidden}\
header{display:flex;align-items:center;gap:.6rem;margin-bottom:.5rem}header .meta{margin-left:auto}\
.face{width:2rem;height:2rem;border-radius:50%;background:var(--accent);color:#fff;display:grid;\
place-items:center;font-weight:600;flex:none}\
.kind{font-size:.75rem;border:1px solid var(--line);border-radius:1rem;padding:0 .6em;overflow-wrap:anywhere}\
article.reply{margin-left:1.5rem;border-left:3px solid var(--accent)}\
article.deleted .text{text-decoration:line-through;opacity:.6}\
.text{white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0}\
.meta,.small{font-size:.85rem;opacity:.75}.gone{color:#dc2626;font-weight:600}\
.gallery{display:grid;gap:.5rem;margin:.5rem 0}.gallery.several{grid-template-columns:1fr 1fr}\
figure{margin:0;min-width:0}img,video{display:block;width:100%;max-height:26rem;object-fit:contain;\
background:var(--soft);border-radius:.5rem}video{width:auto;max-width:100%;height:16rem}\
figcaption{font-size:.8rem;opacity:.75}fieldset{border:1px solid var(--line);border-radius:.5rem}\
.choice{display:block;padding:.25rem 0}button{font:inherit;padding:.5rem 1.25rem;border:0;border-radius:.5rem;\
background:var(--accent);color:#fff;cursor:pointer}button.quiet{background:var(--soft);color:inherit}\
pre{background:var(--soft);padding:.75rem;border-radius:.5rem;overflow-x:auto}";

const FACEBOOK: &str = "people <code>acme</code> (two Pages) and <code>alice</code> (one, and two in her business \
                        portfolio)";
const LINKEDIN: &str = "members <code>acme</code> (two pages) and <code>alice</code> (one)";

/// A whole page around `body`. `reload` is in seconds.
pub(super) fn layout(title: &str, reload: Option<u32>, body: &str) -> String {
    let reload =
        reload.map_or_else(String::new, |it| format!("<meta http-equiv=\"refresh\" content=\"{it}\">"));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{reload}\
         <title>{title}</title><style>{STYLE}</style></head><body>\
         <nav><a href=\"/\">Sandbox</a><a href=\"/facebook\">Facebook</a><a href=\"/instagram\">Instagram</a><a href=\"/x\">X</a><a href=\"/linkedin\">LinkedIn</a><a href=\"/tiktok\">TikTok</a><a href=\"/bluesky\">Bluesky</a></nav>\
         {body}</body></html>",
        title = escape(title)
    )
}

/// A picture to show beside a post: its address here, if its bytes were kept, and its text.
pub(super) struct Picture {
    pub(super) src: Option<String>,
    pub(super) alt: String,
    /// It moves.
    pub(super) film: bool,
}

/// The answer to a page's address; `None` when the address belongs to a network.
pub(super) fn answer(world: &World, call: &Call) -> Option<Answer> {
    if call.method != "GET" {
        return None;
    }
    let path = call.path.trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let found = match parts.as_slice() {
        [""] => start(world),
        ["facebook"] => list(world, "facebook", "Facebook", None),
        ["facebook", id] => list(world, "facebook", "Facebook", Some(id)),
        // Facebook's own forms of a film's address, under the base that stands for www.facebook.com.
        ["facebook", "reel", id] | ["facebook", _, "videos", id] => {
            list(world, "facebook", "Facebook", Some(world.facebook.post_of(id).unwrap_or(id)))
        }
        ["facebook", "media", id] => picture(world.facebook.picture(id)),
        ["instagram"] => list(world, "instagram", "Instagram", None),
        ["instagram", "p", id] => list(world, "instagram", "Instagram", Some(id)),
        ["instagram", "media", id, n] => picture(world.instagram.picture(id, n)),
        ["x"] => list(world, "x", "X", None),
        ["linkedin"] => list(world, "linkedin", "LinkedIn", None),
        // The form of LinkedIn's own addresses.
        ["linkedin", "feed", "update", urn] => list(world, "linkedin", "LinkedIn", Some(urn)),
        ["linkedin", "media", id] => picture(world.linkedin.picture(id)),
        ["tiktok"] => list(world, "tiktok", "TikTok", None),
        ["tiktok", who, "video" | "photo", id] if who.starts_with('@') => {
            list(world, "tiktok", "TikTok", Some(id))
        }
        ["tiktok", "media", id, n] => picture(world.tiktok.picture(id, n)),
        ["bluesky"] => list(world, "bluesky", "Bluesky", None),
        // X's own form of a post's address, under the base that stands for x.com.
        ["x", _, "status", id] => list(world, "x", "X", Some(id)),
        ["profile", did, "post", rkey] => {
            let uri = format!("at://{did}/app.bsky.feed.post/{rkey}");
            list(world, "bluesky", "Bluesky", Some(&uri))
        }
        ["x", "media", id] => picture(world.x.picture(id)),
        ["bluesky", "blob", cid] => picture(world.bluesky.picture(cid)),
        _ => return None,
    };
    Some(found)
}

/// A stored file, shown only under the type that its own first bytes give it.
fn picture(bytes: Option<bytes::Bytes>) -> Answer {
    let kind = bytes.as_ref().and_then(|it| infer::get(it)).map(|it| it.mime_type());
    match (bytes, kind) {
        (Some(bytes), Some(kind)) if kind.starts_with("image/") || kind == "video/mp4" => {
            Answer::new(200, kind, bytes)
                .with("x-content-type-options", "nosniff")
                .with("content-security-policy", "default-src 'none'; sandbox")
        }
        _ => Answer::new(404, "text/plain; charset=utf-8", "no such picture\n"),
    }
}

fn start(world: &World) -> Answer {
    let networks = [
        ("facebook", "Facebook", world.facebook.published().len(), FACEBOOK),
        (
            "instagram",
            "Instagram",
            world.instagram.published().len(),
            "accounts <code>acme</code> and <code>alice</code>",
        ),
        ("x", "X", world.x.published().len(), "users <code>acme</code> and <code>alice</code>"),
        ("linkedin", "LinkedIn", world.linkedin.published().len(), LINKEDIN),
        (
            "tiktok",
            "TikTok",
            world.tiktok.published().len(),
            "creators <code>acme</code> and <code>alice</code>",
        ),
        (
            "bluesky",
            "Bluesky",
            world.bluesky.published().len(),
            "users <code>acme.test</code> and <code>alice.test</code>",
        ),
    ];
    let mut body = "<h1>Sandbox</h1>\
         <p>Stand-ins for six networks. Nothing here reaches the real ones, and all of it is gone \
         when the program stops.</p><ul>"
        .to_owned();
    for (path, name, count, people) in networks {
        let inbox = if path == "tiktok" { " or in the inbox" } else { "" };
        let _ = write!(body, "<li><a href=\"/{path}\">{name}</a>: {count} published{inbox}, {people}</li>");
    }
    let _ = write!(body, "</ul><p>Calls refused so far: {}.</p>", world.refusals.len());
    Answer::html(200, layout("Sendoff sandbox", Some(5), &body))
}

/// The newest thread first, the parts of a thread in the order of their publication.
fn list(world: &World, network: &str, name: &str, only: Option<&str>) -> Answer {
    let posts = match network {
        "x" => world.x.published(),
        "facebook" => world.facebook.published(),
        "instagram" => world.instagram.published(),
        "linkedin" => world.linkedin.published(),
        "tiktok" => world.tiktok.published(),
        _ => world.bluesky.published(),
    };
    let mut body = format!("<h1>{name}: what was published</h1>");
    let wanted: Vec<&Published> = posts.iter().filter(|it| only.is_none_or(|id| it.id == id)).collect();
    if wanted.is_empty() {
        body += "<p class=\"small\">Nothing yet. This page reloads itself.</p>";
    }
    for root in wanted.iter().rev().filter(|it| only.is_some() || !is_reply(it, &posts)) {
        article(world, root, &mut body);
        let mut thread = vec![root.id.as_str()];
        for later in posts.iter().filter(|_| only.is_none()) {
            if later.parent.as_deref().is_some_and(|it| thread.contains(&it)) {
                thread.push(&later.id);
                article(world, later, &mut body);
            }
        }
    }
    let status = if only.is_some() && wanted.is_empty() { 404 } else { 200 };
    // One post does not change, and a film that plays should not begin anew.
    let reload = only.is_none().then_some(3);
    Answer::html(status, layout(&format!("{name} sandbox"), reload, &body))
}

fn is_reply(post: &Published, all: &[Published]) -> bool {
    post.parent.as_ref().is_some_and(|parent| all.iter().any(|it| it.id == *parent))
}

fn article(world: &World, post: &Published, out: &mut String) {
    let pictures = match post.network {
        "x" => world.x.pictures(&post.id),
        "facebook" => world.facebook.pictures(&post.id),
        "instagram" => world.instagram.pictures(&post.id),
        "linkedin" => world.linkedin.pictures(&post.id),
        "tiktok" => world.tiktok.pictures(&post.id),
        _ => world.bluesky.pictures(&post.id),
    };
    let mut classes = String::new();
    if post.parent.is_some() {
        classes += "reply ";
    }
    if post.deleted.is_some() {
        classes += "deleted";
    }
    let note = match post.network {
        "facebook" => world.facebook.note(&post.id),
        "instagram" => world.instagram.note(&post.id),
        "linkedin" => world.linkedin.note(&post.id),
        "tiktok" => world.tiktok.note(&post.id),
        "x" => world.x.note(&post.id),
        _ => None,
    };
    let note = note.map_or_else(String::new, |it| format!("<span class=\"kind\">{}</span>", escape(&it)));
    let face: String = post.account.chars().take(1).flat_map(char::to_uppercase).collect();
    let _ = write!(
        out,
        "<article class=\"{classes}\"><header><span class=\"face\">{face}</span><strong>{account}</strong>{note}\
         <span class=\"meta\"><time>{at}</time>{gone}</span></header>",
        face = escape(&face),
        account = escape(&post.account),
        at = clock_time(post.at),
        gone = post.deleted.map_or_else(String::new, |at| {
            format!(" · <span class=\"gone\">deleted {}</span>", clock_time(at))
        }),
    );
    if !post.text.is_empty() {
        let _ = write!(out, "<div class=\"text\">{}</div>", escape(&post.text));
    }
    if !pictures.is_empty() {
        let several = if pictures.len() > 1 { " several" } else { "" };
        let _ = write!(out, "<div class=\"gallery{several}\">");
        for it in &pictures {
            figure(it, out);
        }
        *out += "</div>";
    }
    let _ = write!(out, "<div class=\"meta\"><code>{}</code></div></article>", escape(&post.id));
}

fn figure(it: &Picture, out: &mut String) {
    let alt = escape(&it.alt);
    let src = it.src.as_deref().map(escape);
    let shown = match (src, it.film) {
        (Some(src), false) => format!("<img src=\"{src}\" alt=\"{alt}\">"),
        (Some(src), true) => {
            format!("<video src=\"{src}\" controls muted playsinline preload=\"auto\"></video>")
        }
        (None, _) => String::new(),
    };
    let caption = match (&it.src, it.film) {
        (None, true) => "A film, too long to be kept here".to_owned(),
        _ if !it.alt.is_empty() => format!("Alt: {alt}"),
        (_, true) => String::new(),
        (_, false) => "no alternative text".to_owned(),
    };
    let _ = write!(out, "<figure>{shown}<figcaption>{caption}</figcaption></figure>");
}

fn clock_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
