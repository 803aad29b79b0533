//! Posts that are written by two impatient people at the command line while the daemon is killed
//! again and again. Nobody gives up: a command whose daemon died is repeated with the same key until
//! it is answered.

use std::fmt;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::dice::Rng;
use crate::e2e::{House, PATIENCE, Process, Ran};

/// How many write at once.
const WRITERS: usize = 2;
/// Of a hundred kills, this many come while the daemon is still starting.
const WHILE_STARTING: u64 = 15;
/// TikTok takes few films of a creator in a minute, and few in a day; every so manieth post is one.
const PER_FILM: usize = 15;
/// Nobody repeats a command longer than this.
const STUBBORN: Duration = Duration::from_mins(10);

/// A post as somebody wants it.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) key: String,
    pub(crate) to: Vec<String>,
    /// More than one is a thread.
    pub(crate) parts: Vec<String>,
    pub(crate) picture: bool,
    /// A film, for Pages, Instagram and TikTok: the networks' class with something prepared before.
    pub(crate) reel: bool,
    /// Due in a second or two instead of at once.
    pub(crate) ahead: bool,
}

impl Wish {
    /// One post of `parts` parts, all of whose texts hold `key`, which is unique.
    pub(crate) fn new(key: &str, to: &[&str], parts: usize) -> Self {
        let text = |n: usize| match parts {
            1 => format!("Loaf {key} is out of the oven"),
            _ => format!("Loaf {key}, slice {} of {parts}", n + 1),
        };
        Self {
            key: key.to_owned(),
            to: to.iter().map(|it| (*it).to_owned()).collect(),
            parts: (0..parts).map(text).collect(),
            picture: false,
            reel: false,
            ahead: false,
        }
    }

    #[allow(dead_code)] // each test file uses its part
    pub(crate) fn with_picture(self) -> Self {
        Self { picture: true, ..self }
    }

    #[allow(dead_code)] // each test file uses its part
    pub(crate) fn with_film(self) -> Self {
        Self { reel: true, ..self }
    }

    /// `count` posts of every kind over `accounts`.
    pub(crate) fn many(chance: &mut Rng, name: &str, count: usize, accounts: &[&str]) -> Vec<Self> {
        let mut all = Vec::new();
        for n in 0..count {
            let mut to = vec![pick(chance, accounts)];
            let film = accounts.contains(&"linkedin:acme-bakery") && n % PER_FILM == PER_FILM / 2;
            if film {
                to = vec!["tiktok:acme"];
            }
            let other = pick(chance, accounts);
            // What Instagram takes, a picture or a film, others may not.
            let fits = [to[0], other].iter().filter(|it| it.starts_with("instagram")).count() != 1;
            if chance.chance(10) && other != to[0] && fits && !film {
                to.push(other);
            }
            let parts = [1, 1, 1, 2, 3][usize::try_from(chance.below(5)).unwrap()];
            let only = |network: &str| to.iter().all(|it| it.starts_with(network));
            let threads = |it: &&str| it.starts_with("x:") || it.starts_with("bluesky");
            let parts = if to.iter().all(threads) { parts } else { 1 };
            let mut wish = Self::new(&format!("{name}-{n}"), &to, parts);
            wish.reel = film || (only("facebook") || only("instagram")) && chance.chance(50);
            wish.picture =
                (only("bluesky") || only("linkedin")) && chance.chance(30) || only("instagram") && !wish.reel;
            wish.ahead = chance.chance(30);
            all.push(wish);
        }
        all
    }

    fn command<'a>(&'a self, picture: &'a str, film: &'a str) -> Vec<&'a str> {
        let mut args = vec!["post", "create"];
        args.extend(self.parts.iter().map(String::as_str));
        args.extend(self.to.iter().flat_map(|it| ["--to", it.as_str()]));
        args.extend(if self.ahead { &["--at", "+2s"][..] } else { &["--now"] });
        if self.picture {
            args.extend(["--media", picture, "--alt", "A loaf, drawn as a gradient"]);
        }
        if self.reel {
            args.extend(["--media", film]);
            for (network, option) in [
                ("facebook", "facebook.format=reel"),
                ("instagram", "instagram.format=reel"),
                ("tiktok", "tiktok.mode=direct"),
                ("tiktok", "tiktok.privacy=PUBLIC_TO_EVERYONE"),
                ("tiktok", "tiktok.consent=music"),
            ] {
                if self.to.iter().any(|it| it.starts_with(network)) {
                    args.extend(["--option", option]);
                }
            }
        }
        args.extend(["--key", &self.key, "--json"]);
        args
    }
}

pub(crate) fn pick<T: Copy>(chance: &mut Rng, from: &[T]) -> T {
    from[usize::try_from(chance.below(from.len() as u64)).unwrap()]
}

/// Open while a daemon answers, so that nobody asks an empty house.
#[derive(Default)]
pub(crate) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn set(&self, open: bool) {
        *self.0.lock().unwrap() = open;
        self.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.lock().unwrap();
        let (open, _) = self.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap();
        assert!(*open, "no daemon came back");
    }
}

/// Draws the picture that posts with one show, and the film of the reels.
pub(crate) fn draw(house: &House) {
    std::fs::write(house.path("loaf.mp4"), super::film::film(4)).unwrap();
    image::RgbImage::from_pixel(64, 36, image::Rgb([200, 120, 40])).save(house.path("loaf.png")).unwrap();
}

