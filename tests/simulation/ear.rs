//! Hears what the program itself calls an error.

use std::cell::RefCell;

thread_local! {
    /// What the program itself called an error of its own.
    static ERRORS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Hears the errors that the engine and the ledger log: an illegal move is one, and release builds
/// do nothing but log it.
pub(crate) struct Ear;

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR && metadata.target().starts_with("sendoff")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Words(String);
        impl tracing::field::Visit for Words {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                use std::fmt::Write as _;
                let _ = write!(self.0, "{field}={value:?} ");
            }
        }
        let mut words = Words(String::new());
        event.record(&mut words);
        ERRORS.with(|it| it.borrow_mut().push(words.0));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Nothing was heard since this was asked last.
pub(crate) fn no_errors() {
    let said = ERRORS.with(|it| std::mem::take(&mut *it.borrow_mut()));
    assert!(said.is_empty(), "the program logged an error of its own: {said:?}");
}

/// Another world begins.
pub(crate) fn forget() {
    ERRORS.with(|it| it.borrow_mut().clear());
}
