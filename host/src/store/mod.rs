//! What must outlive the moment: for now the open groups and when they are due, in memory.

pub mod groups;
