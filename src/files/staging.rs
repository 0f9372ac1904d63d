//! Folders that appear whole or not at all: they are filled beside their place, brought to the
//! disk, and renamed.

use super::lock::{FolderLock, LOCK_FILE};
use super::{rename, space, sync};
use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Makes a folder, or another one in its place: `fill` writes into one beside it, which is renamed.
pub(crate) fn replace(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let failed = |error| Error::io("writing a folder", target)(error);
    let filled = beside(target, ".tmp");
    remove(&filled).and_then(|()| fs::create_dir(&filled)).map_err(failed)?;
    let done = fill(&filled).and_then(|()| put_in_place_of(&filled, target).map_err(failed));
    if done.is_err() {
        // On a full disk it would only take up room.
        remove(&filled).ok();
    }
    done
}

/// Brings a filled folder to the disk and gives it its name, which nothing but an empty folder may
/// have.
fn put(filled: &Path, target: &Path) -> io::Result<()> {
    sync_whole(filled)?;
    rename(filled, target)?;
    target.parent().map_or(Ok(()), sync)
}

/// The same where a folder may have the name, which keeps another one until then.
fn put_in_place_of(filled: &Path, target: &Path) -> io::Result<()> {
    sync_whole(filled)?;
    let before = beside(target, BEFORE);
    let is_replaced = target.exists();
    if is_replaced {
        remove(&before)?;
        rename(target, &before)?;
    }
    if let Err(error) = rename(filled, target) {
        restore(target)?;
        return Err(error);
    }
    target.parent().map_or(Ok(()), sync)?;
    if is_replaced { remove(&before) } else { Ok(()) }
}

/// Brings a folder and the files in it to the disk.
fn sync_whole(folder: &Path) -> io::Result<()> {
    for entry in folder.read_dir()? {
        sync(&entry?.path())?;
    }
    sync(folder)
}

/// Gives a folder its name back where a kill came while another one was put in its place.
pub(crate) fn restore(target: &Path) -> io::Result<()> {
    let before = beside(target, BEFORE);
    if !before.exists() {
        return Ok(());
    }
    if target.exists() { remove(&before) } else { rename(&before, target) }
}

/// Ending of the name of a folder that is being replaced.
pub(crate) const BEFORE: &str = ".before";

/// `.NAME.ending` beside a path.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(ending);
    target.with_file_name(name)
}

/// Whether `name` is one of those that the folder `folder` has: its own, and that while it is being
/// replaced.
fn has_name_of(name: &OsStr, folder: &str) -> bool {
    name == folder || Some(name) == beside(Path::new(folder), BEFORE).file_name()
}

/// Removes a folder, where there is one.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A folder that is being filled. Where that fails nothing is left of it, but for what is to be
/// kept for the next try.
pub(crate) struct StagedFolder {
    target: PathBuf,
    path: PathBuf,
    keep: &'static [&'static str],
    is_placed: bool,
    _lock: FolderLock,
}

/// What a folder is filled in where it is there already, and what the name of one ends in that is
/// not.
const INSIDE: &str = ".orthant-tmp";

/// Times that a folder is looked for which somebody else has just put in its place.
const ATTEMPTS: usize = 10;

