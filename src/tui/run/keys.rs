//! What comes from the keyboard, read on a thread that can be held.
//!
//! Another program may want the keyboard for a while: the user's editor, or the question what the terminal
//! can draw. Two readers would share its keys between them, so this one stops first and says that it has.
//! crossterm's own stream cannot: a new one waits for the old one's reader, which waits for a key.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossterm::event::{self, Event};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often the thread looks whether it is to stop. A key never waits for that.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Keys {
    inbox: UnboundedReceiver<io::Result<Event>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Somebody else wants the keyboard.
    wanted: bool,
    /// The thread reads nothing.
    held: bool,
    /// Nobody wants keys any more.
    over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Stands still while somebody else has the keyboard; false: it is over.
    fn may_read(&self) -> bool {
        let mut state = self.state();
        while state.wanted && !state.over {
            state.held = true;
            self.changed.notify_all();
            state = self.wait(state);
        }
        state.held = false;
        !state.over
    }
}

impl Keys {
    pub(super) fn read() -> Self {
        let (sender, inbox) = unbounded_channel();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            listen(&own, &sender);
            // Whoever waits for it to stand still need not any more.
            own.state().over = true;
            own.changed.notify_all();
        });
        Self { inbox, shared }
    }

    /// The next event; `None`: the terminal is gone, and no other will come.
    pub(super) async fn next(&mut self) -> Option<io::Result<Event>> {
        self.inbox.recv().await
    }

    /// Does something that reads the keyboard itself. What was pressed before comes afterwards.
    pub(super) fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let mut state = self.shared.state();
        state.wanted = true;
        while !state.held && !state.over {
            state = self.shared.wait(state);
        }
        drop(state);
        let done = work();
        self.shared.state().wanted = false;
        self.shared.changed.notify_all();
        done
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
    }
}

fn listen(shared: &Shared, sender: &UnboundedSender<io::Result<Event>>) {
    while shared.may_read() {
        let heard = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let is_over = heard.is_err();
        if sender.send(heard).is_err() || is_over {
            return;
        }
    }
}
