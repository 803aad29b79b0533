//! The command line: one file per command, and how errors and tables look.
