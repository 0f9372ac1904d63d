//! The start screen's side: which experiments and runs there are, read on a thread of its own, and the runs that it starts.

use super::open_run::RunSource;
use crate::error::{Error, Result};
use crate::experiment::{self, Event, Experiment, RunDir};
use crate::files::{self, SETTINGS_BYTES};
use crate::metrics;
use crate::trainer::{Run, RunBuilder, WatchedRun};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs that the window started; whoever opened it waits for their ends.
pub type StartedRuns = Arc<Mutex<Vec<Run>>>;

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
    /// Its text.
    pub(crate) text: String,
    /// What it says; `None` where it has an error.
    pub(crate) experiment: Option<Experiment>,
}

/// A run folder at a glance.
#[derive(Clone, Debug)]
pub(crate) struct PastRun {
    /// The folder.
    pub(crate) path: PathBuf,
    /// The experiment's name.
    pub(crate) name: String,
    /// Its method.
    pub(crate) method: String,
    /// Its seed.
    pub(crate) seed: u64,
    /// `training`, `finished`, `stopped` or `failed`; `interrupted` where its process is gone, and `silent` where nobody knows and
    /// nothing was heard of it for a minute.
    pub(crate) state: String,
    /// Steps finished, of how many.
    pub(crate) steps: (u64, u64),
    /// When it started, UTC.
    pub(crate) started: String,
    /// Training accuracy of the last step.
    pub(crate) accuracy: Option<f64>,
    /// pass@1 of the last evaluation.
    pub(crate) pass_at_1: Option<f64>,
    /// Why it ended early.
    pub(crate) error: Option<String>,
}

/// What was found in the folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Experiment files by name.
    pub(crate) experiments: Vec<ExperimentFile>,
    /// Runs, newest first.
    pub(crate) runs: Vec<PastRun>,
}

/// What the threads send.
enum Answer {
    Found(Found),
    Opened(Result<RunSource>),
}

/// The start screen.
pub(super) struct Start {
    places: Places,
    /// What there is.
    pub(super) found: Found,
    /// The experiment that is being looked at and edited.
    pub(super) editor: Option<Editor>,
    /// Run folders that are ticked, to be opened together.
    pub(super) ticked: Vec<PathBuf>,
    /// Why the last thing failed.
    pub(super) error: Option<String>,
    answers: (Sender<Answer>, Receiver<Answer>),
    started: StartedRuns,
    reading: usize,
    opening: usize,
    wake: egui::Context,
}

impl Start {
    /// A start screen on `places` that wakes the window of `wake`. Runs that it starts are put into `started`.
    pub(super) fn new(places: Places, started: StartedRuns, wake: egui::Context) -> Self {
        let mut start = Self {
            places,
            found: Found::default(),
            editor: None,
            ticked: Vec::new(),
            error: None,
            answers: bounded(64),
            started,
            reading: 0,
            opening: 0,
            wake,
        };
        start.read_again();
        start
    }

    /// Does `work` on a thread of its own and wakes the window with its answer.
    fn spawn(&self, name: &str, work: impl FnOnce() -> Answer + Send + 'static) -> bool {
        let (answers, wake) = (self.answers.0.clone(), self.wake.clone());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if answers.send(work()).is_ok() {
                wake.request_repaint();
            }
        });
        thread.is_ok()
    }

    /// Reads the folders again.
    pub(super) fn read_again(&mut self) {
        let places = self.places.clone();
        self.reading += usize::from(self.spawn("start screen", move || Answer::Found(find(&places))));
    }

    /// Whether the folders are being read.
    pub(super) fn is_reading(&self) -> bool {
        self.reading > 0
    }

    /// Whether a run is being loaded.
    pub(super) fn is_opening(&self) -> bool {
        self.opening > 0
    }

    /// Where experiments and runs are.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Says that something failed.
    pub(super) fn fail(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Takes in what the threads found; returns the runs to open.
    pub(super) fn take_in(&mut self) -> Vec<RunSource> {
        let mut runs = Vec::new();
        while let Ok(answer) = self.answers.1.try_recv() {
            match answer {
                Answer::Found(found) => {
                    self.reading -= 1;
                    self.ticked.retain(|path| found.runs.iter().any(|run| run.path == *path));
                    self.found = found;
                }
                Answer::Opened(result) => {
                    self.opening -= 1;
                    match result {
                        Ok(run) => {
                            self.error = None;
                            runs.push(run);
                        }
                        Err(error) => self.error = Some(error.to_string()),
                    }
                }
            }
        }
        runs
    }

    /// Opens run folders to look at.
    pub(super) fn open(&mut self, folders: &[PathBuf]) {
        for folder in folders {
            let folder = folder.clone();
            let work = move || Answer::Opened(WatchedRun::open(&folder).map(RunSource::Folder));
            self.opening += usize::from(self.spawn("open run", work));
        }
    }

    fn start_run(&mut self, build: impl FnOnce() -> Result<RunBuilder> + Send + 'static) {
        let (runs, started) = (self.places.runs.clone(), Arc::clone(&self.started));
        let work = move || {
            let run = build().and_then(|builder| builder.start(&runs));
            Answer::Opened(run.map(|run| {
                let handle = run.handle.clone();
                started.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                RunSource::Trainer(handle)
            }))
        };
        self.opening += usize::from(self.spawn("start run", work));
    }

    /// Starts a run of this experiment.
    pub(super) fn run(&mut self, experiment: Experiment) {
        self.start_run(move || Ok(RunBuilder::new(experiment)));
    }

    /// Goes on with a run from its newest checkpoint.
    pub(super) fn resume(&mut self, folder: PathBuf) {
        self.start_run(move || RunBuilder::resume(&folder, &[]));
    }
}

