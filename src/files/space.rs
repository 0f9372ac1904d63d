//! Room on disks.

use crate::error::{Error, Result};
use crate::machine::in_gib;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Room that is left to logs and records beside what is asked for.
const MARGIN: u64 = 16 << 20;

/// Free bytes of the disk that `folder` is on or will be on, where the system tells.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    free_at(existing(&folder)?)
}

/// The folder itself, or the nearest one above it that is there.
fn existing(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

#[cfg(unix)]
fn free_at(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    // One without any size, such as /proc, is not a disk.
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_at(folder: &Path) -> Option<u64> {
    let folder = folder.canonicalize().ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list();
    let holding = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    holding
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(sysinfo::Disk::available_space)
}

/// Refuses a folder in which nothing may be written: then it is not room that is missing.
fn writable(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(there) = std::path::absolute(folder).ok().as_deref().and_then(existing) {
        rustix::fs::access(there, rustix::fs::Access::WRITE_OK)?;
    }
    Ok(())
}

/// Refuses a folder in which no folder can be made, or that cannot be made itself: it is tried, and
/// nothing of that stays.
pub(crate) fn holds_folders(folder: &Path) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let Some(there) = existing(&folder) else { return Ok(()) };
    let trial = there.join(format!(".orthant-{}", std::process::id()));
    std::fs::create_dir(&trial)?;
    std::fs::remove_dir(&trial)
}

/// Refuses to write `needed` bytes into `folder` where that is not possible or the disk has less
/// room.
pub(crate) fn check(folder: &Path, needed: u64) -> io::Result<()> {
    writable(folder)?;
    free(folder).map_or(Ok(()), |free| enough(free, needed))
}

fn enough(free: u64, needed: u64) -> io::Result<()> {
    let all = needed.saturating_add(MARGIN);
    if free >= all {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::StorageFull,
        format!(
            "it takes {}, {} of which are kept for logs and records, and the disk has {} free: \
             free {} more",
            in_gib(all),
            in_gib(MARGIN),
            in_gib(free),
            in_gib(all - free)
        ),
    ))
}

/// [`check`] before work begins: an input error about `what`, with what else could be done.
pub(crate) fn require(folder: &Path, needed: u64, what: &str, remedy: &str) -> Result<()> {
    check(folder, needed).map_err(|error| {
        let place = folder.display();
        Error::input(match error.kind() {
            ErrorKind::StorageFull => {
                format!("there is no room for {what}: {error}, or {remedy} ({place})")
            }
            _ => format!("{what} cannot be written there: {error}; {remedy} ({place})"),
        })
    })
}

/// The system's word that a disk is full, with how much has to be freed before `needed` bytes fit.
/// Anything else stays as it is.
pub(crate) fn explained(error: io::Error, folder: &Path, needed: u64) -> io::Error {
    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    if !is_full || error.raw_os_error().is_none() {
        return error;
    }
    let room = free(folder).and_then(|free| enough(free, needed).err()).map_or_else(
        || format!("continuing takes {}", in_gib(needed.saturating_add(MARGIN))),
        |room| room.to_string().replacen("it takes", "continuing takes", 1),
    );
    io::Error::new(error.kind(), format!("{error}; {room}"))
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
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let error = require(folder.path(), u64::MAX / 2, "a checkpoint", "give another folder")
            .unwrap_err();
        let text = error.to_string();
        assert!(
            error.exit_status() == 2
                && text.starts_with("there is no room for a checkpoint: it takes "),
            "{text}"
        );
        assert!(text.contains(" more, or give another folder ("), "{text}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_refused_and_a_trial_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        holds_folders(&folder.path().join("not/yet")).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(holds_folders(&file).is_err() && holds_folders(&file.join("below")).is_err());
    }

    #[test]
    fn the_numbers_of_the_message_add_up() {
        const MIB: u64 = 1 << 20;
        assert!(enough(40 * MIB, 24 * MIB).is_ok());
        let text = enough(30 * MIB, 24 * MIB).unwrap_err().to_string();
        let right = "it takes 40 MiB, 16 MiB of which are kept for logs and records, and the disk \
                     has 30 MiB free: free 10 MiB more";
        assert_eq!(text, right);
    }

    #[test]
    fn a_full_disk_is_told_with_what_has_to_be_freed_and_other_faults_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let full = || io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let text = explained(full(), folder.path(), u64::MAX / 2).to_string();
        assert!(text.contains("; continuing takes ") && text.ends_with(" more"), "{text}");
        let text = explained(full(), folder.path(), 8 << 20).to_string();
        assert!(text.ends_with("; continuing takes 24 MiB"), "{text}");
        let other = explained(ErrorKind::NotFound.into(), folder.path(), 1);
        assert_eq!(other.to_string(), io::Error::from(ErrorKind::NotFound).to_string());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_read_only_place_is_called_that_whatever_room_it_has() {
        // One of them is nearly everywhere, and written by nobody.
        let mut places = ["/sys/fs/cgroup", "/sys", "/proc/sys"].into_iter().map(Path::new);
        let is_closed =
            |place: &&Path| rustix::fs::access(*place, rustix::fs::Access::WRITE_OK).is_err();
        let Some(place) = places.find(is_closed) else { return };
        let text = require(place, u64::MAX / 2, "a checkpoint", "give another folder")
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("a checkpoint cannot be written there: ") && !text.contains("free"),
            "{text}"
        );
    }
}