impl StagedFolder {
    /// Begins to fill what will be `target`, of about `bytes` bytes, which must not exist yet or be
    /// empty. What a process that is gone left half-filled is removed, but for folders in it that
    /// are named in `keep`, or were while they were being replaced; a process that is at work on it
    /// is an input error.
    pub(crate) fn begin(target: &Path, keep: &'static [&'static str], bytes: u64) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            refuse_content(target)?;
            if let Some(staged) = Self::try_begin(target, keep)? {
                space::require(
                    target,
                    bytes,
                    &format!("the folder {}", target.display()),
                    "give another folder",
                )?;
                return Ok(staged);
            }
        }
        Err(Error::input(format!(
            "{} is being written by another process; wait for its end",
            target.display()
        )))
    }

    /// `None` where the folder is gone when its lock is free: whoever held it has put it in its
    /// place, or given up.
    fn try_begin(target: &Path, keep: &'static [&'static str]) -> Result<Option<Self>> {
        let refused = |error: io::Error| {
            Error::input(format!(
                "the folder {} cannot be made: {error}; choose another",
                target.display()
            ))
        };
        if target.file_name().is_none() {
            return Err(refused(io::ErrorKind::InvalidFilename.into()));
        }
        let path = if target.is_dir() { target.join(INSIDE) } else { beside(target, INSIDE) };
        if path.exists() && !path.join(LOCK_FILE).exists() && !is_empty(&path) {
            return Err(Error::input(format!(
                "{} is in the way and was not made by this program; move it away",
                path.display()
            )));
        }
        fs::create_dir_all(&path).map_err(refused)?;
        let lock = match FolderLock::take(&path, &target.display().to_string()) {
            Err(_) if !path.exists() => return Ok(None),
            lock => lock?,
        };
        let staged =
            Self { target: target.to_path_buf(), path, keep, is_placed: false, _lock: lock };
        staged
            .clear()
            .map_err(Error::io("removing what an earlier try left behind", &staged.path))?;
        Ok(Some(staged))
    }

    /// Removes everything but the lock's file and what is to be kept; says whether something is.
    fn clear(&self) -> io::Result<bool> {
        let mut keeps = false;
        for entry in self.path.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            if self.keep.iter().any(|kept| has_name_of(&name, kept)) {
                keeps = true;
            } else if name != LOCK_FILE {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
            }
        }
        Ok(keeps)
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in its place; or, where that was there, its files.
    pub(crate) fn finish(mut self) -> Result<()> {
        refuse_content(&self.target)?;
        self.place().map_err(Error::io("putting the folder in place", &self.target))?;
        self.is_placed = true;
        Ok(())
    }

    /// The lock's file goes last: it tells the next try that what is left of this one may be
    /// removed.
    fn place(&self) -> io::Result<()> {
        if !self.path.starts_with(&self.target) {
            put(&self.path, &self.target)?;
            return fs::remove_file(self.target.join(LOCK_FILE));
        }
        // An empty folder may be a disk of its own, which has no other name.
        let files =
            self.path.read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.iter().try_for_each(|path| sync(path))?;
        for path in files.iter().filter(|path| !path.ends_with(LOCK_FILE)) {
            rename(path, &self.target.join(path.file_name().unwrap_or_default()))?;
        }
        self.remove()?;
        sync(&self.target)
    }

    fn remove(&self) -> io::Result<()> {
        fs::remove_file(self.path.join(LOCK_FILE))?;
        fs::remove_dir(&self.path)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.is_placed && self.clear().is_ok_and(|keeps| !keeps) {
            self.remove().ok();
        }
    }
}

/// Refuses a place where there is something already.
fn refuse_content(target: &Path) -> Result<()> {
    if target.is_dir() && is_empty(target) || fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    let why = if target.is_dir() { "is not empty" } else { "is there already and no folder" };
    Err(Error::input(format!(
        "{} {why}, and nothing is overwritten; give a new folder",
        target.display()
    )))
}

