//! The configuration: what a good one means, and what is said about a bad one.

// The exception for tests in .clippy.toml does not reach the helpers of a test file.
#![allow(clippy::unwrap_used)]

#[path = "config/changes.rs"]
mod changes;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use jiff::SignedDuration;
use proptest::prelude::*;
use sendoff::config::change::changed;
use sendoff::config::fault::{ConfigError, Fault};
use sendoff::config::secret::SecretSource;
use sendoff::config::{
    CallLimit, Config, InstagramLogin, LimitScope, TikTokMode, load, locate, parse, starter,
};
use sendoff::domain::ids::PlatformName;
use sendoff::domain::schedule::Late;

const FILE: &str = "/etc/sendoff/config.toml";

fn good(text: &str) -> Config {
    parse(text, Path::new(FILE)).unwrap_or_else(|error| panic!("{error}"))
}

fn faults(text: &str) -> Vec<Fault> {
    match parse(text, Path::new(FILE)) {
        Err(ConfigError::Faults { faults, .. }) => faults,
        other => panic!("expected faults, got {other:?}"),
    }
}

/// One fault: where it is, what is said, what is advised.
fn check(text: &str, (line, column): (usize, usize), message: &str, hint: &str) {
    let found = faults(text);
    assert_eq!(found.len(), 1, "{text}: {found:#?}");
    let fault = &found[0];
    assert_eq!((fault.line, fault.column), (line, column), "{text}: {fault:#?}");
    assert!(fault.message.contains(message), "{text}: {fault:#?}");
    assert!(fault.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {fault:#?}");
    let error = parse(text, Path::new(FILE)).unwrap_err();
    let printed = error.to_string();
    assert!(printed.contains(&format!("{FILE}:{line}:{column}: ")) && printed.contains('^'), "{printed}");
    // Said once: by the one who prints the error and its hint.
    if let Some(hint) = &fault.hint {
        assert!(error.hint().as_ref() == Some(hint) && !printed.contains(hint), "{printed}");
    }
}

#[test]
fn an_empty_file_is_a_valid_one_with_the_documented_defaults() {
    let config = good("");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8420");
    assert_eq!(config.server.public_url.as_str(), "http://127.0.0.1:8420/");
    assert_eq!(config.late, Late::Within(SignedDuration::from_mins(60)));
    assert_eq!(config.platform(PlatformName::X).endpoint("api"), "https://api.x.com");
    assert_eq!(config.platform(PlatformName::Bluesky).endpoint("plc"), "https://plc.directory");
    assert!(config.engine.weakened().is_empty());
}

#[test]
fn the_example_equals_the_defaults() {
    let example = include_str!("../config.example.toml");
    assert_eq!(good(example), good(""));
}

#[test]
fn the_example_with_every_option_taken_up_is_valid_too() {
    let example = include_str!("../config.example.toml");
    let text: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|it| !it.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = good(&text);
    assert_eq!((config.queues.len(), config.recurring.len()), (1, 1));
    assert!(config.platform(PlatformName::LinkedIn).organization.is_some());
    assert!(config.platform(PlatformName::X).client_id.is_some());
    assert_eq!(config.platform(PlatformName::X).limits.len(), 1);
}

/// The keys of a section, as the reader itself tells them about one it does not know.
fn keys_of(section: &str) -> Vec<String> {
    let found = faults(&format!("{section}\nzzz = 1\n"));
    let hint = found[0].hint.clone().unwrap();
    hint.strip_prefix("known here: ")
        .unwrap_or_else(|| panic!("{hint}"))
        .split(", ")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_key_the_reader_knows_stands_in_the_example() {
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in include_str!("../config.example.toml").lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            current = line.to_owned();
        }
        sections.entry(current.clone()).or_default().extend([line, "\n"]);
    }
    let holds = |section: &str, key: &str| {
        sections
            .iter()
            .any(|(name, body)| name == section && body.lines().any(|it| it.starts_with(&format!("{key} ="))))
    };
    let later = ["content", "notify", "ai"];
    let mut count = 0;
    for top in keys_of("").into_iter().filter(|it| !later.contains(&it.as_str())) {
        if top == "platforms" {
            for platform in keys_of("[platforms]") {
                assert!(sections.contains_key(&format!("[platforms.{platform}]")), "{platform}");
            }
            continue;
        }
        let many = ["queue", "recurring"].contains(&top.as_str());
        let section = if many { format!("[[{top}]]") } else { format!("[{top}]") };
        for key in keys_of(&section) {
            assert!(holds(&section, &key), "`{key}` of {section} is not in the example");
            count += 1;
        }
    }
    // Which network takes which key is a matter of meaning, so each must stand below some network.
    for key in keys_of("[platforms.x]") {
        let somewhere = sections.iter().any(|(name, body)| {
            name.trim_start_matches('[').starts_with("platforms.")
                && (name.trim_end_matches(']').ends_with(&format!(".{key}"))
                    || body.lines().any(|it| it.starts_with(&format!("{key} ="))))
        });
        assert!(somewhere, "`{key}` of the platforms is not in the example");
        count += 1;
    }
    let limits = "[[platforms.x.limits]]";
    for key in keys_of(limits) {
        assert!(holds(limits, &key), "`{key}` of {limits} is not in the example");
        count += 1;
    }
    assert!(count > 40, "only {count} keys were looked at");
}

#[test]
fn what_is_printed_reads_back_as_the_same_settings() {
    let full = r#"
        [server]
        listen = "0.0.0.0:8420"
        public_url = "https://post.example.org"
        trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
        verification_files = { "tiktok123.txt" = "tiktok-developers-site-verification=\"1\"\n" }
        [keys]
        master = { file = "master.key" }
        [defaults]
        timezone = "europe/berlin"
        late = "exact"
        [platforms.instagram]
        login = "facebook"
        [platforms.tiktok]
        client_id = "abc"
        client_secret = { env = "TIKTOK" }
        mode = "direct"
        app_kind = "desktop"
        [platforms.linkedin.organization]
        client_id = "org"
        client_secret = { credential = "li" }
        [platforms.facebook]
        graph_version = "v25.0"
        config_id = "471147114711"
        [platforms.x]
        endpoints = { api = "http://127.0.0.1:9000/x/" }
        [[platforms.x.limits]]
        calls = 50
        per = "24h"
        [[platforms.x.limits]]
        calls = 1
        per = "90s"
        scope = "app"
        [[queue]]
        name = "mornings"
        cron = ["0 9 * * MON-FRI", "30 17 * * 1-5"]
        timezone = "America/New_York"
        accounts = ["x:acme", "linkedin:acme"]
        jitter = "5m"
        [engine]
        settle = "100ms"
        poll_scale = 0.01
        [egress]
        allow = ["127.0.0.0/8"]
        [log]
        format = "json"
    "#;
    for text in ["", full] {
        let config = good(text);
        assert_eq!(good(&config.print()), config, "{}", config.print());
    }
    let config = good(full);
    assert_eq!(config.master, SecretSource::File("/etc/sendoff/master.key".into()), "relative to the file");
    assert_eq!(config.timezone.name, "Europe/Berlin");
    assert_eq!(config.platform(PlatformName::Instagram).login, InstagramLogin::Facebook);
    assert_eq!(
        config.platform(PlatformName::Instagram).api_version.as_deref(),
        Some("v25.0"),
        "follows facebook"
    );
    assert_eq!(config.platform(PlatformName::TikTok).mode, TikTokMode::Direct);
    assert_eq!(config.platform(PlatformName::X).endpoint("api"), "http://127.0.0.1:9000/x");
    assert_eq!(config.platform(PlatformName::X).endpoint("authorize"), "https://x.com");
    assert_eq!(
        config.platform(PlatformName::X).limits,
        [
            CallLimit { calls: 50, per: SignedDuration::from_hours(24), scope: LimitScope::Account },
            CallLimit { calls: 1, per: SignedDuration::from_secs(90), scope: LimitScope::App },
        ]
    );
    assert_eq!(config.queue("mornings").unwrap().jitter, SignedDuration::from_mins(5));
    assert_eq!(config.engine.weakened(), ["settle", "poll_scale"]);
}

#[test]
fn a_fault_of_syntax_is_shown_with_line_column_and_caret() {
    let error = parse("[server]\nlisten = \"127.0.0.1:1\n", Path::new("c.toml")).unwrap_err().to_string();
    assert!(error.starts_with("c.toml:2:"), "{error}");
    assert!(error.contains("2 | listen = \"127.0.0.1:1") && error.contains('^'), "{error}");
    check("[limits]\nconnections = \"many\"\n", (2, 15), "invalid type: string", "");
    check("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", (3, 1), "duplicate key", "");
}

#[test]
fn the_caret_stands_below_the_value_that_is_meant() {
    let error =
        parse("[defaults]\n  timezone = \"Europe/Bärlin\"\n", Path::new("c.toml")).unwrap_err().to_string();
    assert_eq!(
        error,
        "c.toml:2:14: `Europe/Bärlin` is not a time zone\n  |\n2 |   timezone = \"Europe/Bärlin\"\n  |              ^^^^^^^^^^^^^^^"
    );
    // Of several, each has its remedy beside it.
    let two = "[defaults]\ntimezone = \"Nowhere/Land\"\nlate = \"soon\"\n";
    let error = parse(two, Path::new("c.toml")).unwrap_err();
    let printed = error.to_string();
    assert!(faults(two).len() == 2 && printed.contains("\n  = write an IANA name"), "{printed}");
    assert!(error.hint().unwrap().contains("config check"));
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    check("[server]\nlistn = \"x\"\n", (2, 1), "`listn` is not a key here", "did you mean `listen`?");
    check("[servr]\n", (1, 2), "`servr` is not a key here", "did you mean `server`?");
    check("[platforms.myspace]\n", (1, 12), "`myspace` is not a key here", "facebook, instagram, x");
    check("[[queue]]\nnaem = \"a\"\n", (2, 1), "`naem` is not a key here", "did you mean `name`?");
}

#[test]
fn what_comes_later_is_refused_as_such() {
    for (text, name) in [("[content]\n", "[content]"), ("[notify]\n", "[notify]"), ("[ai]\nx = 1\n", "[ai]")]
    {
        let found = faults(&format!("# settings\n{text}"));
        assert_eq!((found.len(), found[0].line), (1, 2), "{found:#?}");
        assert_eq!(found[0].message, format!("`{name}` is not available in this version"));
    }
}

#[test]
fn all_faults_of_meaning_are_told_at_once_in_the_order_of_the_file() {
    let found = faults(
        "[server]\nlisten = \"nine\"\n[[queue]]\nname = \"a\"\ncron = [\"99 9 * * *\", \"0 9 * *\"]\naccounts = [\"acme\"]\n[log]\nlevel = \"loud\"\n",
    );
    let places: Vec<_> = found.iter().map(|it| (it.line, it.column)).collect();
    assert_eq!(places, [(2, 10), (5, 9), (5, 23), (6, 13), (8, 9)], "{found:#?}");
}

#[test]
fn an_unsafe_listener_or_address_is_refused_with_the_way_out() {
    check(
        "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://a.example\"\n",
        (2, 10),
        "plain http to the network",
        "trusted_proxies",
    );
    check(
        "[server]\nlisten = \"[::]:80\"\npublic_url = \"https://a.example\"\n",
        (2, 10),
        "plain http to the network",
        "TLS proxy",
    );
    check(
        "[server]\nlisten = \"0.0.0.0:80\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n",
        (2, 10),
        "needs `public_url`",
        "add `public_url",
    );
    check("[server]\npublic_url = \"http://post.example.org\"\n", (2, 14), "plain http", "use https");
    check(
        "[server]\npublic_url = \"https://post.example.org/sendoff\"\n",
        (2, 14),
        "has a path",
        "only scheme, host and port",
    );
    check(
        "[server]\npublic_url = \"https://me:pw@post.example.org\"\n",
        (2, 14),
        "no user name",
        "before the `@`",
    );
    check(
        "[server]\npublic_url = \"https://post.example.org/?a\"\n",
        (2, 14),
        "query or fragment",
        "before `?`",
    );
    check(
        "[server]\npublic_url = \"post.example.org\"\n",
        (2, 14),
        "not a web address",
        "https://post.example.org",
    );
    check(
        "[server]\ntrusted_proxies = [\"127.0.0.1\", \"localhost\"]\n",
        (2, 33),
        "not an address range",
        "10.0.0.0/8",
    );
    check("[platforms.x.endpoints]\napi = \"http://192.168.1.4\"\n", (2, 7), "plain http", "127.0.0.1");
    check(
        "[platforms.x.endpoints]\ngraph = \"https://x.com\"\n",
        (2, 1),
        "not an endpoint of x",
        "authorize, api",
    );
    check(
        "[platforms.mastodon.endpoints]\napi = \"https://x.com\"\n",
        (2, 1),
        "not an endpoint of mastodon",
        "their own server",
    );
    let long = format!("[server]\ncontrol_socket = \"/{}\"\n", "s".repeat(107));
    check(&long, (2, 18), "the system takes 107", "shorter path");
    check(
        "[server]\nverification_files = { \"../x\" = \"\" }\n",
        (2, 24),
        "cannot be served",
        "file name the network gave",
    );
    check(
        "[server]\nverification_files = { healthz = \"\" }\n",
        (2, 24),
        "cannot be served",
        "no page of ours",
    );
}

#[test]
fn a_queue_at_fault_is_pointed_at() {
    let queue = |lines: &str| {
        format!("[[queue]]\nname = \"a\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:acme\"]\n{lines}")
    };
    assert_eq!(good(&queue("")).queues.len(), 1);
    check(&queue("timezone = \"Berlin\"\n"), (5, 12), "not a time zone", "IANA name");
    check(&queue("jitter = \"soon\"\n"), (5, 10), "`soon` is not a duration", "");
    check(&queue(&queue("")), (6, 8), "two queues named `a`", "rename");
    check(
        "[[queue]]\nname = \"A b\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:acme\"]\n",
        (2, 8),
        "not a queue name",
        "a-z",
    );
    check(
        "[[queue]]\nname = \"a\"\ncron = [\"0 9 31 2 *\"]\naccounts = [\"x:acme\"]\n",
        (3, 9),
        "never comes",
        "day of month",
    );
    check(
        "[[queue]]\nname = \"a\"\ncron = [\"0 25 * * *\"]\naccounts = [\"x:acme\"]\n",
        (3, 9),
        "hour `25` is wrong",
        "0-23",
    );
    check(
        "[[queue]]\nname = \"a\"\ncron = []\naccounts = [\"x:acme\"]\n",
        (3, 8),
        "`cron` is empty",
        "at least one",
    );
    check(
        "[[queue]]\nname = \"a\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:a\", \"x:a\"]\n",
        (4, 20),
        "twice",
        "remove",
    );
    check(
        "[[queue]]\nname = \"a\"\ncron = [\"0 9 * * *\"]\naccounts = [\"y:a\"]\n",
        (4, 13),
        "`y` is not a platform",
        "account list",
    );
    check("[[queue]]\nname = \"a\"\ncron = [\"0 9 * * *\"]\n", (1, 1), "no `accounts`", "add `accounts = ");
}

#[test]
fn other_values_at_fault_are_pointed_at() {
    check("[defaults]\ntimezone = \"Etc/Unknown\"\n", (2, 12), "not a time zone", "IANA name");
    check("[defaults]\nlate = \"never\"\n", (2, 8), "not a late policy", "");
    check("[engine]\nsettle = \"-5m\"\n", (2, 10), "not a duration", "");
    check("[engine]\ngive_up_after = \"0s\"\n", (2, 17), "longer than nothing", "");
    check("[engine]\npoll_scale = 0.0\n", (2, 14), "not a usable factor", "above 0");
    check("[engine]\nbackoff_scale = nan\n", (2, 17), "not a usable factor", "above 0");
    check("[egress]\nallow = [\"10.0.0.0/99\"]\n", (2, 10), "not an address range", "10.0.0.0/8");
    check("[limits]\nconnections = 0\n", (2, 15), "out of range", "from 1");
    check("[limits]\nmedia_max_bytes = -1\n", (2, 19), "out of range", "above 0");
    check(
        "[limits]\nconnections = 4\nper_address = 5\n",
        (3, 15),
        "more connections than all",
        "lower `per_address`",
    );
    check("[log]\nlevel = \"loud\"\n", (2, 9), "`loud` is not one of the choices", "`error` or `warn`");
    check("[log]\nformat = \"xml\"\n", (2, 10), "`xml` is not one of the choices", "`text` or `json`");
    check("[storage]\ndata_dir = \"\"\n", (2, 12), "the path is empty", "directory");
    check("[platforms.facebook]\ngraph_version = \"26\"\n", (2, 17), "not a version", "v26.0");
    check("[platforms.facebook]\nconfig_id = \"a1\"\n", (2, 13), "not the id of a configuration", "number");
    check(
        "[platforms.x]\nconfig_id = \"1\"\n",
        (2, 13),
        "not a key of `[platforms.x]`",
        "[platforms.facebook]",
    );
    check("[platforms.linkedin]\nlinkedin_version = \"202613\"\n", (2, 20), "not a version", "202608");
    check(
        "[platforms.x]\ngraph_version = \"v26.0\"\n",
        (2, 17),
        "not a key of `[platforms.x]`",
        "[platforms.facebook]",
    );
    check(
        "[platforms.x]\nlogin = \"facebook\"\nclient_id = \"a\"\n",
        (2, 9),
        "not a key of `[platforms.x]`",
        "instagram",
    );
    check(
        "[platforms.instagram]\nlogin = \"facebook\"\nclient_id = \"a\"\n",
        (3, 13),
        "no app of its own",
        "remove it",
    );
    check("[platforms.x]\nclient_id = \"…\"\n", (2, 13), "not filled in", "app's page");
    check("[platforms.linkedin.organization]\n", (1, 1), "has no `client_id`", "remove the section");
    let limit = "[[platforms.x.limits]]\n";
    check(&format!("{limit}calls = 5\n"), (1, 1), "a limit needs `per`", "write both");
    check(&format!("{limit}per = \"1h\"\n"), (1, 1), "a limit needs `calls`", "write both");
    check(&format!("{limit}calls = 0\nper = \"1h\"\n"), (2, 9), "`0` is out of range", "from 1");
    check(&format!("{limit}calls = 5\nper = \"0s\"\n"), (3, 7), "longer than nothing", "");
    check(
        &format!("{limit}calls = 5\nper = \"1h\"\nscope = \"all\"\n"),
        (4, 9),
        "`all` is not one of the choices",
        "`account` or `app`",
    );
}

#[test]
fn a_secret_written_into_the_file_is_refused_and_never_repeated() {
    let canary = "c4n4ry-s3cr3t";
    for text in [
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secret = \"{canary}\"\n"),
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secret = {{ value = \"{canary}\" }}\n"),
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secret = [\"{canary}\"]\n"),
        format!("[platforms.x]\nclient_id = \"a\"\n[platforms.x.client_secret]\nvalue = \"{canary}\"\n"),
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secret = {canary}\n"),
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secret = \"{canary}\n"),
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secrt = \"{canary}\"\n"),
        format!("[platforms.x]\nclient_secret = \"{canary}\"\n"),
        format!("[keys]\nmaster = \"{canary}\"\n"),
        format!(
            "[platforms.x]\nclient_id = \"a\"\nclient_secret = {{\n  file = \"a\",\n  foo = \"{canary}\n}}\n"
        ),
        format!("[platforms.x]\nclient_id = \"a\"\nclient_secret = \"\"\"\n{canary}\u{1}\n"),
        format!("[platforms.x.client_secret]\nfile = \"a\"\nfoo = {canary}\n"),
        format!("[keys]\nmaster = {{ file = \"a\", value = \"{canary}\" }}\n"),
    ] {
        let error = parse(&text, Path::new(FILE)).unwrap_err();
        assert!(!error.to_string().contains(canary) && !format!("{error:?}").contains(canary), "{error}");
    }
    check("[keys]\nmaster = \"abc\"\n", (2, 10), "never a value in this file", "{ file = ");
    check("[keys]\nmaster = 12345\n", (2, 10), "never a value in this file", "{ file = ");
    check("[keys]\nmaster = { value = \"abc\" }\n", (2, 10), "`value` is not a source", "{ file = ");
    check("[keys]\nmaster = { file = \"a\", env = \"B\" }\n", (2, 10), "exactly one source", "{ file = ");
    check("[keys]\nmaster = { credential = \"../x\" }\n", (2, 10), "no usable name", "{ file = ");
    check("[platforms.x]\nclient_secret = { env = \"A\" }\n", (2, 17), "no `client_id`", "same app");
}

