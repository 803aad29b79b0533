//! OAuth conversations and token refresh.