/// An experiment that is being edited, and what is wrong with it.
pub(super) struct Editor {
    /// The file that it came from.
    pub(super) path: PathBuf,
    /// The text as edited.
    pub(super) text: String,
    /// The text as last saved.
    saved: String,
    /// The file to save it as.
    pub(super) name: String,
    /// The experiment, or what is wrong.
    pub(super) parsed: Result<Experiment, String>,
    /// Lines that differ from the defaults.
    pub(super) differences: Vec<String>,
}

impl Editor {
    /// Looks at an experiment file.
    pub(super) fn new(file: &ExperimentFile) -> Self {
        let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut editor = Self {
            path: file.path.clone(),
            text: file.text.clone(),
            saved: file.text.clone(),
            name,
            parsed: Err(String::new()),
            differences: Vec::new(),
        };
        editor.check();
        editor
    }

    /// Whether the text is not the file's.
    pub(super) fn is_changed(&self) -> bool {
        self.text != self.saved
    }

    /// Parses and validates the text as it is now.
    pub(super) fn check(&mut self) {
        let parsed = experiment::from_text::<Experiment>(&self.text, &self.name)
            .and_then(|experiment| experiment.validate().map(|()| experiment));
        self.parsed = parsed.map_err(|error| error.to_string());
        if let Ok(experiment) = &self.parsed {
            self.differences = differences(experiment).unwrap_or_default();
        }
    }

    /// Writes the text to the file `name` beside the one that it came from. Another existing file is not overwritten.
    pub(super) fn save(&mut self) -> Result<()> {
        let name = self.name.trim();
        if name.is_empty()
            || name.contains(['/', '\\'])
            || Path::new(name).extension().is_none_or(|extension| extension != "ron")
        {
            return Err(Error::input(format!(
                "`{name}` is no name for an experiment file; write one such as mine.ron"
            )));
        }
        let path = self.path.with_file_name(name);
        if path != self.path && path.exists() {
            return Err(Error::input(format!("{} is there already; choose another name", path.display())));
        }
        std::fs::write(&path, &self.text).map_err(Error::io("saving the experiment", &path))?;
        self.path = path;
        self.saved.clone_from(&self.text);
        Ok(())
    }
}

/// The lines of the written-out experiment that the defaults do not have.
fn differences(experiment: &Experiment) -> Result<Vec<String>> {
    let task = experiment::to_text(&experiment.task)?;
    let least = format!(
        "Experiment(name: {:?}, model: {}, task: {task})",
        experiment.name,
        experiment::to_text(&experiment.model)?
    );
    let defaults = experiment::to_text(&experiment::from_text::<Experiment>(&least, "defaults")?)?;
    let text = experiment::to_text(experiment)?;
    let diff = similar::TextDiff::from_lines(&defaults, &text);
    let changed = diff.iter_all_changes().filter(|change| change.tag() == similar::ChangeTag::Insert);
    Ok(changed
        .map(|change| change.value().trim().trim_end_matches(',').to_owned())
        .filter(|line| line.contains(':') && !line.starts_with("description"))
        .collect())
}

fn find(places: &Places) -> Found {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let experiments = list(&places.experiments)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .filter_map(|path| files::read_text(&path, SETTINGS_BYTES).ok().map(|text| (path, text)))
        // Files of other commands are no experiments to run from here.
        .filter(|(_, text)| text.contains("Experiment("))
        .map(|(path, text)| ExperimentFile { experiment: experiment::from_text(&text, "").ok(), path, text })
        .collect();
    let mut runs: Vec<PastRun> = list(&places.runs).iter().filter_map(|path| past_run(path)).collect();
    runs.sort_by(|a, b| b.started.cmp(&a.started));
    Found { experiments, runs }
}

