//! Disconnect, erase, export: plans as data, carried out by the daemon.
