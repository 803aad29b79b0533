//! Plain tables of public facts. No logic.
