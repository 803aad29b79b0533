//! Keys, the daemon and time come in here; effects are carried out here. Decides nothing.
//!
//! One loop owns the state. Every question to the daemon is a task of its own that sends its answer back,
//! so that a slow answer never holds up a key. The screen is drawn when something changed, and ratatui
//! sends the cells that differ: over SSH a cursor that moves is some bytes.

mod access;
mod asking;
mod external;
mod files;
mod keys;
mod left;
mod terminal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyEventKind};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use ratatui_image::picker::Picker;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use self::asking::Asker;
use self::keys::Keys;
use self::terminal::Screen;
use super::app::{App, Place};
use super::effect::{Effect, Msg, Source};
use super::look::{Depth, Look};
use super::picture;
use super::remains::Remains;
use super::update::{farewell, not_done, update};
use super::view;
use crate::clock::Clock;
use crate::control::client::{Client, ClientError};

/// How often time passes.
const TICK: Duration = Duration::from_millis(500);
/// The shortest time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(40);
/// Longest wait for a small picture.
const THUMB: Duration = Duration::from_secs(5);
/// Longest wait for what was promised, on the way out.
const FAREWELL: Duration = Duration::from_secs(4);

/// Which daemon, and what the terminal is like.
pub struct Options {
    pub socket: PathBuf,
    /// What the command line and `NO_COLOR` allow.
    pub color: bool,
    pub zone: TimeZone,
    pub clock: Arc<dyn Clock>,
    /// Random: names this run in the keys of its drafts.
    pub session: String,
}

/// Why the console could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("the terminal does not work: {0}")]
    Terminal(#[from] std::io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It was confirmed, and the daemon never heard of it.
    #[error("not done, because the daemon could not be reached: {0}")]
    NotDone(String),
    /// The last resort failed as well.
    #[error("what was written could not be kept, neither by the daemon nor in a file: {0}")]
    NotKept(std::io::Error),
}

/// Shows the console until its user leaves it, or the terminal goes away.
pub async fn run(options: Options) -> Result<(), ConsoleError> {
    let client = Client::new(&options.socket)?;
    let look = Look::of(options.color, &|name: &str| std::env::var(name).ok());
    let mut screen = Screen::enter(look.depth == Depth::Sixteen)?;
    let size = screen.size()?;
    let place = Place { socket: options.socket.display().to_string(), session: options.session };
    let app = App::new(options.clock.now(), options.zone, size, look, place);
    let (sender, inbox) = unbounded_channel();
    let asker = Asker {
        client: client.clone(),
        socket: options.socket.clone(),
        sender: sender.clone(),
        pictures: Arc::new(Semaphore::new(1)),
    };
    if let Some((path, remains, more)) = left::find(&app.socket) {
        drop(sender.send(Msg::Left { path, remains: Box::new(remains), more }));
    }
    let watcher = tokio::spawn(watch(client, options.socket, sender));
    let all = Loop { app, asker, inbox, clock: options.clock, running: Vec::new(), picker: None };
    let ended = Box::pin(all.run(&mut screen)).await;
    watcher.abort();
    screen.leave();
    ended
}

