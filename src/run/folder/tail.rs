//! Logs that are read while they grow.

use crate::error::{Error, Result};
use crate::files;
use std::fs::Metadata;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Reads the lines of a growing file as they come.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    offset: u64,
    /// Which file that was.
    identity: Option<Identity>,
}

/// What tells a file from another that has taken its name.
type Identity = (u64, u64);

impl Tail {
    /// The file at `path`, from its beginning.
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, offset: 0, identity: None }
    }

    /// The whole lines written since the last call; a half-written one is left for the next. `None`
    /// where another file has taken its place, or it has become shorter: the run was taken back to
    /// a checkpoint, and everything is to be read again.
    pub fn lines(&mut self) -> Result<Option<Vec<String>>> {
        let mut file = match files::open_regular(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((self.offset == 0).then(Vec::new));
            }
            Err(error) => return Err(Error::io("opening a file of the run", &self.path)(error)),
        };
        let mut bytes = Vec::new();
        let mut read = || -> std::io::Result<bool> {
            let found = file.metadata()?;
            let identity = identity(&found);
            if found.len() < self.offset || (self.identity.is_some() && self.identity != identity) {
                return Ok(false);
            }
            self.identity = identity;
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)?;
            Ok(true)
        };
        if !read().map_err(Error::io("reading a file of the run", &self.path))? {
            return Ok(None);
        }
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        self.offset += bytes.len() as u64;
        Ok(Some(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()))
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems tell nothing")]
fn identity(file: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<Identity> {
    None
}

#[cfg(test)]
mod tests {
    use crate::run::RunDir;
    use crate::run::folder::tests::experiment;
    use std::fs;

    #[test]
    fn a_growing_file_is_read_by_whole_lines_and_a_shorter_one_anew() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let path = run.path().join("metrics.jsonl");
        let mut tail = run.tail_metrics();
        assert_eq!(tail.lines().unwrap(), Some(vec![]));
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(tail.lines().unwrap(), Some(vec!["one".to_string(), "two".to_string()]));
        assert_eq!(tail.lines().unwrap(), Some(vec![]));
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail.lines().unwrap(), Some(vec!["three".to_string()]));
        fs::write(&path, "one\n").unwrap();
        assert_eq!(tail.lines().unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn another_file_of_the_same_name_is_read_anew_however_long_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let path = run.path().join("metrics.jsonl");
        let mut tail = run.tail_metrics();
        fs::write(&path, "one\ntwo\n").unwrap();
        tail.lines().unwrap();
        fs::write(run.path().join("new"), "one\nother\nthree\n").unwrap();
        fs::rename(run.path().join("new"), &path).unwrap();
        assert_eq!(tail.lines().unwrap(), None);
    }
}
