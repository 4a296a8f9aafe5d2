//! What `cargo xtask` and the tests against real programs share: real container engines.

pub mod docker;