/// Keeps the line to the daemon: tells when it is there, what happens, and when it is gone; for ever.
async fn watch(client: Client, socket: PathBuf, sender: UnboundedSender<Msg>) {
    let mut last = None;
    let mut wait = Duration::from_millis(200);
    loop {
        let gone = match follow(&client, &mut last, &sender, &mut wait).await {
            Ok(()) => ClientError::Broken("the daemon ended its stream".into()),
            Err(error) => error,
        };
        if sender.send(Msg::Down(access::trouble(&gone, &socket))).is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

async fn follow(
    client: &Client,
    last: &mut Option<u64>,
    sender: &UnboundedSender<Msg>,
    wait: &mut Duration,
) -> Result<(), ClientError> {
    use crate::control::requests::Events;
    let status = client.status().await?;
    let backlog = last.is_none().then_some(300);
    let mut events = client.events(&Events { backlog, after: *last, follow: true }).await?;
    *wait = Duration::from_millis(200);
    drop(sender.send(Msg::Up(Box::new(asking::cleaned(status)))));
    while let Some(event) = events.next().await {
        let event = event?;
        *last = Some(event.seq);
        if sender.send(Msg::Event(Box::new(asking::cleaned(event)))).is_err() {
            break;
        }
    }
    Ok(())
}

struct Loop {
    app: App,
    asker: Asker,
    inbox: UnboundedReceiver<Msg>,
    clock: Arc<dyn Clock>,
    /// Deeds under way; they are waited for on the way out.
    running: Vec<JoinHandle<()>>,
    /// What the terminal said of pictures, once it was asked.
    picker: Option<Picker>,
}

impl Loop {
    /// However it ends, and be it that the terminal takes no more: what is written is kept first.
    async fn run(mut self, screen: &mut Screen) -> Result<(), ConsoleError> {
        let ended = self.turn(screen).await;
        let kept = self.farewell().await;
        ended.and(kept)
    }

    async fn turn(&mut self, screen: &mut Screen) -> Result<(), ConsoleError> {
        let mut keys = Keys::read();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut drawn = tokio::time::Instant::now() - FRAME;
        let mut by_key = true;
        while !self.app.quit {
            let since = drawn.elapsed();
            if self.app.dirty && (by_key || since >= FRAME) {
                screen.draw(|frame| view::draw(frame, &mut self.app))?;
                self.app.dirty = false;
                drawn = tokio::time::Instant::now();
            }
            let rest = FRAME.saturating_sub(since);
            let msg = tokio::select! {
                biased;
                key = keys.next() => match key {
                    Some(Ok(event)) => Self::heard(event),
                    // The terminal is gone: an SSH line that dropped.
                    Some(Err(_)) | None => break,
                },
                msg = self.inbox.recv() => msg,
                _ = tick.tick() => Some(Msg::Tick(self.clock.now())),
                _ = terminate.recv() => break,
                _ = hang_up.recv() => break,
                () = tokio::time::sleep(rest), if self.app.dirty => None,
            };
            let Some(msg) = msg else { continue };
            by_key = matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Mouse(_) | Msg::Resize(..));
            self.take(msg, screen, &mut keys)?;
            // What else has come meanwhile belongs to the same frame.
            for _ in 0..64 {
                let Ok(msg) = self.inbox.try_recv() else { break };
                self.take(msg, screen, &mut keys)?;
            }
        }
        Ok(())
    }

    fn heard(event: Event) -> Option<Msg> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
            Event::Mouse(mouse) => Some(Msg::Mouse(mouse)),
            Event::Paste(text) => Some(Msg::Paste(text)),
            Event::Resize(width, height) => Some(Msg::Resize(width, height)),
            Event::Key(_) | Event::FocusGained | Event::FocusLost => None,
        }
    }

    fn take(&mut self, msg: Msg, screen: &mut Screen, keys: &mut Keys) -> Result<(), ConsoleError> {
        for effect in update(&mut self.app, msg) {
            if let Effect::Look { ticket, source } = effect {
                let picker = self.picker(screen, keys)?;
                self.look(ticket, source, picker);
                continue;
            }
            if let Effect::Thumb { source, cells } = effect {
                let picker = self.picker(screen, keys)?;
                self.thumb(source, cells, picker);
                continue;
            }
            if effect == Effect::Redraw {
                screen.anew()?;
                continue;
            }
            if let Effect::Editor(text) = effect {
                let result = keys.lend(|| screen.away(|| external::edit(&text)))?;
                drop(self.asker.sender.send(Msg::Edited(result)));
                self.app.dirty = true;
                continue;
            }
            let deed = matches!(effect, Effect::Do(_) | Effect::Leave(_) | Effect::Confirm { .. });
            let task = self.asker.perform(effect);
            if deed {
                self.running.retain(|it| !it.is_finished());
                self.running.push(task);
            }
        }
        Ok(())
    }

    /// What the terminal can do with pictures. It is asked before the first one, with all on the screen that
    /// is to be seen until then.
    fn picker(&mut self, screen: &mut Screen, keys: &mut Keys) -> Result<Picker, ConsoleError> {
        if let Some(known) = &self.picker {
            return Ok(known.clone());
        }
        screen.draw(|frame| view::draw(frame, &mut self.app))?;
        let picker = keys.lend(picture::ask_the_terminal);
        self.picker = Some(picker.clone());
        Ok(picker)
    }

    /// Reads a picture beside the loop.
    fn look(&self, ticket: u64, source: Source, picker: Picker) {
        let (width, height) = self.app.size;
        let size = Size::new(width.saturating_sub(4), height.saturating_sub(6));
        let (asker, depth) = (self.asker.clone(), self.app.look.depth);
        tokio::spawn(async move {
            let result = asker.drawn(source, picture::small, picker, size, depth).await;
            drop(asker.sender.send(Msg::Picture { ticket, result: Box::new(result) }));
        });
    }

    /// The same for a small one, which nobody waits for long: it is asked for while a cursor passes by.
    fn thumb(&self, source: Source, cells: (u16, u16), picker: Picker) {
        let size = Size::new(cells.0, cells.1);
        let (asker, depth) = (self.asker.clone(), self.app.look.depth);
        tokio::spawn(async move {
            let read = asker.drawn(source.clone(), picture::thumbnail, picker, size, depth);
            let result = tokio::time::timeout(THUMB, read).await;
            let result = result.unwrap_or_else(|_| Err("takes long to read; i shows it".to_owned()));
            drop(asker.sender.send(Msg::Thumb { source, cells, result: Box::new(result) }));
        });
    }

    /// Keeps what is written, and finishes what was promised; what the daemon does not take in time goes
    /// into a file.
    async fn farewell(mut self) -> Result<(), ConsoleError> {
        for effect in farewell(&mut self.app) {
            let task = self.asker.perform(effect);
            self.running.push(task);
        }
        let all = async {
            self.keep().await;
            for task in std::mem::take(&mut self.running) {
                drop(task.await);
            }
        };
        let late = tokio::time::timeout(FAREWELL, all).await.is_err();
        while let Ok(msg) = self.inbox.try_recv() {
            drop(update(&mut self.app, msg));
        }
        if let Some(remains) = Remains::of(&self.app) {
            left::put(&self.app.session, &remains).map_err(ConsoleError::NotKept)?;
        }
        // What is still on the wire after so long was not heard, for all that is known.
        let on_the_wire = self.app.promised.iter().filter(|it| late && it.sent).map(|it| it.what.clone());
        let open: Vec<String> = not_done(&self.app).into_iter().chain(on_the_wire).collect();
        if open.is_empty() { Ok(()) } else { Err(ConsoleError::NotDone(open.join("; "))) }
    }

    async fn keep(&mut self) {
        self.app.compose.submit = false;
        // An answer that is on its way, then what was written since; and once more.
        for _ in 0..3 {
            let wishes = if self.app.is_up() { self.app.compose.wishes(Timestamp::MAX) } else { Vec::new() };
            self.keeping(wishes);
            if self.app.compose.saving.is_none() && self.app.compose.uploads.is_empty() {
                return;
            }
            while self.app.compose.saving.is_some() || !self.app.compose.uploads.is_empty() {
                let Some(msg) = self.inbox.recv().await else { return };
                let effects = update(&mut self.app, msg);
                self.keeping(effects);
            }
        }
    }

    /// Of all that is wanted, what keeps the text.
    fn keeping(&self, effects: Vec<Effect>) {
        for effect in effects {
            if matches!(effect, Effect::Create(_) | Effect::Edit { .. } | Effect::Forget(_)) {
                drop(self.asker.perform(effect));
            }
        }
    }
}

/// The group that a file belongs to, by its number.
pub(super) fn group_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    path.ancestors().find_map(|it| std::fs::metadata(it).ok()).map(|it| it.gid())
}
