//! Which file systems the store may lie on.

use std::path::Path;

use super::StoreError;
use super::directory::unusable;
use super::open::Notice;

/// What is known of a kind of file system by its number in `statfs(2)`.
enum Kind {
    /// Over a network: SQLite's write-ahead log needs memory that all its users share, and locks that hold.
    Network(&'static str),
    /// Gone after a restart of the machine.
    Memory(&'static str),
    /// The layer of a container: gone with it.
    Layer(&'static str),
    /// Through another program, which may be a network file system.
    Relayed(&'static str),
}

/// The numbers are those of `statfs(2)` and `linux/magic.h`.
fn kind(number: u32) -> Option<Kind> {
    Some(match number {
        0x6969 => Kind::Network("NFS"),
        0x517b => Kind::Network("SMB"),
        0xff53_4d42 | 0xfe53_4d42 => Kind::Network("CIFS"),
        0x0102_1997 => Kind::Network("9P"),
        0x00c3_6400 => Kind::Network("Ceph"),
        0x5346_414f | 0x6b41_4653 => Kind::Network("AFS"),
        0x0bd0_0bd0 => Kind::Network("Lustre"),
        0x0116_1970 => Kind::Network("GFS2"),
        0x7461_636f => Kind::Network("OCFS2"),
        0x7375_7245 => Kind::Network("Coda"),
        0x564c => Kind::Network("NCP"),
        0x0102_1994 => Kind::Memory("tmpfs"),
        0x8584_58f6 => Kind::Memory("ramfs"),
        0x794c_7630 => Kind::Layer("overlayfs"),
        0x6573_5546 => Kind::Relayed("FUSE"),
        _ => return None,
    })
}

/// Refuses what the store cannot promise anything on, unless `force`; says what is doubtful.
pub(super) fn judge(path: &Path, force: bool) -> Result<Option<Notice>, StoreError> {
    let about = rustix::fs::statfs(path).map_err(|error| unusable(path, &error.into()))?;
    // The type of the field differs between architectures; the numbers have 32 bits everywhere.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    verdict(path, about.f_type as u32, force)
}

fn verdict(path: &Path, number: u32, force: bool) -> Result<Option<Notice>, StoreError> {
    let path = path.to_owned();
    match kind(number) {
        Some(Kind::Network(name)) if !force => Err(StoreError::Directory {
            path,
            problem: format!("it lies on a network file system ({name}), where a database can break"),
            hint: "name a local directory with `--state`".to_owned(),
        }),
        Some(Kind::Network(name) | Kind::Relayed(name)) => Ok(Some(Notice::Doubtful { path, filesystem: name })),
        Some(Kind::Memory(name) | Kind::Layer(name)) => Ok(Some(Notice::Fleeting { path, filesystem: name })),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_unless_forced_and_fleeting_ones_are_named() {
        let path = Path::new("/srv/state");
        let refused = verdict(path, 0x6969, false).unwrap_err().to_string();
        assert!(refused.contains("(NFS)") && refused.contains("`/srv/state`\nhint: "), "{refused}");
        assert!(matches!(verdict(path, 0x6969, true), Ok(Some(Notice::Doubtful { filesystem: "NFS", .. }))));
        assert!(matches!(verdict(path, 0x0102_1994, false), Ok(Some(Notice::Fleeting { filesystem: "tmpfs", .. }))));
        assert!(matches!(verdict(path, 0xef53, false), Ok(None)));
    }
}
