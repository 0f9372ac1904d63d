//! Room on disks.

use crate::memory::in_gib;
use std::io;
use std::path::Path;

/// Room that is left to logs and records beside what is asked for.
const RESERVE: u64 = 16 << 20;

/// Free bytes of the disk that `folder` is on or will be on, where the system tells.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|folder| folder.exists())?;
    free_at(there)
}

#[cfg(unix)]
fn free_at(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_at(folder: &Path) -> Option<u64> {
    let folder = folder.canonicalize().ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list();
    let holding = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(sysinfo::Disk::available_space)
}

/// Refuses to write `needed` bytes into `folder` where the disk has less room.
pub(crate) fn check(folder: &Path, needed: u64) -> io::Result<()> {
    match free(folder) {
        Some(free) if free < needed.saturating_add(RESERVE) => Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("it takes {}, and the disk has {} free", in_gib(needed), in_gib(free)),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_disk_has_room_for_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("not/yet")).unwrap() > 0);
        check(folder.path(), 1).unwrap();
        let error = check(folder.path(), u64::MAX / 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("free"), "{error}");
    }
}
