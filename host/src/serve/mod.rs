//! What a running dockbell answers to others.

pub mod control;