/// Writes one post, as often as it takes. Gives its id.
fn write(house: &House, gate: &Gate, wish: &Wish) -> String {
    let picture = house.path("loaf.png");
    let film = house.path("loaf.mp4");
    let args = wish.command(picture.to_str().unwrap(), film.to_str().unwrap());
    let began = Instant::now();
    loop {
        gate.pass();
        let ran = house.run(&args);
        if ran.code == Some(0) {
            return ran.json()["id"].as_str().unwrap().to_owned();
        }
        assert!(daemon_died(&ran) && began.elapsed() < STUBBORN, "{ran:?}");
    }
}

fn daemon_died(ran: &Ran) -> bool {
    let line = ran.err.lines().rfind(|it| it.starts_with('{')).unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    ["unreachable", "broken"].iter().any(|it| answer["error"]["code"] == *it)
}

fn write_all(house: &House, gate: &Gate, wishes: &Mutex<Receiver<&Wish>>) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let next = wishes.lock().unwrap().recv();
        let Ok(wish) = next else { return ids };
        ids.push(write(house, gate, wish));
    }
}

/// Writes all of `wishes` to a daemon that lives. Gives their ids.
pub(crate) fn write_down(house: &House, wishes: &[Wish]) -> Vec<String> {
    let gate = Gate::default();
    gate.set(true);
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|_| scope.spawn(|| write_all(house, &gate, &receiver))).collect();
        for it in wishes {
            sender.send(it).unwrap();
        }
        drop(sender);
        writers.into_iter().flat_map(|it| it.join().unwrap()).collect()
    })
}

/// What a storm leaves.
pub(crate) struct Aftermath {
    /// The daemon that was started last and lives.
    pub(crate) daemon: Process,
    /// When it was ready.
    pub(crate) ready: Instant,
    /// The posts that were acknowledged.
    pub(crate) ids: Vec<String>,
    pub(crate) figures: Figures,
}

/// What happened during a storm.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) kills: usize,
    /// Of these, before the daemon was ready.
    pub(crate) while_starting: usize,
    /// Deliveries that a daemon found in the middle of a publishing call when it started.
    pub(crate) in_a_call: usize,
    /// Those of Facebook among them, by their ids.
    pub(crate) on_facebook: Vec<String>,
}

impl Figures {
    fn count(&mut self, log: &str) {
        self.in_a_call += found_in_a_call(log);
        let ours = log.lines().filter(|it| it.contains(IN_A_CALL) && it.contains("account=facebook:"));
        let id = |it: &str| Some(it.split("delivery=").nth(1)?.split_whitespace().next()?.to_owned());
        self.on_facebook.extend(ours.map(|it| id(it).unwrap()));
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, while_starting, in_a_call, on_facebook } = self;
        let of_facebook = on_facebook.len();
        write!(
            f,
            "{kills} kills ({while_starting} while it started), {in_a_call} calls interrupted, \
             {of_facebook} of them on Facebook"
        )
    }
}

/// Writes `wishes` while the daemon is killed `kills` times at moments that `chance` chooses.
/// `trouble` is called before each start.
pub(crate) fn storm(
    house: &House,
    chance: &mut Rng,
    wishes: &[Wish],
    kills: usize,
    mut trouble: impl FnMut(&mut Rng),
) -> Aftermath {
    let gate = Gate::default();
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|_| scope.spawn(|| write_all(house, &gate, &receiver))).collect();
        let mut waiting = wishes.iter();
        let mut figures = Figures { kills, ..Figures::default() };
        let mut start_takes = Duration::from_secs(1);
        for n in 1..=kills {
            let written = wishes.len() - waiting.len();
            let due = wishes.len() * n / kills;
            for it in waiting.by_ref().take(due - written) {
                sender.send(it).unwrap();
            }
            trouble(chance);
            let began = Instant::now();
            let daemon = house.start(&["serve", "-v"]);
            let log = daemon.err.clone();
            let is_ready = |log: &str| log.contains(" ready ");
            if chance.chance(WHILE_STARTING) {
                log.wait(part(chance, start_takes), is_ready);
                figures.while_starting += 1;
            } else {
                assert!(log.wait(PATIENCE, is_ready), "kill {n}: {}", log.text());
                start_takes = began.elapsed();
                gate.set(true);
                // Nothing is awaited here: this is the moment of the kill.
                log.wait(part(chance, start_takes * 2 + Duration::from_millis(400)), |_| false);
                gate.set(false);
            }
            daemon.kill();
            figures.count(&log.text());
        }
        drop(sender);
        let daemon = house.start(&["serve", "-v"]);
        assert!(daemon.err.wait(PATIENCE, |log| log.contains(" ready ")), "{}", daemon.err.text());
        let ready = Instant::now();
        figures.count(&daemon.err.text());
        gate.set(true);
        let ids = writers.into_iter().flat_map(|it| it.join().unwrap()).collect();
        Aftermath { daemon, ready, ids, figures }
    })
}

const IN_A_CALL: &str = "found in the middle of a call";

/// How many deliveries a daemon found on the wire when it started.
pub(crate) fn found_in_a_call(log: &str) -> usize {
    log.matches(IN_A_CALL).count()
}

fn part(chance: &mut Rng, whole: Duration) -> Duration {
    Duration::from_micros(chance.below(u64::try_from(whole.as_micros()).unwrap().max(1)))
}
