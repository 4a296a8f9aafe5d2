//! What tests of dockbell from the outside need.

pub mod deliver;
pub mod smtp;
