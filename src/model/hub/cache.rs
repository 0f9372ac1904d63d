//! The hub's cache on this machine, as Python's `huggingface_hub` lays it out:
//!
//! ```text
//! models--owner--name/refs/main                      the commit that a branch stood for
//! models--owner--name/blobs/HASH                     contents by hash
//! models--owner--name/blobs/HASH.incomplete          a download that is not done
//! models--owner--name/snapshots/COMMIT/config.json   a link to a content
//! models--owner--name/.no_exist/COMMIT/config.json   empty: the hub has no such file
//! .locks/models--owner--name/HASH.lock               held by whoever downloads a content
//! ```
//!
//! A content's name is what it is checked by: the SHA-256 of a large file, or git's SHA-1 of a
//! small one.

use super::names;
use crate::error::{Error, Result};
use crate::files;
use crate::files::checksums::digest;
use crate::files::lock::{self, Asked};
use sha2::Digest;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The part of the cache that belongs to one repository.
pub(super) struct RepositoryCache {
    root: PathBuf,
    name: String,
}

impl RepositoryCache {
    /// `kind`: `models` or `datasets`.
    pub(super) fn new(root: &Path, kind: &str, repo: &str) -> Self {
        Self { root: root.to_path_buf(), name: format!("{kind}--{}", repo.replace('/', "--")) }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// The commit that a revision stood for when it was downloaded.
    fn commit(&self, revision: &str) -> Option<String> {
        if names::is_commit(revision) {
            return Some(revision.to_string());
        }
        let text = files::read_text(&self.folder().join("refs").join(revision), 1024).ok()?;
        Some(text.trim().to_string()).filter(|commit| names::is_commit(commit))
    }

    /// The path of a file where it has been downloaded.
    pub(super) fn find(&self, revision: &str, file: &str) -> Option<PathBuf> {
        let path = self.folder().join("snapshots").join(self.commit(revision)?).join(file);
        path.is_file().then_some(path)
    }

    /// Whether the hub has said that there is no such file in a commit.
    pub(super) fn is_known_missing(&self, commit: &str, file: &str) -> bool {
        self.folder().join(".no_exist").join(commit).join(file).is_file()
    }

    /// Notes that there is no such file in a commit.
    pub(super) fn note_missing(&self, commit: &str, file: &str) -> Result<()> {
        let path = self.folder().join(".no_exist").join(commit).join(file);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        File::create(&path).map(drop).map_err(unwritable(&path))
    }

    /// Whether a content is here, and whole.
    pub(super) fn has(&self, etag: &str, size: Option<u64>) -> bool {
        let blob = self.blob(etag);
        blob.is_file() && is_whole(&blob, etag, size).unwrap_or(false)
    }

    fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// Where a content is put while it comes.
    pub(super) fn partial(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(format!("{etag}.incomplete"))
    }

    /// Makes the folders; keeps other programs from downloading the same until the returned file is
    /// dropped.
    pub(super) fn lock(&self, etag: &str, patience: Duration) -> Result<File> {
        let folder = self.root.join(".locks").join(&self.name);
        for folder in [&folder, &self.folder().join("blobs")] {
            fs::create_dir_all(folder).map_err(unwritable(folder))?;
        }
        let path = folder.join(format!("{etag}.lock"));
        let file =
            File::options().create(true).append(true).open(&path).map_err(unwritable(&path))?;
        // Another program's download is waited for as long as it runs.
        let length = || fs::metadata(self.partial(etag)).map_or(0, |file| file.len());
        let (mut last, mut heard) = (length(), Instant::now());
        while matches!(lock::ask(&file).map_err(unwritable(&path))?, Asked::Theirs) {
            if length() != last {
                (last, heard) = (length(), Instant::now());
            }
            if heard.elapsed() > patience {
                return Err(Error::input(format!(
                    "another program downloads the same file and does not get on; end it, and \
                     start again ({})",
                    path.display()
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(file)
    }

    /// Gives a content that came its name, if it is what the hub announced. What is not is removed:
    /// `false`.
    pub(super) fn keep(&self, etag: &str, size: Option<u64>) -> Result<bool> {
        let (partial, blob) = (self.partial(etag), self.blob(etag));
        if !is_whole(&partial, etag, size).map_err(Error::io("checking a download", &partial))? {
            fs::remove_file(&partial).map_err(unwritable(&partial))?;
            return Ok(false);
        }
        fs::rename(&partial, &blob).map_err(unwritable(&blob))?;
        checked().insert(blob);
        Ok(true)
    }

    /// Notes that `revision` is `commit`, and that `file` there is the content `etag`. Returns the
    /// file's path.
    pub(super) fn link(
        &self,
        revision: &str,
        commit: &str,
        file: &str,
        etag: &str,
    ) -> Result<PathBuf> {
        let path = self.folder().join("snapshots").join(commit).join(file);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let up = "../".repeat(file.split('/').count() + 1);
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        if fs::read_link(&path).ok().as_ref() != Some(&target) {
            // Put in place at once: another program may be reading.
            let temporary = folder.join(format!(".{etag}.{}", std::process::id()));
            place(&target, &self.blob(etag), &temporary).map_err(unwritable(&temporary))?;
            fs::rename(&temporary, &path).map_err(unwritable(&path))?;
        }
        if revision != commit {
            let path = self.folder().join("refs").join(revision);
            let folder = path.parent().unwrap_or(&path);
            fs::create_dir_all(folder).map_err(unwritable(folder))?;
            files::write_whole(&path, commit.as_bytes()).map_err(unwritable(&path))?;
        }
        Ok(path)
    }
}

#[cfg(unix)]
fn place(target: &Path, _blob: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Links need a privilege elsewhere.
#[cfg(not(unix))]
fn place(_target: &Path, blob: &Path, path: &Path) -> io::Result<()> {
    fs::copy(blob, path).map(drop)
}

/// Whether a downloaded file is still what its name says; asked once in the program's life. Copies
/// without a name are believed.
pub(super) fn is_intact(path: &Path) -> io::Result<bool> {
    let blob = path.canonicalize()?;
    if checked().contains(&blob) {
        return Ok(true);
    }
    let etag = match (
        blob.parent().and_then(Path::file_name),
        blob.file_name().and_then(|name| name.to_str()),
    ) {
        (Some(folder), Some(etag)) if folder == "blobs" => etag,
        _ => return Ok(true),
    };
    let is_whole = is_whole(&blob, etag, None)?;
    if is_whole {
        checked().insert(blob);
    }
    Ok(is_whole)
}

/// Contents that have been checked.
fn checked() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    static CHECKED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    CHECKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a file has the size and the hash that were announced. Other kinds of names than hashes
/// say nothing of the content.
fn is_whole(path: &Path, etag: &str, size: Option<u64>) -> io::Result<bool> {
    let mut file = files::open_regular(path)?;
    let length = file.metadata()?.len();
    if size.is_some_and(|size| size != length) {
        return Ok(false);
    }
    Ok(match etag.len() {
        64 => digest(sha2::Sha256::new(), &mut file)? == etag,
        // As git names a content.
        40 => {
            digest(sha1::Sha1::new().chain_update(format!("blob {length}\0")), &mut file)? == etag
        }
        _ => true,
    })
}

/// Whether a content of that name can be checked.
pub(super) fn is_hash(etag: &str) -> bool {
    matches!(etag.len(), 40 | 64)
}

/// For `map_err`: the cache cannot be written to.
pub(super) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |error| {
        Error::input(format!(
            "the hub's cache cannot be written to: {error}; set HF_HOME to a folder with room ({})",
            path.display()
        ))
    }
}
