//! Minds the tasks that must run as long as the daemon does. Without one of them it would be up and
//! deaf: so the end of one, in whatever way, is the end of all, and a restart.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A task that must run as long as the daemon, and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fallen {
    pub(super) what: &'static str,
    pub(super) why: String,
}

/// Starts tasks, and notes the first that ends before it was told to.
pub(super) struct Mind {
    stopping: watch::Receiver<bool>,
    falls: Arc<watch::Sender<Option<Fallen>>>,
}

impl Mind {
    /// `stopping` turns true when tasks may end.
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { stopping, falls: Arc::new(watch::Sender::new(None)) }
    }

    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// For [`first`].
    pub(super) fn fallen(&self) -> watch::Receiver<Option<Fallen>> {
        self.falls.subscribe()
    }

    /// Starts a task; its end, its error or its panic before the stop is a fall.
    pub(super) fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> JoinHandle<()> {
        let (stopping, falls) = (self.stopping.clone(), Arc::clone(&self.falls));
        tokio::spawn(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            if *stopping.borrow() {
                return;
            }
            let why = match outcome {
                Ok(Ok(())) => "it had nothing more to do".to_owned(),
                Ok(Err(error)) => error,
                Err(panic) => format!("it panicked: {}", words_of(panic.as_ref())),
            };
            tracing::error!(task = what, %why, "a part of the daemon ended by itself");
            falls.send_if_modified(|first| {
                let is_first = first.is_none();
                if is_first {
                    *first = Some(Fallen { what, why });
                }
                is_first
            });
        })
    }
}

/// Resolves with the first fall; never, if all end in order.
pub(super) async fn first(mut fallen: watch::Receiver<Option<Fallen>>) -> Fallen {
    match fallen.wait_for(Option::is_some).await.map(|it| it.clone()) {
        Ok(Some(first)) => first,
        _ => std::future::pending().await,
    }
}

/// What a panic said.
fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_fails_or_panics_is_noted_with_its_words() {
        type End = fn() -> Result<(), String>;
        let ends: [(End, &str); 3] = [
            (|| Ok(()), "nothing more to do"),
            (|| Err("no more connections".to_owned()), "no more connections"),
            (|| panic!("index {} is out of bounds", 7), "panicked: index 7"),
        ];
        for (end, words) in ends {
            let (_stop, stopping) = watch::channel(false);
            let mind = Mind::new(stopping);
            let fallen = mind.fallen();
            let task = mind.spawn("public listener", async move { end() });
            let fall = first(fallen).await;
            assert_eq!(fall.what, "public listener");
            assert!(fall.why.contains(words), "{fall:?}");
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_end_after_the_stop_is_no_fall() {
        let (stop, stopping) = watch::channel(false);
        let mind = Mind::new(stopping);
        stop.send_replace(true);
        mind.spawn("housekeeping", async { Ok(()) }).await.unwrap();
        assert_eq!(*mind.fallen().borrow(), None);
    }
}
