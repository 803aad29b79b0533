//! The one check of a post for its targets: problems, lengths, preview. Pure.
