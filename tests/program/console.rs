//! The console in a terminal of its own, against a daemon and the stand-in networks: the life of a post,
//! and two deaths while one is written.
//!
//! Nothing sleeps: a key is pressed, and what must be seen is waited for.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::e2e::{House, PATIENCE, binary};

/// What stands on the screen, and whether the program has ended.
type Seen = (vt100::Parser, bool);

struct Console {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    _terminal: Box<dyn MasterPty + Send>,
}

impl Console {
    fn open(house: &House, size: (u16, u16)) -> Self {
        Self::open_with(house, size, &[])
    }

    fn open_with(house: &House, (cols, rows): (u16, u16), more: &[(&str, &str)]) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let terminal = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(binary());
        command.env_clear();
        command.cwd(house.dir.path());
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")] {
            command.env(name, value);
        }
        command.env("HOME", house.dir.path());
        for (name, value) in more {
            command.env(name, value);
        }
        let child = terminal.slave.spawn_command(command).unwrap();
        drop(terminal.slave);
        let mut screen = terminal.master.try_clone_reader().unwrap();
        let keys = terminal.master.take_writer().unwrap();
        let size = |n| NonZeroU16::new(n).unwrap();
        let parser = vt100::Parser::new(size(rows), size(cols), 0);
        let seen = Arc::new((Mutex::new((parser, false)), Condvar::new()));
        let own = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                own.0.lock().unwrap().0.process(&buffer[..n]);
                own.1.notify_all();
            }
            own.0.lock().unwrap().1 = true;
            own.1.notify_all();
        });
        Self { seen, keys, child, _terminal: terminal.master }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until this is to be seen.
    #[track_caller]
    fn sees(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    #[track_caller]
    fn until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let seen = self.seen.0.lock().unwrap();
        let waits = |it: &mut Seen| !it.1 && !fits(&it.0.screen().contents());
        let (seen, _) = self.seen.1.wait_timeout_while(seen, PATIENCE, waits).unwrap();
        let screen = seen.0.screen().contents();
        assert!(fits(&screen), "`{what}` is not to be seen:\n{screen}");
        screen
    }

    /// Presses keys, then waits for what they bring.
    #[track_caller]
    fn then(&mut self, keys: &str, text: &str) -> String {
        self.press(keys);
        self.sees(text)
    }

    /// Waits for its end; true if it was an orderly one.
    #[track_caller]
    fn ended(mut self) -> bool {
        let seen = self.seen.0.lock().unwrap();
        let (seen, _) = self.seen.1.wait_timeout_while(seen, PATIENCE, |it| !it.1).unwrap();
        assert!(seen.1, "it does not end:\n{}", seen.0.screen().contents());
        drop(seen);
        self.child.wait().unwrap().success()
    }

    fn kill(mut self) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Already over is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const ESC: &str = "\x1b";
const BACKTAB: &str = "\x1b[Z";
const CTRL_S: &str = "\x13";

fn quick() -> House {
    House::with("[engine]\nlane_spacing = \"100ms\"\npoll_scale = 0.02\n")
}

#[test]
fn a_post_lives_its_whole_life_on_a_small_terminal() {
    let house = quick();
    let daemon = house.serve();
    let mut console = Console::open(&house, (80, 24));
    console.sees("No account is connected yet");

    // Connect, through the browser.
    console.then("5", "n connects one");
    console.then("n", "Connect an account on");
    let before = sendoff::platforms::ALL.iter().take_while(|it| it.name().as_str() != "x");
    // LinkedIn has two lines: a member, an organization.
    let lines: usize = before.map(|it| if it.name().as_str() == "linkedin" { 2 } else { 1 }).sum();
    console.press(&"j".repeat(lines));
    let screen = console.then("\r", "/connect/");
    let link =
        screen.split_whitespace().find(|it| it.contains("/connect/")).unwrap().trim_matches('│').to_owned();
    let mut browser = house.browser();
    let consent = browser.open(&link);
    let back = browser.decide(&consent, &[("decision", "allow")]);
    assert_eq!(browser.land(&back).0, 303);
    console.sees("Nothing is stored before you say so");
    assert_eq!(house.accounts(), [""; 0]);
    console.then("y", "connected x:acme");
    assert_eq!(house.accounts(), ["x:acme"]);

    // Compose and schedule.
    console.then("4", "nobody yet");
    console.then("Fresh bread at seven", " kept ─┐");
    console.then(&format!("{BACKTAB}\r"), "Who gets it?");
    console.then(" \r", "of 280 weighted characters");
    console.then("\t\t\t\t\r", "at a time");
    console.then("\r", "tomorrow 9am");
    console.then("+2s\r", "at +2s");
    console.then(CTRL_S, "scheduled for");
    console.sees("after its time");
    assert_eq!(house.posts().len(), 1);

    // Delete it where it is live, too.
    console.then("x", "everywhere");
    console.then("\r", "Delete the post?");
    let receipt = console.then("y", "receipt rcp_");
    assert!(receipt.contains("done"), "{receipt}");
    assert_eq!(house.posts().len(), 0);

    // Disconnect, and leave.
    console.press("\r");
    console.then("5", "x:acme");
    console.then("D", "Disconnect x:acme?");
    console.then("y", "receipt rcp_");
    assert_eq!(house.accounts(), [""; 0]);
    console.press("\r");
    console.press("q");
    assert!(console.ended());
    daemon.stop();
}