fn past_run(path: &Path) -> Option<PastRun> {
    let (run, experiment) = RunDir::open(path).ok()?;
    let manifest = run.read_manifest()?;
    let last = run.last_metrics().ok().flatten();
    let evaluation = run.read_evaluations().ok().and_then(|records| records.last().cloned());
    let error = (manifest.state == "failed")
        .then(|| run.read_events().ok()?.into_iter().rev().find(|event: &Event| event.kind == "error"))
        .flatten();
    let silent_s = run.last_written().and_then(|written| written.elapsed().ok()).map_or(0.0, |age| age.as_secs_f64());
    let is_interrupted = run.is_interrupted(&manifest);
    let is_silent = manifest.state == "training" && silent_s > 60.0;
    Some(PastRun {
        path: path.to_path_buf(),
        name: experiment.name.clone(),
        method: experiment.method.label().to_owned(),
        seed: experiment.seed,
        state: match manifest.state {
            _ if is_interrupted => "interrupted".to_owned(),
            _ if is_silent => "silent".to_owned(),
            state => state,
        },
        steps: (last.as_ref().map_or(manifest.step, |row| row.step), experiment.stop.steps),
        started: manifest.started,
        accuracy: last.and_then(|row| row.get(&metrics::REWARD_ACCURACY)),
        pass_at_1: evaluation.and_then(|record| record.pass(1)).map(|estimate| estimate.value),
        error: error.map(|event| event.text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor(text: &str, folder: &Path) -> Editor {
        Editor::new(&ExperimentFile { path: folder.join("a.ron"), text: text.to_owned(), experiment: None })
    }

    const SMALL: &str =
        "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), stop: (steps: 7), method: Grpo)";

    #[test]
    fn an_experiment_is_validated_as_it_is_typed_and_named_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(SMALL, folder.path());
        assert!(editor.parsed.is_ok());
        assert!(editor.differences.iter().any(|line| line == "steps: 7"), "{:?}", editor.differences);
        assert!(!editor.differences.iter().any(|line| line.starts_with("learning_rate")));
        editor.text = SMALL.replace("steps: 7", "stepz: 7");
        editor.check();
        assert!(editor.parsed.as_ref().unwrap_err().contains("steps"), "{:?}", editor.parsed);
        editor.text = SMALL.replace("steps: 7", "steps: 0");
        editor.check();
        assert!(editor.parsed.as_ref().unwrap_err().contains("stop.steps"), "{:?}", editor.parsed);
    }

    #[test]
    fn saving_as_another_file_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.ron"), "mine").unwrap();
        let mut editor = editor(SMALL, folder.path());
        for name in ["b.ron", "../c.ron", "c", ""] {
            editor.name = name.to_owned();
            assert!(editor.save().is_err(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("b.ron")).unwrap(), "mine");
        editor.name = "c.ron".to_owned();
        editor.text.push('\n');
        assert!(editor.is_changed());
        editor.save().unwrap();
        assert!(!editor.is_changed());
        assert_eq!(std::fs::read_to_string(folder.path().join("c.ron")).unwrap(), editor.text);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_in_the_folders_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { experiments: folder.path().join("experiments"), runs: folder.path().join("runs") };
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
        for name in ["manifest.json", "metrics.jsonl", "evals.jsonl", "events.jsonl", "experiment.ron"] {
            for (kind, make) in [("zero", &zero as &dyn Fn(PathBuf)), ("pipe", &pipe)] {
                let runs = places.runs.join(format!("{name}-{kind}"));
                let run = RunDir::create(&runs, &small).unwrap();
                let manifest = r#"{"version": "", "commit": "", "device": "", "model": "", "model_hash": "", "data_hash": "",
                    "started": "", "state": "failed", "step": 3}"#;
                std::fs::write(run.path().join("manifest.json"), manifest).unwrap();
                make(run.path().join(name));
                std::fs::rename(run.path(), places.runs.join(format!("run-{name}-{kind}"))).unwrap();
                std::fs::remove_dir(&runs).unwrap();
            }
        }
        let found = find(&places);
        assert_eq!(found.experiments.len(), 1);
        // What names a run must be there; of logs that are none nothing is shown.
        assert_eq!(found.runs.len(), 6);
        for run in &found.runs {
            assert_eq!((run.name.as_str(), run.accuracy, run.pass_at_1), ("a", None, None));
        }
    }
}
