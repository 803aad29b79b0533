//! Puts the real parts together: select loop, effects carried out, shutdown.
