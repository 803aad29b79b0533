//! The console without a terminal and without a daemon: messages in, effects and pictures out.

mod deeds;
mod random;
mod scenes;
mod screens;
mod writing;
