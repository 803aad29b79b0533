//! Stand-ins for the networks, written from their documents.
