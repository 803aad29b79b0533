//! The rules themselves: each takes source texts and names what breaks it, as `file:line: what`.

use super::source::{Named, Source};
use super::{
    EXPOSES_SECRETS, JOINS_THEM, LINES_MAX, MAY_PRINT, MAY_SLEEP, MAY_USE, MUST_NOT_NAME, NEVER_EVEN_IN_TESTS,
};

/// Uses of rooms that the table does not allow.
pub(crate) fn uses(sources: &[Source], platforms: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let module = source.module();
        let Some(room) = module.first() else { continue };
        if JOINS_THEM.contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|it| it.0 == room) else {
            broken.push(format!("{}:1: the table has no row for {room}", source.path));
            continue;
        };
        let never = NEVER_EVEN_IN_TESTS.iter().find(|it| it.0 == room).map_or(&[][..], |it| it.1);
        for token in source.sequences(&["crate", "as"]).iter().chain(&source.sequences(&["super", "as"])) {
            broken.push(format!("{}:{}: a room may not be hidden behind a name", source.path, token.line));
        }
        for named in source.paths() {
            let Some(path) = in_crate(&module, &named) else { continue };
            let used = path[0].as_str();
            let at = format!("{}:{}", source.path, named.line);
            let fits = |it: &str| {
                let wanted: Vec<&str> = it.split("::").collect();
                path.len() >= wanted.len() && path.iter().zip(&wanted).all(|(a, b)| a == b)
            };
            if used == room {
                // Networks do not know each other, or one's change would move the other.
                let own = module.get(1).filter(|it| room == "platforms" && platforms.contains(&it.as_str()));
                let other = path.get(1).filter(|it| platforms.contains(&it.as_str()));
                if let (Some(own), Some(other), false) = (own, other, named.test)
                    && own != other
                {
                    broken.push(format!("{at}: {room}::{own} may not use {room}::{other}"));
                }
            } else if (!named.test && !allowed.iter().any(|it| fits(it))) || never.contains(&used) {
                broken.push(format!("{at}: {room} may not use {}", shown(&path, allowed)));
            } else if used == "platforms"
                && !named.test
                && let Some(one) = path.get(1).filter(|it| platforms.contains(&it.as_str()))
            {
                broken.push(format!("{at}: {room} may not use platforms::{one} (the trait is enough)"));
            }
        }
    }
    // `use crate::store::{self, Store}` is one use.
    broken.dedup();
    broken
}

/// The path from the crate's root, if it leads there.
fn in_crate(module: &[String], named: &Named) -> Option<Vec<String>> {
    let path = &named.segments;
    let own = usize::from(path[0] == "self");
    let ups = path[own..].iter().take_while(|it| *it == "super").count();
    let rest = match path[0].as_str() {
        "crate" | "sendoff" => 1,
        _ if ups > 0 && ups >= module.len() + named.depth => own + ups,
        _ if ups > 0 && ups > named.depth => {
            let mut whole = module[..module.len() + named.depth - ups].to_vec();
            whole.extend_from_slice(&path[own + ups..]);
            return Some(whole);
        }
        _ => return None,
    };
    Some(path[rest..].to_vec()).filter(|it| !it.is_empty())
}

/// The room, or with the part where the room is allowed in part.
fn shown(path: &[String], allowed: &[&str]) -> String {
    let in_part = allowed.iter().any(|it| it.split("::").next() == Some(&path[0]));
    path[..if in_part { path.len().min(2) } else { 1 }].join("::")
}

pub(crate) fn foreign(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let module = source.module();
        let Some(room) = module.first() else { continue };
        let banned = MUST_NOT_NAME.iter().find(|it| it.0 == room).map_or(&[][..], |it| it.1);
        for named in source.paths().iter().filter(|it| !it.test) {
            let path = named.segments.join("::") + "::";
            for it in banned.iter().filter(|it| path.starts_with(&format!("{it}::"))) {
                broken.push(format!("{}:{}: {room} may not name {it}", source.path, named.line));
            }
        }
        if room != "store" {
            for token in source.sequences(&["redb"]) {
                broken.push(format!("{}:{}: only store names redb", source.path, token.line));
            }
        }
        for token in source.sequences(&["Durability", "::", "None"]) {
            broken.push(format!("{}:{}: every commit is durable", source.path, token.line));
        }
    }
    broken
}

