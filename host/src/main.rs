//! The program `dockbell`.

fn main() {}
