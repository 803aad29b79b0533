//! The rules of the house, run with every `cargo test`: which room may use which, and what is done
//! in one place only.
//!
//! Each rule is a function over source texts, so that the last part of this file can show, with
//! small made-up files, that it fails when it should.
//!
//! Test code (`#[cfg(test)]` and the files behind `#[cfg(test)] mod name;`) may join rooms, because
//! a test may need a neighbour to set its scene. What must hold even there stands in
//! [`NEVER_EVEN_IN_TESTS`].

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use rules::{clients, foreign, links, long, pages_named, prints, secrets, times, unfinished, uses};
use source::{Source, mark_test_files, read_all};

/// Where everything meets: behind `run` in `lib.rs`. It may use every room, and no room may use it.
const JOINS_THEM: &[&str] = &["lib", "main", "rooms"];

/// Room → what it may use. `a::b` allows that part of `a` only.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("facts", &[]),
    // What the boot clock shows is a noun.
    ("clock", &["domain"]),
    // For tests alone: where the process may be made to die, and bugs that can be switched on.
    ("failpoint", &[]),
    ("planted", &[]),
    ("platforms", &["domain", "facts", "planted"]),
    ("validate", &["domain", "platforms"]),
    ("engine", &["domain", "platforms", "planted"]),
    ("store", &["domain"]),
    ("keys", &["domain"]),
    ("media", &["domain"]),
    // `failpoint`: a request is to be cut in the middle.
    ("http", &["domain", "failpoint"]),
    ("auth", &["domain", "http"]),
    // The configuration names accounts, zones and late policies, and checks them at the door.
    ("config", &["domain", "facts"]),
    ("privacy", &["domain", "keys"]),
    // Tickets and limits of the public listener run out, so it needs the time.
    ("web", &["domain", "auth", "media", "clock"]),
    ("sandbox", &["clock", "facts"]),
    // Every client comes from one factory, the one for the Unix socket too.
    ("control", &["domain", "http::clients"]),
    // `http::terminal` makes text of others fit for a terminal; `clock` lets it say "in two hours".
    // The rest is for commands that work without a daemon: `init`, `config check`, `post create
    // --check`.
    ("cli", &["control", "domain", "clock", "config", "keys", "validate", "http::terminal"]),
    // The console: what the command line may, without what works without a daemon.
    ("tui", &["control", "domain", "clock", "http::terminal"]),
    (
        "daemon",
        &[
            "domain",
            "facts",
            "clock",
            "failpoint",
            "planted",
            "platforms",
            "validate",
            "engine",
            "store",
            "keys",
            "media",
            "http",
            "auth",
            "config",
            "privacy",
            "web",
            "control",
        ],
    ),
];

/// A stand-in that shares code with what it stands in for proves nothing, whoever compiles it.
/// Nothing but `lib.rs` uses the rooms that put things together.
const NEVER_EVEN_IN_TESTS: &[(&str, &[&str])] = &[
    ("sandbox", &["platforms", "auth", "engine", "daemon", "validate"]),
    ("platforms", &["sandbox"]),
    ("auth", &["sandbox"]),
];

/// Room → crates and parts of the standard library that it must not name: the rest of the table's
/// third column. Addresses are data, so of `std::net` only the sockets count. Tests may: a snapshot
/// needs serde, a paused clock needs tokio.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "serde",
            "serde_json",
            "tokio",
            "redb",
            "reqwest",
            "axum",
            "http",
            "std::fs",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::env",
        ],
    ),
    (
        "facts",
        &[
            "tokio",
            "reqwest",
            "axum",
            "redb",
            "std::fs",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::env",
        ],
    ),
    (
        "validate",
        &[
            "tokio",
            "reqwest",
            "axum",
            "redb",
            "std::fs",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::env",
        ],
    ),
    (
        "platforms",
        &[
            "tokio",
            "reqwest",
            "axum",
            "redb",
            "std::fs",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::env",
        ],
    ),
    (
        "engine",
        &[
            "tokio",
            "reqwest",
            "axum",
            "redb",
            "std::fs",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::env",
        ],
    ),
    ("privacy", &["reqwest", "axum", "redb"]),
    ("store", &["reqwest", "axum", "hyper"]),
    ("keys", &["reqwest", "axum", "hyper", "redb", "std::net::TcpStream", "std::net::UdpSocket"]),
    ("media", &["reqwest", "axum", "hyper", "redb", "std::net::TcpStream", "std::net::UdpSocket"]),
];