pub(crate) fn times(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|it| it.path != "src/clock.rs") {
        for named in source.paths() {
            let path: Vec<&str> = named.segments.iter().map(String::as_str).collect();
            // Tokio's instant drives its timers and stands still with them in tests. Written out,
            // so that it cannot be taken for the other one.
            let read = match path.as_slice() {
                ["tokio", "time", "Instant", "now"] => false,
                [.., "Timestamp" | "SystemTime" | "Instant" | "Zoned", "now"] => true,
                _ => false,
            };
            if read {
                broken.push(format!("{}:{}: the time comes from `clock`", source.path, named.line));
            }
        }
    }
    broken
}

pub(crate) fn clients(sources: &[Source]) -> Vec<String> {
    let factory = ["src/http/clients.rs", "src/http/egress.rs"];
    let mut broken = Vec::new();
    for source in sources.iter().filter(|it| !factory.contains(&it.path.as_str())) {
        let paths = source.paths();
        let starts = |it: &Named, path: &[&str]| {
            it.segments.len() >= path.len() && it.segments.iter().zip(path).all(|(a, b)| a == b)
        };
        // Others have a `Client`, too.
        let theirs = paths.iter().any(|it| starts(it, &["reqwest", "Client"]) && it.segments.len() == 2);
        let makes = |it: &Named| {
            let imported: [&[&str]; 2] = [&["Client", "builder"], &["Client", "new"]];
            let in_full: [&[&str]; 4] = [
                &["reqwest", "Client", "builder"],
                &["reqwest", "Client", "new"],
                &["reqwest", "ClientBuilder"],
                &["reqwest", "get"],
            ];
            in_full.iter().any(|path| starts(it, path))
                || theirs && imported.iter().any(|path| starts(it, path))
        };
        for it in paths.iter().filter(|it| !it.test && makes(it)) {
            broken.push(format!("{}:{}: clients come from `http::clients`", source.path, it.line));
        }
    }
    broken
}

pub(crate) fn secrets(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let found: Vec<_> =
            source.tokens.iter().filter(|it| !it.test && it.text == "expose_secret").collect();
        let listed = EXPOSES_SECRETS.contains(&source.path.as_str());
        if listed && found.is_empty() {
            broken.push(format!("{}:1: exposes no secret; strike it from the list", source.path));
        }
        for token in found.iter().filter(|_| !listed) {
            broken.push(format!("{}:{}: a secret may not be exposed here", source.path, token.line));
        }
    }
    broken
}

pub(crate) fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let mut all = Vec::new();
        for word in ["todo", "unimplemented"] {
            all.extend(source.sequences(&[word, "!"]));
        }
        all.extend(source.sequences(&["#", "[", "ignore"]));
        if !MAY_SLEEP.contains(&source.path.as_str()) {
            all.extend(source.sequences(&["thread", "::", "sleep"]));
        }
        let words = all.into_iter().map(|it| (it.line, it.text.clone()));
        let marks = source.text.lines().enumerate().filter(|it| it.1.contains(concat!("FIX", "ME")));
        for (line, what) in words.chain(marks.map(|(at, _)| (at + 1, "mark".to_owned()))) {
            broken.push(format!("{}:{line}: not finished, skipped or slept (`{what}`)", source.path));
        }
    }
    broken
}

pub(crate) fn prints(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|it| !MAY_PRINT.iter().any(|room| it.path.starts_with(room))) {
        for word in ["print", "println"] {
            for token in source.sequences(&[word, "!"]).iter().filter(|it| !it.test) {
                broken.push(format!("{}:{}: only commands print", source.path, token.line));
            }
        }
    }
    broken
}

pub(crate) fn long(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .map(|it| (it, it.text.lines().count()))
        .filter(|(it, lines)| {
            *lines > LINES_MAX && !it.text.lines().take(5).any(|it| it.contains("long because "))
        })
        .map(|(it, lines)| {
            format!("{}:{lines}: more than {LINES_MAX} lines, without a `long because …` at its top", it.path)
        })
        .collect()
}

/// Targets of links in Markdown that stay in the repository, and of pictures.
pub(crate) fn links(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1).filter_map(|it| it.split(')').next());
    let pictures = text.split("src=\"").skip(1).filter_map(|it| it.split('"').next());
    links
        .chain(pictures)
        .filter(|it| !it.contains("://") && !it.starts_with('#') && !it.starts_with("mailto:"))
        .collect()
}

/// Pages of `docs/` that a text names.
pub(crate) fn pages_named(text: &str) -> Vec<&str> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "-_/.".contains(it);
    text.match_indices("docs/")
        .filter(|(at, _)| !text[..*at].ends_with(is_part))
        .filter_map(|(at, _)| text[at..].split(|it| !is_part(it)).next())
        .filter_map(|it| it.find(".md").map(|at| &it[..at + 3]))
        .collect()
}
