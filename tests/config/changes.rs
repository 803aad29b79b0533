//! Recurring posts, and what a reload makes of another file.

use super::*;

#[test]
fn a_recurring_post_is_read_printed_and_pointed_at() {
    let base = "[[recurring]]\nname = \"a\"\ncron = [\"0 9 * * *\"]\naccounts = [\"bluesky:acme\"]\nbody = \"Hi.\"\n";
    let with = |lines: &str| format!("{base}{lines}");
    let plain = &good(base).recurring[0];
    assert_eq!(
        (plain.until, plain.count, plain.parts.as_slice()),
        (None, None, ["Hi.".to_owned()].as_slice())
    );
    // A date is a date, with quotes or without.
    for until in ["2027-12-31", "\"2027-12-31\""] {
        let it = &good(&with(&format!("until = {until}\n"))).recurring[0];
        assert_eq!(it.until.unwrap().to_string(), "2027-12-31");
    }
    let rich = with(
        "timezone = \"Europe/Berlin\"\nthread = [\"There.\"]\ncomment = \"C\"\nuntil = 2027-12-31\ncount = 3\n\
         jitter = \"5m\"\nlate = \"always\"\n[recurring.options.x]\nreply_settings = \"following\"\n",
    );
    let rich = good(&rich);
    assert_eq!(good(&rich.print()), rich, "{}", rich.print());
    check(&with("until = \"soon\"\n"), (6, 9), "`soon` is not a date", "2026-12-31");
    check(&with("until = 2027-12-31T10:00:00\n"), (6, 9), "is not a date", "2026-12-31");
    check(&with("count = 0\n"), (6, 9), "`0` is not a number of runs", "1 or more");
    check(&with("late = \"never\"\n"), (6, 8), "late policy", "");
    check(&with("thread = [\"\"]\n"), (6, 11), "the text is empty", "");
    check(&with("options = { myspace = {} }\n"), (6, 13), "not a platform", "recurring.options.x");
    check(&with(base), (7, 8), "two recurring posts named `a`", "rename");
    check(&base.replace("body = \"Hi.\"\n", ""), (1, 1), "no `body`", "add `body = ");
    check(&base.replace("0 9 *", "0 99 *"), (3, 9), "hour `99` is wrong", "0-23");
    // The same text again is no fault; that X refuses it is said.
    assert_eq!(good(base).cautions(), Vec::<String>::new());
    let to_x = base.replace("bluesky:acme", "x:acme");
    assert!(good(&to_x).cautions()[0].contains("X refuses"), "{:?}", good(&to_x).cautions());
    assert_eq!(good(&format!("{to_x}count = 1\n")).cautions(), Vec::<String>::new());
    assert_eq!(changed(&good(base), &good(&to_x)).reload, ["[[recurring]] a"]);
}

#[test]
fn a_reload_knows_what_it_can_take_up_and_what_needs_a_restart() {
    let old = good("[[queue]]\nname = \"a\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:acme\"]\n");
    assert!(changed(&old, &old).is_empty());
    let new = good(
        "[server]\nlisten = \"127.0.0.1:1\"\ncontrol_socket = \"/s\"\n[storage]\ndata_dir = \"/d\"\n[keys]\nmaster = { file = \"k\" }\n\
         [defaults]\nlate = \"always\"\n[platforms.x]\nclient_id = \"a\"\n[[queue]]\nname = \"b\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:acme\"]\n\
         [engine]\nsettle = \"1m\"\n[limits]\nper_address = 2\n",
    );
    let changes = changed(&old, &new);
    assert_eq!(
        changes.restart,
        [
            "[server] listen",
            // With no `public_url` the listener's own address is the public one, so that follows it.
            "[server] public_url",
            "[server] control_socket",
            "[storage] data_dir",
            "[keys] master",
            "[limits]"
        ]
    );
    assert_eq!(
        changes.reload,
        ["[defaults] late", "[platforms.x]", "[[queue]] a", "[[queue]] b", "[engine]"]
    );
}

#[test]
fn a_version_of_linkedins_that_its_page_does_not_name_is_a_word_worth() {
    let cautions =
        |version: &str| good(&format!("[platforms.linkedin]\nlinkedin_version = \"{version}\"\n")).cautions();
    for listed in ["202508", "202603", "202608"] {
        assert_eq!(cautions(listed), Vec::<String>::new(), "{listed}");
    }
    for odd in ["202604", "202512", "203001"] {
        let told = cautions(odd).join(" ");
        assert!(told.contains(odd) && told.contains("202608"), "{told}");
    }
}