/// Whether nothing is in `folder`, or only what an earlier try left there.
fn is_empty(folder: &Path) -> bool {
    folder
        .read_dir()
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == INSIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_replaced_when_the_new_one_is_on_the_disk_and_a_kill_at_any_moment_leaves_one_of_them()
     {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a/target");
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("old"), "x").unwrap();
        let fill = |folder: &Path| {
            fs::write(folder.join("new"), "x").unwrap();
            Ok(())
        };
        let done = super::super::trace::of(place.path(), || replace(&target, fill).unwrap());
        let expected = [
            "sync a/.target.tmp/new",
            "sync a/.target.tmp",
            "rename a/.target.before",
            "rename a/target",
            "sync a",
        ];
        assert_eq!(done, expected);
        assert_eq!(
            (names(&target), names(&place.path().join("a"))),
            (vec!["new".to_string()], vec!["target".to_string()])
        );
        // Killed between the two names, and after them.
        fs::rename(&target, place.path().join("a/.target.before")).unwrap();
        restore(&target).unwrap();
        assert_eq!(names(&target), ["new"]);
        fs::create_dir(place.path().join("a/.target.before")).unwrap();
        restore(&target).unwrap();
        assert_eq!(
            (names(&target), names(&place.path().join("a"))),
            (vec!["new".to_string()], vec!["target".to_string()])
        );
        // What fails half-way changes nothing.
        for error in [
            replace(&target, |folder| fill(folder).and(Err(Error::failed("disk full")))),
            replace(&target, |folder| fs::remove_dir(folder).map_err(Error::io("", folder))),
        ] {
            assert!(error.is_err());
            assert_eq!(
                (names(&target), names(&place.path().join("a"))),
                (vec!["new".to_string()], vec!["target".to_string()])
            );
        }
    }

    #[test]
    fn a_folder_that_somebody_else_made_in_the_meantime_is_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("model");
        let staged = StagedFolder::begin(&target, &[], 0).unwrap();
        fs::write(staged.path().join("whole"), "x").unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(target.join("mine"), "x").unwrap();
        // As when it appears after the last look.
        assert!(staged.place().is_err());
        assert_eq!(names(&target), ["mine"]);
        assert!(staged.finish().unwrap_err().to_string().contains("is not empty"));
        assert_eq!(
            (names(&target), names(place.path())),
            (vec!["mine".to_string()], vec!["model".to_string()])
        );
    }

    #[test]
    fn what_fails_leaves_nothing_but_what_the_next_try_needs() {
        let place = tempfile::tempdir().unwrap();
        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        for target in [place.path().join("new"), empty] {
            let staged = StagedFolder::begin(&target, &["progress"], 0).unwrap();
            fs::write(staged.path().join("half"), "x").unwrap();
            drop(staged);
            assert_eq!(names(place.path()), ["empty"]);
            assert!(names(&place.path().join("empty")).is_empty());
            let staged = StagedFolder::begin(&target, &["progress"], 0).unwrap();
            let path = staged.path().to_path_buf();
            fs::write(path.join("half"), "x").unwrap();
            for name in ["progress", ".progress.before", ".other.before"] {
                fs::create_dir(path.join(name)).unwrap();
            }
            drop(staged);
            assert_eq!(names(&path), [".orthant.lock", ".progress.before", "progress"]);
            drop(StagedFolder::begin(&target, &[], 0).unwrap());
        }
        let refused =
            StagedFolder::begin(&place.path().join("large"), &[], u64::MAX / 2).err().unwrap();
        assert!(
            refused.exit_status() == 2
                && refused.to_string().contains("there is no room for the folder"),
            "{refused}"
        );
        assert_eq!(names(place.path()), ["empty"]);
    }

    #[test]
    fn whoever_waits_for_a_folder_that_is_put_in_its_place_is_told_that_it_is_there() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("model");
        for gives_up in [true, false] {
            let staged = StagedFolder::begin(&target, &[], 0).unwrap();
            fs::write(staged.path().join("whole"), "x").unwrap();
            let second = std::thread::scope(|scope| {
                let second = scope.spawn(|| StagedFolder::begin(&target, &[], 0).map(drop));
                std::thread::sleep(std::time::Duration::from_millis(60));
                if gives_up {
                    drop(staged);
                } else {
                    staged.finish().unwrap();
                }
                second.join().unwrap()
            });
            match second {
                Ok(()) => assert!(gives_up),
                Err(error) => {
                    assert!(!gives_up && error.to_string().contains("is not empty"), "{error}");
                }
            }
            assert_eq!(
                names(place.path()),
                if gives_up { vec![] } else { vec!["model".to_string()] }
            );
        }
    }

    #[test]
    fn a_folder_appears_whole_and_what_a_dead_process_left_is_in_nobodys_way() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("model");
        let hidden = place.path().join(".model.orthant-tmp");
        // As after a kill: the lock's file stays, and half of what was to be written.
        fs::create_dir(&hidden).unwrap();
        fs::write(hidden.join(LOCK_FILE), "process 1 on here since then\n").unwrap();
        fs::write(hidden.join("half"), "x").unwrap();
        let staged = StagedFolder::begin(&target, &[], 0).unwrap();
        assert!(!staged.path().join("half").exists() && !target.exists());
        let refused = StagedFolder::begin(&target, &[], 0).err().unwrap();
        assert!(
            refused.exit_status() == 2
                && refused.to_string().contains("is being written by process"),
            "{refused}"
        );
        fs::write(staged.path().join("whole"), "x").unwrap();
        staged.finish().unwrap();
        let names: Vec<_> =
            target.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["whole"]);
        assert!(!hidden.exists());
        let refused = StagedFolder::begin(&target, &[], 0).err().unwrap().to_string();
        assert!(refused.contains("is not empty"), "{refused}");
        // An empty folder may be a disk of its own, so that it cannot be replaced; it is filled.
        let empty = place.path().join("empty");
        fs::create_dir_all(empty.join(".orthant-tmp/old")).unwrap();
        fs::write(empty.join(".orthant-tmp").join(LOCK_FILE), "").unwrap();
        let staged = StagedFolder::begin(&empty, &["old"], 0).unwrap();
        assert!(staged.path().join("old").exists());
        drop(staged);
        let staged = StagedFolder::begin(&empty, &[], 0).unwrap();
        fs::write(staged.path().join("whole"), "x").unwrap();
        staged.finish().unwrap();
        let names: Vec<_> =
            empty.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["whole"]);
        // A folder of somebody else is not touched.
        fs::create_dir(place.path().join(".other.orthant-tmp")).unwrap();
        fs::write(place.path().join(".other.orthant-tmp/mine"), "x").unwrap();
        assert!(
            StagedFolder::begin(&place.path().join("other"), &[], 0)
                .err()
                .unwrap()
                .to_string()
                .contains("in the way")
        );
    }
}
