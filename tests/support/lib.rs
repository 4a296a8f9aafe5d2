//! What the tests need: scripted engines, scripted mail servers, guests in WAT.

pub mod engine;
