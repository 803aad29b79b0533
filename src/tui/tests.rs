//! The console without a terminal and without a daemon: messages in, effects and pictures out.

mod deeds;
mod leaving;
mod random;
mod room;
mod scenes;
mod screens;
mod writing;
