//! The one way to read the files of a model folder, which somebody else made: nothing but regular
//! files of its own, of bounded size.

use super::{self as files, SETTINGS_BYTES};
use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where the file `name` of `folder` is, links followed; nothing where there is none.
///
/// A link must stay in the folder, because what it leads to is read and copied into checkpoints.
/// The snapshots of the hub's cache are links to the files of the same repository beside them.
pub(crate) fn member(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let path = folder.join(name);
    let refused = |why: &str| {
        Error::input(format!(
            "the file {name} of the model cannot be used: {why} ({})",
            path.display()
        ))
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&error.to_string())),
        Ok(_) => {}
    }
    let target = path.canonicalize().map_err(|error| refused(&error.to_string()))?;
    let home = folder.canonicalize().map_err(|error| refused(&error.to_string()))?;
    let is_own =
        target.starts_with(&home) || blobs(&home).is_some_and(|blobs| target.starts_with(blobs));
    if !is_own {
        return Err(refused(
            "it is a link to a file outside of the folder; put the file itself there",
        ));
    }
    if !target.is_file() {
        return Err(refused("it is not a regular file"));
    }
    Ok(Some(path))
}

/// Where the hub's cache keeps the content of the files of a snapshot:
/// `REPOSITORY/snapshots/COMMIT` links to `REPOSITORY/blobs`.
fn blobs(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.parent()?;
    if snapshots.file_name() != Some(OsStr::new("snapshots")) {
        return None;
    }
    snapshots.with_file_name("blobs").canonicalize().ok()
}

/// The content of a file of at most `limit` bytes, where there is one.
pub(crate) fn bytes(folder: &Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let read = |path: PathBuf| {
        files::read(&path, limit).map_err(|error| {
            Error::input(format!("cannot read the model's {name}: {error} ({})", path.display()))
        })
    };
    member(folder, name)?.map(read).transpose()
}

/// The text of a file of settings, where there is one, without a byte order mark.
pub(crate) fn text(folder: &Path, name: &str) -> Result<Option<String>> {
    let read = |path: PathBuf| {
        files::read_text(&path, SETTINGS_BYTES).map_err(|error| {
            Error::input(format!("cannot read the model's {name}: {error} ({})", path.display()))
        })
    };
    member(folder, name)?.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[cfg(unix)]
    #[test]
    fn links_stay_in_the_folder_or_in_the_cache_of_the_same_repository() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let snapshot = place.path().join("models--a--b/snapshots/0123");
        let blobs = place.path().join("models--a--b/blobs");
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join("77"), "cached").unwrap();
        fs::write(snapshot.join("own"), "own").unwrap();
        fs::write(place.path().join("secret"), "secret").unwrap();
        symlink("../../blobs/77", snapshot.join("linked")).unwrap();
        symlink("own", snapshot.join("again")).unwrap();
        symlink("../../../secret", snapshot.join("outside")).unwrap();
        symlink("/dev/zero", snapshot.join("endless")).unwrap();
        symlink("nowhere", snapshot.join("dangling")).unwrap();
        assert_eq!(text(&snapshot, "linked").unwrap().unwrap(), "cached");
        assert_eq!(text(&snapshot, "again").unwrap().unwrap(), "own");
        assert!(text(&snapshot, "absent").unwrap().is_none());
        for name in ["outside", "endless", "dangling"] {
            let message = bytes(&snapshot, name, 100).unwrap_err().to_string();
            assert!(message.contains(name) && !message.contains("secret\""), "{message}");
        }
        // The same links in a folder that is not a snapshot lead outside.
        let plain = place.path().join("plain");
        fs::create_dir(&plain).unwrap();
        symlink("../models--a--b/blobs/77", plain.join("linked")).unwrap();
        assert!(text(&plain, "linked").unwrap_err().to_string().contains("outside of the folder"));
        // A link to the folder itself is the person's own.
        symlink(&snapshot, place.path().join("alias")).unwrap();
        assert_eq!(text(&place.path().join("alias"), "linked").unwrap().unwrap(), "cached");
        assert!(bytes(&snapshot, "own", 2).unwrap_err().to_string().contains("more than 2 bytes"));
    }
}
