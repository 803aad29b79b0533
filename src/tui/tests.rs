//! The console without a terminal and without a daemon: messages in, effects and pictures out.

mod back;
mod deeds;
mod leaving;
mod pictures;
mod random;
mod room;
mod scenes;
mod screens;
mod writing;
