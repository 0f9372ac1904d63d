//! What is there of what a run folder may hold.

use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What is in a folder, in no particular order; nothing where there is no folder.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("reading a folder of the run", folder)(error)),
    };
    entries
        .map(|entry| Ok(entry.map_err(Error::io("reading a folder of the run", folder))?.path()))
        .collect()
}

/// N, where `name` is what the program calls something of step N, with one of these `endings`.
/// Other names are somebody else's.
pub(super) fn record_step(name: &str, endings: &[&str]) -> Option<u64> {
    let rest = name.strip_prefix("step_")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let step: u64 = rest[..digits].parse().ok()?;
    (endings.contains(&&rest[digits..]) && format!("{step:06}") == rest[..digits]).then_some(step)
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
    use crate::run::RunDir;
    use std::fs;

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