#[test]
fn the_master_key_is_never_taken_from_the_environment() {
    check("[keys]\nmaster = { env = \"KEY\" }\n", (2, 10), "never taken from the environment", "mode 0600");
}

#[test]
fn the_file_is_looked_for_in_the_documented_order() {
    let (here, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let env = |name: &str| (name == "HOME").then(|| home.path().as_os_str().to_owned());
    let error = locate(None, &env, here.path()).unwrap_err();
    let text = error.to_string();
    let order =
        [here.path().join("sendoff.toml"), home.path().join(".config/sendoff/config.toml"), FILE.into()];
    let places: Vec<_> = order.iter().map(|it| text.find(&it.display().to_string())).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    assert!(error.hint().unwrap().contains("sendoff init"));

    std::fs::create_dir_all(home.path().join(".config/sendoff")).unwrap();
    std::fs::write(&order[1], "").unwrap();
    assert_eq!(locate(None, &env, here.path()).unwrap(), order[1]);
    std::fs::write(&order[0], "").unwrap();
    assert_eq!(locate(None, &env, here.path()).unwrap(), order[0]);
    let named = |name: &str| (name == "SENDOFF_CONFIG").then(|| OsString::from("/elsewhere.toml"));
    assert_eq!(locate(None, &named, here.path()).unwrap(), Path::new("/elsewhere.toml"));
    assert_eq!(locate(Some(Path::new("/flag.toml")), &named, here.path()).unwrap(), Path::new("/flag.toml"));
    let missing = load(&here.path().join("gone.toml")).unwrap_err();
    assert!(
        missing.to_string().contains("gone.toml`: No such file")
            && missing.hint().unwrap().contains("sendoff init")
    );
}

#[test]
fn the_starter_is_valid_and_keeps_to_its_directory() {
    let dir = Path::new("/home/ada/my \"posts\"");
    let config =
        parse(&starter(dir, "Europe/Berlin"), &dir.join("sendoff.toml")).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8420");
    assert_eq!(config.timezone.name, "Europe/Berlin");
    assert!(config.server.control_socket.starts_with(dir) && config.data_dir.starts_with(dir));
    assert_eq!(config.master, SecretSource::File(dir.join("master.key")));
}

#[test]
fn few_connections_lower_the_share_of_one_address() {
    let config = good("[limits]\nconnections = 4\n");
    assert_eq!(config.limits.per_address, 4);
    assert_eq!(good(&config.print()), config);
}

#[test]
fn an_address_with_a_scope_makes_no_trouble() {
    let config = good("[server]\nlisten = \"[::1%1]:8420\"\n");
    assert_eq!(config.server.public_url.as_str(), "http://[::1]:8420/");
}

#[test]
fn a_file_that_is_not_text_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sendoff.toml");
    std::fs::write(&file, b"[log]\nlevel = \"\xff\"\n").unwrap();
    let error = load(&file).unwrap_err();
    assert!(error.hint().unwrap().contains("UTF-8"));
    assert!(error.to_string().contains(":2:10: this is no UTF-8 text"), "{error}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
        if let Err(error) = parse(&text, Path::new(FILE)) {
            prop_assert!(error.to_string().contains(FILE));
        }
    }

    #[test]
    fn no_value_of_a_known_key_makes_the_reader_panic(value in "[0-9a-zé:/.%\\[\\]@#? -]{0,24}") {
        let keys = "[server]\nlisten = V\npublic_url = V\ncontrol_socket = V\n[defaults]\ntimezone = V\nlate = V\n\
            [[queue]]\nname = V\ncron = [V]\naccounts = [V]\njitter = V\n[platforms.linkedin]\nlinkedin_version = V\n\
            [platforms.facebook]\ngraph_version = V\nendpoints = { graph = V }\n[egress]\nallow = [V]\n";
        if let Err(error) = parse(&keys.replace('V', &format!("\"{value}\"")), Path::new(FILE)) {
            prop_assert!(error.to_string().contains(FILE));
        }
    }
}
