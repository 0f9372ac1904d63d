//! The folders of a run folder.

use super::RunDir;
use super::names::FOLDERS;
use crate::error::{Error, Result};
use std::fs;
use std::io::ErrorKind;

impl RunDir {
    /// Makes those that are not there, or no longer.
    pub(crate) fn make_folders(&self) -> Result<()> {
        FOLDERS.iter().map(|name| self.path().join(name)).try_for_each(
            |folder| match fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                made => made.map_err(Error::io("making a folder of the run", &folder)),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_removed_is_made_again_and_the_others_stay() {
        let place = tempfile::tempdir().unwrap();
        let run = RunDir::at(place.path());
        run.make_folders().unwrap();
        fs::write(place.path().join("tokens/kept"), "x").unwrap();
        fs::remove_dir(place.path().join("rollouts")).unwrap();
        run.make_folders().unwrap();
        run.write_record("rollouts/step_000001.jsonl", b"x").unwrap();
        assert!(place.path().join("tokens/kept").exists());
    }
}
