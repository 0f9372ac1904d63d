//! The folders of a run folder.

use super::{RunDir, list, record_step};
use crate::error::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What they are called.
pub(super) const FOLDERS: [&str; 5] = ["rollouts", "geometry", "tokens", "checkpoints", "figures"];

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

/// The refusal of a run's `experiment.ron`, with where its newest copy is.
pub(super) fn with_copy(run: &Path, error: Error) -> Error {
    let checkpoints = list(&run.join("checkpoints")).unwrap_or_default();
    let copies = checkpoints.iter().filter_map(|folder| {
        let step = record_step(folder.file_name()?.to_str()?, &[""])?;
        let copy = folder.join("experiment.ron");
        copy.is_file().then_some((step, copy))
    });
    match copies.max() {
        Some((_, copy)) => Error::input(format!(
            "{error}; its newest copy is {}: put that in its place",
            copy.display()
        )),
        None => error,
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

    #[test]
    fn a_damaged_experiment_is_told_with_its_newest_copy() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("experiment.ron"), "").unwrap();
        let told = || RunDir::open(place.path()).unwrap_err().to_string();
        assert!(told().contains("is empty") && !told().contains("copy"), "{}", told());
        for step in ["step_000009", "step_000010", "step_000020.aside"] {
            let folder = place.path().join("checkpoints").join(step);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("experiment.ron"), "x").unwrap();
        }
        let copy = place.path().join("checkpoints/step_000010/experiment.ron");
        assert!(told().contains(&format!("its newest copy is {}", copy.display())), "{}", told());
    }
}
