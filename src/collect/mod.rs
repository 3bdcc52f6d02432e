//! Foreign sources as events.