/// Where a secret leaves its wrapper: into a request's header or form, into a seal, into a
/// comparison. Tests may look.
const EXPOSES_SECRETS: &[&str] = &[
    "src/auth/bluesky/mod.rs",
    "src/auth/callback.rs",
    "src/auth/facebook.rs",
    "src/auth/grant.rs",
    "src/auth/instagram.rs",
    "src/auth/linkedin.rs",
    "src/auth/signed_request.rs",
    "src/auth/tiktok.rs",
    "src/auth/token.rs",
    "src/auth/wire.rs",
    "src/auth/x.rs",
];

/// A foreign server in a process of its own has no event that a test could wait for.
const MAY_SLEEP: &[&str] = &["tests/real/support.rs"];

/// The command line, and the two commands that are performances: `demo` and `sandbox`.
const MAY_PRINT: &[&str] = &["src/cli/", "src/rooms/"];

const LINES_MAX: usize = 600;

#[test]
fn every_room_uses_only_what_it_may() {
    none(&uses(&sources("src"), &platforms()));
}

#[test]
fn the_table_has_a_row_for_every_room_and_no_other() {
    let mut rooms: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|it| it.unwrap().file_name().to_str().unwrap().trim_end_matches(".rs").to_owned())
        .filter(|it| !JOINS_THEM.contains(&it.as_str()))
        .collect();
    rooms.sort_unstable();
    let mut rows: Vec<&str> = MAY_USE.iter().map(|it| it.0).collect();
    rows.sort_unstable();
    assert_eq!(rooms, rows);
}

#[test]
fn crates_are_named_only_where_their_job_is_done() {
    none(&foreign(&sources("src")));
}

#[test]
fn only_the_clock_reads_the_time() {
    none(&times(&sources("src")));
}

#[test]
fn http_clients_come_from_one_factory() {
    none(&clients(&sources("src")));
}

#[test]
fn secrets_leave_their_wrapper_in_few_places() {
    none(&secrets(&sources("src")));
}

#[test]
fn nothing_is_left_unfinished_skipped_or_slept_through() {
    none(&unfinished(&sources("src")));
    none(&unfinished(&sources("tests")));
}

#[test]
fn only_commands_print() {
    none(&prints(&sources("src")));
}

#[test]
fn no_file_is_long_without_saying_why() {
    none(&long(&sources("src")));
    none(&long(&sources("tests")));
    none(&long(&sources("benches")));
}

#[test]
fn every_platform_has_examples_of_its_answers() {
    let missing: Vec<String> = platforms()
        .iter()
        .map(|it| format!("tests/fixtures/{it}"))
        .filter(|it| fs::read_dir(root().join(it)).map_or(0, Iterator::count) == 0)
        .map(|it| format!("{it}: no examples of this platform's answers"))
        .collect();
    none(&missing);
}

#[test]
fn every_platform_is_in_the_example_configuration() {
    let example = fs::read_to_string(root().join("config.example.toml")).unwrap();
    let missing: Vec<String> = platforms()
        .iter()
        .filter(|it| !example.contains(&format!("[platforms.{it}]")))
        .map(|it| format!("config.example.toml: no section `[platforms.{it}]`"))
        .collect();
    none(&missing);
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")];
    for folder in ["docs", "docs/platforms"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            pages.push(Path::new(folder).join(entry.unwrap().file_name()));
        }
    }
    let mut broken = Vec::new();
    for page in pages.iter().filter(|it| it.extension().is_some_and(|it| it == "md")) {
        // A page that is not written yet has no links.
        let text = fs::read_to_string(root().join(page)).unwrap_or_default();
        for link in links(&text) {
            let target = page.parent().unwrap().join(link.split('#').next().unwrap());
            if !root().join(&target).exists() {
                broken.push(format!("{}: nothing at `{link}`", page.display()));
            }
        }
    }
    none(&broken);
}

