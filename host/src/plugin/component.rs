//! Which files are read as components.

use std::borrow::Cow;
use std::fs::Metadata;
use std::path::PathBuf;

use super::BUNDLED;
use super::compile::Binary;
use super::error::Refused;
use crate::config::Sha256;

/// Largest component that is read, in bytes. CPython makes 18 MB; this leaves room for libraries beside it.
pub const LARGEST_COMPONENT: u64 = 256 << 20;

/// The bytes of a component and their digest, which is taken once however often it is wanted.
pub(super) struct Source {
    pub(super) bytes: Cow<'static, [u8]>,
    pub(super) digest: Sha256,
}

impl Source {
    fn new(bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        Self { digest: Sha256::of(&bytes), bytes }
    }
}

/// Reads a bundled component or a file.
pub(super) fn read(plugin: &str, component: &str) -> Result<Source, Refused> {
    if let Some(bundled) = BUNDLED.iter().find(|bundled| bundled.name == component) {
        return Ok(Source::new(bundled.component));
    }
    let path = PathBuf::from(component);
    let unreadable = |error| Refused::Unreadable { plugin: plugin.to_owned(), path: path.clone(), error };
    let refuse = |reason| Refused::NotAComponent { plugin: plugin.to_owned(), component: component.to_owned(), reason };
    if let Some(reason) = unfit(&std::fs::metadata(&path).map_err(unreadable)?) {
        return Err(refuse(reason));
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    match Binary::of(&bytes) {
        Binary::Other(what) => Err(refuse(what.to_owned())),
        Binary::Component | Binary::Module => Ok(Source::new(bytes)),
    }
}

/// Why a file is not even read: reading a pipe or a device may never end.
fn unfit(file: &Metadata) -> Option<String> {
    let length = file.len();
    if file.is_dir() {
        Some("it is a folder".to_owned())
    } else if !file.is_file() {
        Some("it is not a file but a pipe, a socket or a device".to_owned())
    } else if length > LARGEST_COMPONENT {
        Some(format!("it has {length} bytes, more than the {LARGEST_COMPONENT} that are read"))
    } else {
        None
    }
}
