//! Master key, account data keys, sealing. Destroying a key is deletion.