#[test]
fn every_network_has_its_page_and_what_names_a_page_names_one_that_is_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut broken = Vec::new();
    for name in platforms() {
        let page = format!("docs/platforms/{name}.md");
        let text = fs::read_to_string(root().join(&page)).unwrap_or_default();
        // Set-up by a newcomer, step by step, with the traps.
        for part in ["## Set it up", "\n1. ", "**Traps.**", "account connect", "doctor"] {
            if !text.contains(part) {
                broken.push(format!("{page}: no `{}`", part.trim()));
            }
        }
        if !readme.contains(&format!("]({page})")) {
            broken.push(format!("README.md: no link to {page}"));
        }
    }
    // What the program and the example say for a person to read.
    let mut texts: Vec<(String, String)> =
        sources("src").into_iter().map(|it| (it.path.clone(), it.text.clone())).collect();
    let example = "config.example.toml".to_owned();
    texts.push((example.clone(), fs::read_to_string(root().join(example)).unwrap()));
    for (path, text) in &texts {
        for page in pages_named(text) {
            if page != "docs/platforms/NAME.md" && !root().join(page).exists() {
                broken.push(format!("{path}: nothing at `{page}`"));
            }
        }
    }
    none(&broken);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    let found = read_all(root(), folder);
    assert!(!found.is_empty(), "no source below {folder}: a rule over nothing proves nothing");
    found
}

fn platforms() -> Vec<&'static str> {
    sendoff::platforms::ALL.iter().map(|it| it.name().as_str()).collect()
}

#[track_caller]
fn none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

// That each rule can fail.

#[track_caller]
fn finds(rule: impl Fn(&[Source]) -> Vec<String>, files: &[(&str, &str)], expected: &[&str]) {
    let mut sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    mark_test_files(&mut sources);
    assert_eq!(rule(&sources), expected, "in {files:#?}");
}

fn uses_of_two(sources: &[Source]) -> Vec<String> {
    uses(sources, &["x", "bluesky"])
}

#[test]
fn a_use_of_a_forbidden_room_is_named_with_its_line() {
    let text = "//! May mention crate::store in words.\nuse crate::domain::post::Post;\n\nuse crate::store::Store;\n";
    finds(uses_of_two, &[("src/web/view.rs", text)], &["src/web/view.rs:4: web may not use store"]);
}

#[test]
fn no_way_of_writing_an_import_hides_it() {
    let at = "src/web/a/b.rs:1: web may not use store";
    for text in [
        "use crate::{auth, store};",
        "use crate::{auth::{Grant, Token}, store::{self, Store}};",
        "use super::super::super::store::Store;",
        "use super::super::super::{auth, store as clean};",
        "fn f() { crate::store::open(); }",
        "use ::sendoff::store;",
        "mod inner { use super::super::super::super::store; }",
        "fn f<'a>(it: &'a str) -> char { crate::store::g('\"', it, \"\\\"\", r#\"\"\"#) }",
    ] {
        finds(uses_of_two, &[("src/web/a/b.rs", text)], &[at]);
    }
    let all = ["src/web/a/b.rs:1: web may not use *"];
    finds(uses_of_two, &[("src/web/a/b.rs", "use super::super::super::*;")], &all);
    let hidden = ["src/web/a/b.rs:1: a room may not be hidden behind a name"];
    finds(uses_of_two, &[("src/web/a/b.rs", "use crate as all;")], &hidden);
    let lost = ["src/attic/mod.rs:1: the table has no row for attic"];
    finds(uses_of_two, &[("src/attic/mod.rs", "")], &lost);
}

#[test]
fn what_is_allowed_passes() {
    for text in [
        "use crate::{auth, domain::ids::PostId, clock::Clock as _};",
        "use super::super::forms; use super::*; use self::inner::It; use crate::web::forms;",
        "mod inner { use super::super::forms; }",
        "// use crate::store;\n/* crate::store /* twice */ crate::store */\nconst A: &str = \"crate::store\";",
        "const A: &str = r##\"crate::store\"# crate::store\"##; const B: char = '\"'; // crate::store",
        "#[cfg(test)]\nmod tests {\n    use crate::store::Store;\n}",
        "#[cfg(test)]\nuse crate::{store, keys};\nfn f() {}",
    ] {
        finds(uses_of_two, &[("src/web/a/b.rs", text)], &[]);
    }
}

#[test]
fn test_code_ends_where_its_item_ends() {
    let text = "#[cfg(test)]\n#[allow(unused)]\nmod tests { fn f() { {} } }\nuse crate::store;";
    finds(uses_of_two, &[("src/web/a.rs", text)], &["src/web/a.rs:4: web may not use store"]);
    let files = [
        ("src/web/mod.rs", "#[cfg(test)]\nmod tests;\nmod testing;"),
        ("src/web/tests/more.rs", "use crate::store;"),
        ("src/web/testing.rs", "use crate::store;"),
    ];
    finds(uses_of_two, &files, &["src/web/testing.rs:1: web may not use store"]);
}