#[test]
fn what_is_written_outlives_the_daemon_and_the_console() {
    let house = quick();
    let daemon = house.serve();
    let mut console = Console::open(&house, (80, 24));
    console.then("4", "nobody yet");
    console.then("Half a thought", " kept ─┐");
    daemon.kill();
    console.sees("no daemon: your text stays on this screen");
    console.then(", and the rest", "and the rest");
    let daemon = house.serve();
    console.sees(" kept ─┐");
    console.kill();
    let mut console = Console::open(&house, (80, 24));
    console.sees("Drafts (1)");
    console.then("\r", "Half a thought, and the rest");
    // One draft, whatever was cut off on the way.
    assert_eq!(house.posts().len(), 1);
    // Apart, or it would be Alt-Q.
    console.then(ESC, "Due next");
    console.press("q");
    assert!(console.ended());
    daemon.stop();
}

/// The pages that wait in files of this user's.
fn left(house: &House) -> Vec<std::path::PathBuf> {
    let folder = house.dir.path().join(".local/state/sendoff");
    std::fs::read_dir(folder).map(|it| it.map(|it| it.unwrap().path()).collect()).unwrap_or_default()
}

fn signal(console: &Console, signal: Signal) {
    let pid = i32::try_from(console.child.process_id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn what_no_daemon_keeps_waits_in_a_file_for_the_next_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = quick();
    let mut daemon = house.serve();
    for (n, end) in ["q", "\x03", "hang-up"].into_iter().enumerate() {
        let mut console = Console::open(&house, (80, 24));
        console.sees("ready");
        console.then("n", "nobody yet");
        console.then("Half a thought", " kept ─┐");
        daemon.kill();
        console.sees("no daemon: your text stays on this screen");
        console.then(", and the rest", " changed ─┐");
        match end {
            "q" => {
                console.then(ESC, "The daemon does not answer.");
                console.then("q", "thought, and the rest” is not kept yet");
                console.press("y");
            }
            "hang-up" => signal(&console, Signal::HUP),
            key => console.press(key),
        }
        assert!(console.ended(), "{end:?}");
        let [file] = left(&house).try_into().unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        daemon = house.serve();
        let mut console = Console::open(&house, (80, 24));
        console.sees("Go on with what was not kept?");
        console.then("y", " kept ─┐");
        console.sees("Half a thought, and the rest");
        console.press(ESC);
        console.sees(&format!("Drafts ({})", n + 1));
        console.press("q");
        assert!(console.ended());
        assert!(left(&house).is_empty(), "the daemon has it");
        let posts = house.posts();
        assert_eq!(posts.len(), n + 1, "one draft, whatever was cut off: {posts:?}");
        assert!(posts.iter().all(|it| it["body"] == "Half a thought, and the rest"), "{posts:?}");
    }
    daemon.stop();
}

#[test]
fn a_daemon_that_stands_still_loses_nothing_either() {
    let house = quick();
    let daemon = house.serve();
    let mut console = Console::open(&house, (80, 24));
    console.sees("ready");
    console.then("n", "nobody yet");
    console.then("Half a thought", " kept ─┐");
    daemon.signal(Signal::STOP);
    console.then(", and the rest", " changed ─┐");
    console.then(ESC, "Due next");
    console.then("q", "is not kept yet");
    console.press("y");
    assert!(console.ended());
    daemon.signal(Signal::CONT);
    assert_eq!(left(&house).len(), 1);
    daemon.stop();
}

#[test]
fn a_cancel_that_was_confirmed_is_done_when_the_line_drops() {
    let house = quick();
    let daemon = house.serve();
    house.connect("x", "acme");
    house.run(&["post", "create", "Bread", "--to", "x:acme", "--at", "tomorrow 9am", "--json"]).json();
    let mut console = Console::open(&house, (80, 24));
    console.sees("Due next (1)");
    console.then("c", "Cancel?");
    console.then("y", "u takes it back");
    signal(&console, Signal::HUP);
    assert!(console.ended());
    assert_eq!(house.posts()[0]["deliveries"][0]["state"], "cancelled");
    daemon.stop();
}

#[test]
fn the_text_goes_to_an_editor_of_ones_own_and_comes_back() {
    let house = quick();
    let daemon = house.serve();
    // It is a program of the terminal, too: what it draws is drawn over again.
    let editor =
        "sh -c 'printf \"\\033[2J\\033[5;5Hmess\" && printf \"%s, and more\" \"$(cat \"$0\")\" >\"$0\"'";
    let mut console = Console::open_with(&house, (80, 24), &[("EDITOR", editor), ("PATH", "/usr/bin:/bin")]);
    console.then("4", "nobody yet");
    console.then("Half", "Half");
    let screen = console.then("\x1be", "Half, and more");
    assert!(screen.contains("1 Overview") && !screen.contains("mess"), "{screen}");
    // The keys are the console's again.
    console.then("!", "Half, and more!");
    console.then(ESC, "Due next");
    console.press("q");
    assert!(console.ended());
    assert_eq!(house.posts()[0]["body"], "Half, and more!");
    daemon.stop();
}

#[test]
fn a_terminal_that_hangs_up_leaves_the_text_with_the_daemon() {
    let house = quick();
    let daemon = house.serve();
    let mut console = Console::open(&house, (80, 24));
    console.then("4", "nobody yet");
    // Gone before the second in which it would be kept is over.
    console.then("A line that dropped", "A line that dropped");
    let pid = i32::try_from(console.child.process_id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    assert!(console.ended());
    assert_eq!(house.posts()[0]["body"], "A line that dropped");
    daemon.stop();
}

#[test]
fn without_a_daemon_the_console_says_how_to_start_one_and_finds_it_by_itself() {
    let house = quick();
    let mut console = Console::open(&house, (100, 30));
    console.sees("The daemon does not answer.");
    console.sees("sendoff serve");
    let daemon = house.serve();
    console.sees("● ready");
    console.press("q");
    assert!(console.ended());
    daemon.stop();
}
