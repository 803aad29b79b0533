//! The Unix-socket protocol: messages, server, client.
