//! Post files, good and bad.

use super::*;

fn read(text: &str) -> Result<PostFile, String> {
    parse(text, Path::new("news.md")).map_err(|error| error.to_string())
}

fn good(text: &str) -> PostFile {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Line, column and message of every fault.
fn faults(text: &str) -> Vec<(usize, usize, String)> {
    match parse(text, Path::new("news.md")) {
        Err(ConfigError::Faults { faults, .. }) => {
            faults.into_iter().map(|it| (it.line, it.column, it.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_says_where_when_and_what_for_whom() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("oven.jpg"), b"x").unwrap();
    let path = dir.path().join("news.md");
    std::fs::write(
        &path,
        r#"+++
to = ["x:acme", "linkedin:acme", "instagram:acme"]
at = 2026-12-01T09:00:00          # wall time in `timezone`
timezone = "europe/berlin"
late = "90m"
key = "oven"
media = [{ file = "oven.jpg", alt = "Our new stone oven" }]
[options.tiktok]
privacy = "SELF_ONLY"
duet = false
cover_ms = 1500
+++

The oven is here.

---

It is hot.

--- x
The oven is here. Come and smell it.

--- x
Second part of the thread on X.
\--- x is no heading here

--- linkedin:comment
First comment on LinkedIn.

--- instagram:acme
For one account.
--- all:comment
For whoever has none.
"#,
    )
    .unwrap();
    let file = PostFile::read(&path).unwrap();
    assert_eq!(file.to, ["x:acme", "linkedin:acme", "instagram:acme"]);
    assert_eq!(file.when, Some(When::At("2026-12-01T09:00:00".into())));
    assert_eq!((file.tz.as_deref(), file.late.as_deref()), (Some("Europe/Berlin"), Some("90m")));
    assert_eq!(file.key.as_deref(), Some("oven"));
    assert_eq!(
        file.media,
        [MediaFile { path: dir.path().join("oven.jpg"), alt: Some("Our new stone oven".into()), part: None }]
    );
    let tiktok = &file.options["tiktok"];
    assert_eq!((tiktok["privacy"].as_str(), tiktok["duet"].as_str()), ("SELF_ONLY", "false"));
    assert_eq!(tiktok["cover_ms"], "1500");
    assert_eq!(file.parts, ["The oven is here.\n\n---\n\nIt is hot."]);
    assert_eq!(file.comment.as_deref(), Some("For whoever has none."));
    let x =
        ["The oven is here. Come and smell it.", "Second part of the thread on X.\n--- x is no heading here"];
    assert_eq!(file.variants["x"].parts, x);
    let linkedin = &file.variants["linkedin"];
    assert_eq!((linkedin.parts.len(), linkedin.comment.as_deref()), (0, Some("First comment on LinkedIn.")));
    assert_eq!(file.variants["instagram:acme"].parts, ["For one account."]);
}

#[test]
fn a_thread_for_everyone_goes_on_below_its_own_heading() {
    let file = good("+++\nto = [\"x:acme\"]\nqueue = \"mornings\"\n+++\nOne\n--- all\nTwo\n--- all\nThree\n");
    assert_eq!(file.parts, ["One", "Two", "Three"]);
    assert_eq!(file.when, Some(When::Queue("mornings".into())));
}

#[test]
fn a_file_without_front_matter_is_text_and_line_ends_of_windows_are_line_ends() {
    assert_eq!(good("Just text.\n\nMore.\n").parts, ["Just text.\n\nMore."]);
    let windows = good("\u{feff}+++\r\nto = [\"x:acme\"]\r\ndraft = true\r\n+++\r\nA\r\nB\r\n--- x\r\nC\r\n");
    assert_eq!((windows.parts, windows.when), (vec!["A\nB".to_owned()], Some(When::Draft)));
    assert_eq!(windows.variants["x"].parts, ["C"]);
    assert_eq!(good(""), PostFile::default());
    assert_eq!(good("+++\n+++\n"), PostFile::default());
}

#[test]
fn a_time_with_an_offset_or_in_words_is_taken_as_it_is() {
    let at = |written: &str| good(&format!("+++\nat = {written}\n+++\nHi")).when;
    assert_eq!(at("2026-12-01T09:00:00+01:00"), Some(When::At("2026-12-01T09:00:00+01:00".into())));
    assert_eq!(at("2026-12-01 09:00:00"), Some(When::At("2026-12-01T09:00:00".into())));
    assert_eq!(at("\"tomorrow 9am\""), Some(When::At("tomorrow 9am".into())));
    assert_eq!(good("+++\nnow = true\n+++\nHi").when, Some(When::Now));
}

#[test]
fn every_fault_has_its_place() {
    let cases = [
        ("+++\nto = [\"x:acme\", \"y:acme\"]\n+++\nHi", 2, 17, "`y` is not a platform"),
        ("+++\nto = [\"x:Acme!\"]\n+++\nHi", 2, 7, "`Acme!`"),
        ("+++\nto = [\"x:acme\", \"x:acme\"]\n+++\nHi", 2, 17, "`x:acme` is named twice"),
        ("+++\ntoo = [\"x:acme\"]\n+++\nHi", 2, 1, "`too` is not a key here"),
        ("+++\nto = \"x:acme\"\n+++\nHi", 2, 6, "invalid type"),
        ("+++\nto = [\n+++\nHi", 2, 7, "unclosed array"),
        ("+++\nat = 2026-12-01\n+++\nHi", 2, 6, "the time of day is missing"),
        ("+++\nat = 09:00:00\n+++\nHi", 2, 6, "the day is missing"),
        ("+++\nat = 9\n+++\nHi", 2, 6, "a time is not a number"),
        ("+++\nat = \"+1h\"\nqueue = \"q\"\n+++\nHi", 3, 9, "has a time already"),
        ("+++\nnow = false\n+++\nHi", 2, 7, "`now` is true, or not there"),
        ("+++\ntimezone = \"Europe/Atlantis\"\n+++\nHi", 2, 12, "`Europe/Atlantis` is not a time zone"),
        ("+++\nlate = \"soon\"\n+++\nHi", 2, 8, "`soon` is not a late policy"),
        ("+++\nkey = \"\"\n+++\nHi", 2, 7, "the key is empty"),
        (
            "+++\nmedia = [{ file = \"nobody.jpg\" }]\n+++\nHi",
            2,
            19,
            "cannot read the media file `nobody.jpg`",
        ),
        ("+++\nmedia = [{ file = \"/\" }]\n+++\nHi", 2, 19, "it is not a file"),
        ("+++\nmedia = [{ alt = \"x\" }]\n+++\nHi", 2, 10, "missing field `file`"),
        ("+++\n[options.y]\na = \"b\"\n+++\nHi", 2, 10, "`y` is not a platform"),
        ("+++\n[options.x]\na = [1]\n+++\nHi", 3, 5, "not a list"),
        ("+++\nto = [\"x:acme\"]\nHi", 1, 1, "the front matter has no end"),
        ("---\nto: x\n---\nHi", 1, 1, "not written between `---`"),
        ("Hi\n\n--- y\nfor whom?", 3, 1, "`y` is not a platform"),
        ("Hi\n--- x:Acme!\nfor whom?", 2, 1, "`Acme!`"),
        ("Hi\n--- a dash\nmore", 2, 1, "`a dash` is not a platform"),
        ("Hi\n--- x\n\n--- bluesky\nYes", 2, 1, "no text below this heading"),
        ("Hi\n--- x:comment\nA\n--- x:comment\nB", 4, 1, "`x` has a first comment already"),
    ];
    for (text, line, column, words) in cases {
        let found = faults(text);
        let [(at_line, at_column, message)] = found.as_slice() else { panic!("{text}: {found:?}") };
        assert_eq!((*at_line, *at_column), (line, column), "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn all_faults_are_told_at_once_with_a_caret_and_a_remedy() {
    let told = read("+++\nto = [\"y:acme\"]\nlate = \"soon\"\n+++\nHi\n--- z\nHo").unwrap_err();
    assert_eq!(told.matches("news.md:").count(), 3, "{told}");
    assert!(
        told.contains("\n2 | to = [\"y:acme\"]\n  |       ^^^^^^^^\n  = write `platform:name`"),
        "{told}"
    );
    assert!(told.contains("news.md:6:1: `z` is not a platform"), "{told}");
}

#[test]
fn what_is_no_post_file_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("post.md");
    let refused = || PostFile::read(&path).unwrap_err();
    assert!(refused().to_string().contains("No such file"), "{}", refused());
    std::fs::write(&path, [0xff, 0xd8, 0xff]).unwrap();
    assert!(refused().to_string().contains("it is not text"), "{}", refused());
    std::fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
    assert!(refused().to_string().contains("more than 1048576 bytes"), "{}", refused());
    assert_eq!(refused().exit, 2);
}
