//! The file as written (`ConfigFile`) and the settings as used (`Config`).