#[test]
fn networks_know_neither_each_other_nor_are_they_known() {
    let files = [("src/platforms/x/mod.rs", "use crate::platforms::bluesky::A;\nuse super::bluesky::A;")];
    let expected = [
        "src/platforms/x/mod.rs:1: platforms::x may not use platforms::bluesky",
        "src/platforms/x/mod.rs:2: platforms::x may not use platforms::bluesky",
    ];
    finds(uses_of_two, &files, &expected);
    let files = [("src/engine/mod.rs", "use crate::platforms::{Platform, x::X};")];
    let expected = ["src/engine/mod.rs:1: engine may not use platforms::x (the trait is enough)"];
    finds(uses_of_two, &files, &expected);
    let files = [("src/sandbox/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::platforms::x;\n}")];
    finds(uses_of_two, &files, &["src/sandbox/a.rs:3: sandbox may not use platforms"]);
}

#[test]
fn a_part_of_a_room_is_not_the_room() {
    let text = "use crate::http::clients::unix_client;\nuse crate::http::egress::Guard;";
    let expected = ["src/control/client.rs:2: control may not use http::egress"];
    finds(uses_of_two, &[("src/control/client.rs", text)], &expected);
}

#[test]
fn each_other_rule_fails_where_it_should() {
    let file = |text| [("src/domain/a.rs", text)];
    let at = |what: &str| format!("src/domain/a.rs:1: {what}");

    finds(foreign, &file("use serde::Serialize;"), &[&at("domain may not name serde")]);
    finds(foreign, &file("use std::{fs, io};"), &[&at("domain may not name std::fs")]);
    finds(foreign, &[("src/web/a.rs", "use redb::Database;")], &["src/web/a.rs:1: only store names redb"]);
    let durability = [("src/store/a.rs", "t.set_durability(redb::Durability::None)")];
    finds(foreign, &durability, &["src/store/a.rs:1: every commit is durable"]);

    for text in ["jiff::Timestamp::now()", "SystemTime::now()", "std::time::Instant::now()", "Instant::now()"]
    {
        finds(times, &file(text), &[&at("the time comes from `clock`")]);
    }
    finds(times, &file("tokio::time::Instant::now()"), &[]);
    finds(times, &[("src/clock.rs", "Timestamp::now()")], &[]);

    let no_client = at("clients come from `http::clients`");
    for text in [
        "reqwest::Client::builder()",
        "use reqwest::{Client, Body}; fn f() { Client::new() }",
        "reqwest::ClientBuilder::new()",
        "reqwest::get(a)",
    ] {
        finds(clients, &file(text), &[&no_client]);
    }
    finds(clients, &file("use crate::control::client::Client; fn f() { Client::new() }"), &[]);
    finds(clients, &[("src/http/clients.rs", "reqwest::Client::new()")], &[]);

    finds(secrets, &file("it.expose_secret()"), &[&at("a secret may not be exposed here")]);
    finds(secrets, &file("#[cfg(test)]\nfn f() { it.expose_secret() }"), &[]);
    let struck = "src/auth/token.rs:1: exposes no secret; strike it from the list";
    finds(secrets, &[("src/auth/token.rs", "")], &[struck]);

    for (text, what) in [
        ("todo!()", "todo"),
        ("unimplemented!()", "unimplemented"),
        ("#[ignore = \"slow\"] fn f() {}", "#"),
        ("std::thread::sleep(a)", "thread"),
        (concat!("// FIX", "ME later"), "mark"),
    ] {
        finds(unfinished, &file(text), &[&at(&format!("not finished, skipped or slept (`{what}`)"))]);
    }

    finds(prints, &file("println!()"), &[&at("only commands print")]);
    finds(prints, &[("src/cli/a.rs", "println!()")], &[]);

    let lines = "//! a\n".repeat(LINES_MAX + 1);
    let too_long = "src/domain/a.rs:601: more than 600 lines, without a `long because …` at its top";
    finds(long, &file(&lines), &[too_long]);
    finds(long, &file(&format!("//! long because it is one table\n{lines}")), &[]);

    assert_eq!(links("[a](b.md#c) [d](https://e.org) [f](#g) <img src=\"h.png\">"), ["b.md#c", "h.png"]);
    assert_eq!(
        pages_named("(docs/a/b.md), x.org/docs/c.md `docs/d.md.` docs/e"),
        ["docs/a/b.md", "docs/d.md"]
    );
}
