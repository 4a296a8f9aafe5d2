//! Which files are read as components.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::BUNDLED;
use super::compile::Binary;
use super::error::{Refused, outside};
use crate::config::Sha256;
use crate::files;

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
    let refuse = |reason| Refused::NotAComponent { plugin: plugin.to_owned(), component: outside(component), reason };
    let bytes = files::read(&path, LARGEST_COMPONENT).map_err(|error| match error.kind() {
        ErrorKind::IsADirectory => refuse("it is a folder".to_owned()),
        ErrorKind::InvalidInput | ErrorKind::FileTooLarge => refuse(error.to_string()),
        _ => unreadable(error),
    })?;
    match Binary::of(&bytes) {
        Binary::Other(what) => Err(refuse(what.to_owned())),
        Binary::Component | Binary::Module => Ok(Source::new(bytes)),
    }
}
