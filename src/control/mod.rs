//! The Unix-socket protocol: HTTP/1.1 and JSON under `/v1`, spoken by the command line and the console.
//!
//! Read in this order: [`messages`] (what is answered) and [`requests`] (what may be asked), [`api`] (what
//! the daemon must be able to do, one method per operation), then `routes`, which ties the two together, and
//! [`server`] and [`client`], which carry the one to the other over a [`socket`]. How anything is done is
//! not known here.

pub mod api;
pub mod client;
pub mod messages;
pub mod openapi;
pub mod preview;
pub mod requests;
mod routes;
pub mod server;
pub mod shape;
pub mod socket;
pub mod timeline;
pub mod words;
