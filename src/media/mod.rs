//! Media files: sniffing, probing, storing under random names.
