//! What tests of dockbell from the outside need: scripted engines, scripted mail servers, the program as a process.

pub mod deliver;
pub mod engine;
pub mod smtp;
