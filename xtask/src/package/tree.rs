//! The files of a package before it is packed.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Files by their paths, with their modes.
#[derive(Default)]
pub(super) struct Tree(BTreeMap<String, (u32, Vec<u8>)>);

impl Tree {
    /// Adds a file that everybody may read.
    pub(super) fn file(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), (0o644, bytes.into()));
    }

    /// Adds what is run.
    pub(super) fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
        self.script(path, bytes);
        Ok(())
    }

    /// Adds what is run, from its content.
    pub(super) fn script(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.to_owned(), (0o755, bytes.into()));
    }

    /// Returns how many bytes the files have together.
    pub(super) fn bytes(&self) -> usize {
        self.0.values().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Writes all files into a folder, with the same modes whatever the umask is.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        for (path, (mode, bytes)) in &self.0 {
            let place = folder.join(path);
            let above: Vec<&Path> = place.ancestors().skip(1).take_while(|above| above.starts_with(folder)).collect();
            for folder in above.into_iter().rev() {
                fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
                fs::set_permissions(folder, Permissions::from_mode(0o755))?;
            }
            fs::write(&place, bytes).with_context(|| format!("cannot write `{}`", place.display()))?;
            fs::set_permissions(&place, Permissions::from_mode(*mode))?;
        }
        Ok(())
    }
}
