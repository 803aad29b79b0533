//! Help that teaches: every command shows how it is used.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "support/control.rs"]
#[allow(dead_code, reason = "the other test file uses the rest")]
mod support;

use clap::{CommandFactory as _, FromArgMatches as _};
use sendoff::cli::args::{Cli, Command};
use sendoff::sandbox::Faults;
use support::Shell;

/// Every command and subcommand by its words.
fn commands(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
    found.push(words.to_vec());
    for inner in command.get_subcommands() {
        let words = [words, &[inner.get_name().to_owned()]].concat();
        commands(inner, &words, found);
    }
}

#[test]
fn every_help_has_examples_of_its_own_command() {
    let mut found = Vec::new();
    commands(&Cli::command(), &[], &mut found);
    assert!(found.len() > 30, "{found:?}");
    for words in found {
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        args.push("--help");
        let ran = Shell::new().run(&args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}");
        let (_, examples) =
            ran.out.split_once("Examples:").unwrap_or_else(|| panic!("{words:?}: {}", ran.out));
        assert!(examples.contains(&words.join(" ")), "{words:?}: {examples}");
    }
}

#[test]
fn the_help_names_every_exit_code_there_is() {
    let help = Shell::new().run(&["--help"]).out;
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    let named: Vec<u8> = codes
        .split(|c: char| !c.is_ascii_digit())
        .filter(|it| !it.is_empty())
        .map(|it| it.parse().unwrap())
        .collect();
    assert_eq!(named, [0, 1, 2, 3, 4, 75, 78]);
}

#[test]
fn examples_are_commands_that_parse() {
    let mut faults = 0;
    let mut found = Vec::new();
    commands(&Cli::command(), &[], &mut found);
    for words in found {
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        args.push("--help");
        let help = Shell::new().run(&args).out.replace("\\\n      ", "");
        for line in help.lines().filter_map(|it| it.trim().strip_prefix("sendoff ")) {
            // What stands behind two spaces is a remark; behind `|` or `>` another program.
            let command = line.split("  ").next().unwrap();
            let command = command.split(['|', '>']).next().unwrap();
            let parsed = Cli::command()
                .try_get_matches_from(std::iter::once("sendoff".to_owned()).chain(words_of(command)));
            let parsed = parsed.unwrap_or_else(|error| panic!("`{command}`: {error}"));
            if let Some(Command::Sandbox(it)) = Cli::from_arg_matches(&parsed).unwrap().command
                && let Some(spec) = it.faults
            {
                assert!(spec.parse::<Faults>().is_ok(), "`{command}`: {:?}", spec.parse::<Faults>());
                faults += 1;
            }
        }
    }
    assert!(faults > 0, "an order of faults is among the examples");
}

#[test]
fn every_argument_has_a_word_behind_it() {
    fn look(command: &clap::Command, path: &str) {
        for it in command.get_arguments().filter(|it| !it.is_hide_set()) {
            assert!(it.get_help().is_some(), "`{path}`: `{}` is not explained", it.get_id());
        }
        for below in command.get_subcommands() {
            look(below, &format!("{path} {}", below.get_name()));
        }
    }
    look(&Cli::command(), "sendoff");
}

/// Splits as a shell does, as far as the examples need it.
fn words_of(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in command.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|it| !it.is_empty());
    words
}

#[test]
fn bare_sendoff_shows_the_commands_and_where_the_console_is() {
    let commands = Shell::new().run(&["--json"]).json();
    assert!(commands["commands"].as_array().unwrap().contains(&"account".into()), "{commands}");
    let ran = Shell::new().run(&[]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("account") && ran.out.contains("`sendoff` alone opens the console"));
}

#[test]
fn the_console_opens_on_a_terminal_and_nowhere_else() {
    for args in [&[][..], &["console"]] {
        let shell = Shell::new().env("SENDOFF_SOCKET", "/tmp/a.sock").on_a_terminal();
        assert!(shell.run(args).err.contains("console /tmp/a.sock"), "{args:?}");
    }
    let ran = Shell::new().run(&["console", "--json"]);
    assert_eq!((ran.code, ran.error()["message"].clone()), (2, "the console needs a terminal".into()));
}

#[test]
fn the_version_is_told_to_people_and_scripts() {
    assert_eq!(Shell::new().run(&["version"]).out, format!("sendoff {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(Shell::new().run(&["version", "--json"]).json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(Shell::new().run(&["--version"]).code, 0);
}

#[test]
fn completions_and_manual_pages_know_the_commands() {
    let script = Shell::new().run(&["completions", "bash", "--json"]).json();
    assert!(script["script"].as_str().unwrap().contains("disconnect"), "{script}");
    for shell in ["bash", "zsh", "fish"] {
        let ran = Shell::new().run(&["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("disconnect"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("man1");
    assert_eq!(Shell::new().run(&["man", into.to_str().unwrap()]).code, 0);
    for page in ["sendoff.1", "sendoff-post-create.1", "sendoff-account-connect.1"] {
        let text = std::fs::read_to_string(into.join(page)).unwrap();
        assert!(text.contains("\n.SH EXAMPLES\n.nf\n") && !text.contains("EXTRA"), "{page}");
        assert_eq!(text.contains("socket"), page == "sendoff.1", "options of all commands stand on one page");
    }
}

#[test]
fn other_rooms_get_what_was_written() {
    let told = |args: &[&str]| {
        let ran = Shell::new().run(args);
        (ran.code, format!("{}{}", ran.out, ran.err))
    };
    assert_eq!(told(&["--config", "/c.toml", "serve"]), (78, "error: serve Some(\"/c.toml\")\n".into()));
    assert_eq!(
        told(&["sandbox", "--listen", "127.0.0.1:9", "--faults", "x.create=429", "--seed", "7"]).1,
        "error: sandbox Some(127.0.0.1:9) Some(\"x.create=429\") Some(7)\n"
    );
    assert_eq!(told(&["demo", "--once", "--fast"]).1, "error: demo true true false\n");
    assert_eq!(told(&["init", "--dir", "/d"]), (0, "init Some(\"/d\")\n".into()));
    let (code, text) = told(&["--config", "/c.toml", "config", "check"]);
    assert_eq!((code, text.as_str()), (2, "error: /c.toml:4:8: hour 99 is out of range\n"));
    assert_eq!(told(&["--config", "/c.toml", "config", "print"]).1, "# /c.toml\n");
    let printed = Shell::new().run(&["--config", "/c.toml", "config", "print", "--json"]).json();
    assert_eq!(printed["path"], "/c.toml");
}
