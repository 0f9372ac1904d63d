//! One writer at a time: a lock on a file in a folder, held as long as the process lives that took
//! it.
//!
//! The file stays in the folder; what counts is whether somebody holds it, so a process that was
//! killed is in nobody's way.

use super::{open_own, open_regular};
use crate::error::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// The file that is locked.
pub(crate) const LOCK_FILE: &str = ".orthant.lock";

/// Times that the lock is asked for: whoever looks whether it is held keeps it from others for a
/// moment.
const ATTEMPTS: usize = 10;

/// Time between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// What comes of asking for a file's lock.
pub(crate) enum Asked {
    /// It is this process's now, until the file is closed.
    Ours,
    /// Somebody else holds it.
    Theirs,
    /// A file system without locks: better to work as before there were any than not at all.
    Nobodys,
}

/// Asks for the lock of a file.
pub(crate) fn ask(file: &File) -> io::Result<Asked> {
    match file.try_lock() {
        Ok(()) => Ok(Asked::Ours),
        Err(TryLockError::WouldBlock) => Ok(Asked::Theirs),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(Asked::Nobodys)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The lock of a folder. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
    is_kept: bool,
}

/// Who holds the lock of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody: whoever wrote there is gone.
    Nobody,
    /// A process, in words.
    Process(String),
    /// There is no lock, or it was taken on another machine, whose locks may not be seen here.
    Unknown,
}

impl FolderLock {
    /// Takes the lock of `folder`, which must exist. `what` is what is written there, such as
    /// `this run`. Held by another process, or by another part of this one, it is an input error
    /// that names the holder.
    pub(crate) fn take(folder: &Path, what: &str) -> Result<Self> {
        let path = folder.join(LOCK_FILE);
        let refused = |why: io::Error| {
            Error::input(format!(
                "{what} cannot be written: its lock cannot be had: {why} ({})",
                path.display()
            ))
        };
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut attempts = 1;
        let (mut file, is_kept) = loop {
            let mut file = open_own(&path, &options).map_err(refused)?;
            match ask(&file).map_err(refused)? {
                Asked::Ours if is_at(&file, &path) => break (file, true),
                Asked::Nobodys => break (file, false),
                // Whoever held it took the file away with it: there is another one by now, or no
                // folder any more.
                Asked::Ours | Asked::Theirs if attempts < ATTEMPTS => {
                    attempts += 1;
                    std::thread::sleep(PAUSE);
                }
                Asked::Ours | Asked::Theirs => {
                    let holder = describe(&mut file)
                        .map_or_else(|| "another process".to_string(), |(text, _)| text);
                    return Err(Error::input(format!(
                        "{what} is being written by {holder}; wait for its end, or end it first \
                         ({})",
                        path.display()
                    )));
                }
            }
        };
        let since = jiff::Timestamp::now();
        let text = format!("process {} on {} since {since:.0}\n", std::process::id(), host());
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(refused)?;
        Ok(Self { file, is_kept })
    }

    /// Whether the file system keeps others away.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Whoever comes next names itself; until then the name of a process that is gone would only
        // mislead.
        self.file.set_len(0).ok();
    }
}

/// Whether an open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |of: &std::fs::Metadata| (of.dev(), of.ino());
    matches!((file.metadata(), path.metadata()), (Ok(file), Ok(there)) if place(&file) == place(&there))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Who holds the lock of `folder` at this moment.
pub(crate) fn holder(folder: &Path) -> Holder {
    let Ok(mut file) = open_regular(&folder.join(LOCK_FILE)) else { return Holder::Unknown };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Holder::Process(
            describe(&mut file).map_or_else(|| "another process".to_string(), |(text, _)| text),
        ),
        Err(TryLockError::Error(_)) => Holder::Unknown,
        Ok(()) => match describe(&mut file) {
            Some((_, other)) if other != host() => Holder::Unknown,
            _ => Holder::Nobody,
        },
    }
}

/// What the holder wrote of itself, and its host.
fn describe(file: &mut File) -> Option<(String, String)> {
    let mut text = String::new();
    file.take(1000).read_to_string(&mut text).ok()?;
    let text = text.trim();
    let host = text.split(' ').skip_while(|word| *word != "on").nth(1)?;
    Some((text.to_string(), host.to_string()))
}

fn host() -> String {
    sysinfo::System::host_name()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this machine".to_string())
        .replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder(folder.path()), Holder::Unknown);
        let lock = FolderLock::take(folder.path(), "this run").unwrap();
        assert!(lock.is_kept());
        let refused = FolderLock::take(folder.path(), "this run").unwrap_err();
        let text = refused.to_string();
        assert_eq!(refused.exit_status(), 2);
        assert!(
            text.starts_with(&format!(
                "this run is being written by process {} on ",
                std::process::id()
            )),
            "{text}"
        );
        assert!(
            matches!(holder(folder.path()), Holder::Process(text) if text.starts_with("process "))
        );
        drop(lock);
        assert_eq!(holder(folder.path()), Holder::Nobody);
        FolderLock::take(folder.path(), "this run").unwrap();
    }

    #[test]
    fn what_another_machine_held_is_not_known_here() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCK_FILE), "process 7 on elsewhere.example since now\n")
            .unwrap();
        assert_eq!(holder(folder.path()), Holder::Unknown);
        FolderLock::take(folder.path(), "this run").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_lock_leads_to_no_file_of_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "very important").unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        for target in [&precious, &folder.path().join("nothing")] {
            let link = folder.path().join("run").join(LOCK_FILE);
            std::os::unix::fs::symlink(target, &link).unwrap();
            let error = FolderLock::take(&folder.path().join("run"), "this run").unwrap_err();
            assert!(
                error.exit_status() == 2 && error.to_string().contains("not a regular file"),
                "{error}"
            );
            std::fs::remove_file(link).unwrap();
        }
        assert_eq!(std::fs::read_to_string(precious).unwrap(), "very important");
        assert!(!folder.path().join("nothing").exists());
    }
}
