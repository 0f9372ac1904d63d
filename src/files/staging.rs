//! A folder that appears whole or not at all: it is filled beside its place and renamed.

use super::lock::{FolderLock, LOCK_FILE};
use super::sync;
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that is being filled.
pub(crate) struct StagedFolder {
    target: PathBuf,
    path: PathBuf,
    _lock: FolderLock,
}

/// What a folder is filled in where it is there already.
const INSIDE: &str = ".orthant-tmp";

impl StagedFolder {
    /// Begins to fill what will be `target`, which must not exist yet or be empty. What a process that is gone left half-filled is
    /// removed, but for what is named `keep`; a process that is at work on it is an input error.
    pub(crate) fn begin(target: &Path, keep: &[&str]) -> Result<Self> {
        refuse_content(target)?;
        let refused = |error: std::io::Error| {
            Error::input(format!("the folder {} cannot be made: {error}; choose another", target.display()))
        };
        let path = if target.is_dir() {
            target.join(INSIDE)
        } else {
            let name = target.file_name().ok_or_else(|| refused(std::io::ErrorKind::InvalidFilename.into()))?;
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(INSIDE);
            target.with_file_name(hidden)
        };
        if path.exists() && !path.join(LOCK_FILE).exists() && !is_empty(&path) {
            return Err(Error::input(format!(
                "{} is in the way and was not made by this program; move it away",
                path.display()
            )));
        }
        fs::create_dir_all(&path).map_err(refused)?;
        let lock = FolderLock::take(&path, &target.display().to_string())?;
        for entry in path.read_dir().map_err(refused)?.flatten() {
            let name = entry.file_name();
            if name != LOCK_FILE && !keep.iter().any(|kept| name == *kept) {
                let path = entry.path();
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(Error::io("removing what an earlier try left behind", &path))?;
            }
        }
        Ok(Self { target: target.to_path_buf(), path, _lock: lock })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in its place; or, where that was there, its files.
    pub(crate) fn finish(self) -> Result<()> {
        refuse_content(&self.target)?;
        self.place().map_err(Error::io("putting the folder in place", &self.target))
    }

    /// The lock's file goes last: it tells the next try that what is left of this one may be removed.
    fn place(&self) -> std::io::Result<()> {
        let files = self.path.read_dir()?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.iter().try_for_each(|path| sync(path))?;
        sync(&self.path)?;
        if self.path.starts_with(&self.target) {
            for path in files.iter().filter(|path| !path.ends_with(LOCK_FILE)) {
                fs::rename(path, self.target.join(path.file_name().unwrap_or_default()))?;
            }
            fs::remove_file(self.path.join(LOCK_FILE))?;
            fs::remove_dir(&self.path)?;
            return sync(&self.target);
        }
        fs::rename(&self.path, &self.target)?;
        fs::remove_file(self.target.join(LOCK_FILE))?;
        sync(&self.target)?;
        self.target.parent().map_or(Ok(()), sync)
    }
}

/// Refuses a place where there is something already.
fn refuse_content(target: &Path) -> Result<()> {
    if target.is_dir() && is_empty(target) || fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    let why = if target.is_dir() { "is not empty" } else { "is there already and no folder" };
    Err(Error::input(format!("{} {why}, and nothing is overwritten; give a new folder", target.display())))
}

/// Whether nothing is in `folder`, or only what an earlier try left there.
fn is_empty(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == INSIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_and_what_a_dead_process_left_is_in_nobodys_way() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("model");
        let hidden = place.path().join(".model.orthant-tmp");
        // As after a kill: the lock's file stays, and half of what was to be written.
        fs::create_dir(&hidden).unwrap();
        fs::write(hidden.join(LOCK_FILE), "process 1 on here since then\n").unwrap();
        fs::write(hidden.join("half"), "x").unwrap();
        let staged = StagedFolder::begin(&target, &[]).unwrap();
        assert!(!staged.path().join("half").exists() && !target.exists());
        let refused = StagedFolder::begin(&target, &[]).err().unwrap();
        assert!(refused.exit_status() == 2 && refused.to_string().contains("is being written by process"), "{refused}");
        fs::write(staged.path().join("whole"), "x").unwrap();
        staged.finish().unwrap();
        let names: Vec<_> = target.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["whole"]);
        assert!(!hidden.exists());
        let refused = StagedFolder::begin(&target, &[]).err().unwrap().to_string();
        assert!(refused.contains("is not empty"), "{refused}");
        // An empty folder may be a disk of its own, so that it cannot be replaced; it is filled.
        let empty = place.path().join("empty");
        fs::create_dir_all(empty.join(".orthant-tmp/old")).unwrap();
        fs::write(empty.join(".orthant-tmp").join(LOCK_FILE), "").unwrap();
        let staged = StagedFolder::begin(&empty, &["old"]).unwrap();
        assert!(staged.path().join("old").exists());
        drop(staged);
        let staged = StagedFolder::begin(&empty, &[]).unwrap();
        fs::write(staged.path().join("whole"), "x").unwrap();
        staged.finish().unwrap();
        let names: Vec<_> = empty.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["whole"]);
        // A folder of somebody else is not touched.
        fs::create_dir(place.path().join(".other.orthant-tmp")).unwrap();
        fs::write(place.path().join(".other.orthant-tmp/mine"), "x").unwrap();
        assert!(
            StagedFolder::begin(&place.path().join("other"), &[]).err().unwrap().to_string().contains("in the way")
        );
    }
}
