//! Which experiments and runs there are.

use crate::dashboard::runs::past_run::{self, PastRun};
use crate::dashboard::state::label;
use crate::dashboard::state::label::Traits;
use crate::experiment::{self, Experiment};
use crate::files::{self, SETTINGS_BYTES};
use crate::run::RunDir;
use std::path::{Path, PathBuf};

/// Where experiments and runs are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of experiment files.
    pub experiments: PathBuf,
    /// The folder of run folders.
    pub runs: PathBuf,
}

/// An experiment file.
#[derive(Clone, Debug)]
pub(crate) struct ExperimentFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its text; empty where it cannot be read.
    pub(crate) text: String,
    /// What it says, or what is wrong with it.
    pub(crate) experiment: Result<Experiment, String>,
}

impl ExperimentFile {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Self {
        let read = files::read_text(path, SETTINGS_BYTES).map_err(|error| error.to_string());
        let (text, unreadable) =
            read.map_or_else(|error| (String::new(), Some(error)), |text| (text, None));
        let parsed =
            || experiment::from_text(&text, "this file").map_err(|error| error.to_string());
        Self { path: path.to_path_buf(), experiment: unreadable.map_or_else(parsed, Err), text }
    }

    /// Files of other commands are no experiments to run from here.
    fn is_run(&self) -> bool {
        self.text.is_empty() || self.text.contains("Experiment(")
    }
}

/// What was found in the folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Experiment files by name.
    pub(crate) experiments: Vec<ExperimentFile>,
    /// Runs, newest first.
    pub(crate) runs: Vec<PastRun>,
}

/// What is there now. Runs that have not been written to since `before` need not be read again.
pub(super) fn find(places: &Places, before: &Found) -> Found {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let experiments = list(&places.experiments)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .map(|path| ExperimentFile::read(path))
        .filter(ExperimentFile::is_run)
        .collect();
    let run = |path: &PathBuf| {
        let written = RunDir::at(path).last_written();
        let known = before.runs.iter().find(|run| run.path == *path && run.written == written);
        // Whether a run is still written to shows in time.
        let known = known.filter(|run| !run.state.may_change());
        known.cloned().or_else(|| past_run::read(path, written))
    };
    let mut runs: Vec<PastRun> = list(&places.runs).iter().filter_map(run).collect();
    runs.sort_by(|a, b| b.started.cmp(&a.started));
    let traits: Vec<Traits<'_>> = runs.iter().map(PastRun::traits).collect();
    let found: Vec<_> = traits.iter().map(|run| label::differences(run, &traits)).collect();
    runs.iter_mut().zip(found).for_each(|(run, differences)| run.differences = differences);
    Found { experiments, runs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::runs::past_run::PastState;
    use crate::dashboard::state::standing::Resumption;

    const SMALL: &str = "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
                         stop: (steps: 7), method: Grpo)";

    #[test]
    fn a_run_that_was_killed_before_it_said_anything_is_listed_as_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            experiments: folder.path().join("experiments"),
            runs: folder.path().join("runs"),
        };
        let run =
            RunDir::create(&places.runs, &experiment::from_text(SMALL, "small").unwrap()).unwrap();
        let listed = || find(&places, &Found::default()).runs;
        let lock = run.lock().unwrap();
        assert!(listed().is_empty(), "it will say what it is");
        drop(lock);
        let [run] = &listed()[..] else { panic!("it is not listed") };
        assert_eq!(
            (run.state, run.steps, run.resumption),
            (PastState::Interrupted, (0, 7), Some(Resumption::Never))
        );
        assert!(run.started.ends_with('Z'), "{}", run.started);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_in_the_folders_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            experiments: folder.path().join("experiments"),
            runs: folder.path().join("runs"),
        };
        std::fs::create_dir_all(&places.experiments).unwrap();
        std::fs::write(places.experiments.join("small.ron"), SMALL).unwrap();
        let small: Experiment = experiment::from_text(SMALL, "small").unwrap();
        let zero = |path: PathBuf| {
            std::fs::remove_file(&path).ok();
            std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        };
        let pipe = |path: PathBuf| {
            std::fs::remove_file(&path).ok();
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        };
        zero(places.experiments.join("zero.ron"));
        pipe(places.experiments.join("pipe.ron"));
        std::fs::create_dir(places.experiments.join("folder.ron")).unwrap();
        let large = std::fs::File::create(places.experiments.join("large.ron")).unwrap();
        large.set_len(SETTINGS_BYTES + 1).unwrap();
        for name in
            ["manifest.json", "metrics.jsonl", "evals.jsonl", "events.jsonl", "experiment.ron"]
        {
            for (kind, make) in [("zero", &zero as &dyn Fn(PathBuf)), ("pipe", &pipe)] {
                let runs = places.runs.join(format!("{name}-{kind}"));
                let run = RunDir::create(&runs, &small).unwrap();
                let manifest = r#"{"version": "", "commit": "", "device": "", "model": "", "model_hash": "", "data_hash": "",
                    "started": "", "state": "failed", "step": 3}"#;
                std::fs::write(run.path().join("manifest.json"), manifest).unwrap();
                make(run.path().join(name));
                std::fs::rename(run.path(), places.runs.join(format!("run-{name}-{kind}")))
                    .unwrap();
                std::fs::remove_dir(&runs).unwrap();
            }
        }
        let found = find(&places, &Found::default());
        let (right, wrong): (Vec<_>, Vec<_>) =
            found.experiments.iter().partition(|file| file.experiment.is_ok());
        assert_eq!(
            (right.len(), wrong.len()),
            (1, 4),
            "what cannot be read is listed with its reason"
        );
        // What names a run must be there; of logs that are none nothing is shown.
        assert_eq!(found.runs.len(), 6);
        for run in &found.runs {
            assert_eq!((run.name.as_str(), run.accuracy, run.pass_at_1), ("a", None, None));
        }
    }
}
