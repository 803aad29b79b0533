//! The only room that names redb.
