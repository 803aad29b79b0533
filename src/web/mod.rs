//! The public listener: connect, callbacks, health. Nothing else answers.
