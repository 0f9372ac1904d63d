//! The start screen's side: which experiments and runs there are, read on a thread of its own, and
//! the runs that it starts.

use crate::dashboard::state::label;
use crate::dashboard::state::label::Traits;
use crate::dashboard::state::standing::{Resumption, resumption, silence_s};
use crate::error::{Error, Result};
use crate::experiment::{self, Experiment};
use crate::files::{self, SETTINGS_BYTES};
use crate::run::{Event, EventKind, RecordedState, RunDir, Standing};
use crate::stages::metrics;
use crate::trainer::Run;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// What an empty folder of experiments is offered.
const QUICKSTART: &str = include_str!("../../../experiments/quickstart.ron");

/// Time between two looks at the folders while nobody asks for one; more where a look takes long.
const READ_EVERY: Duration = Duration::from_secs(2);
/// A look may take this share of the time.
const READ_SHARE: u32 = 20;

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
    /// Its text; empty where it cannot be read.
    pub(crate) text: String,
    /// What it says, or what is wrong with it.
    pub(crate) experiment: Result<Experiment, String>,
}

impl ExperimentFile {
    fn read(path: &Path) -> Self {
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
    /// Where it stands.
    pub(crate) state: PastState,
    /// Steps finished, of how many.
    pub(crate) steps: (u64, u64),
    /// How it can be continued, where it ended early.
    pub(crate) resumption: Option<Resumption>,
    /// What sets it apart from the other runs of its name, such as `lambda 0.5`.
    pub(crate) differences: Vec<String>,
    /// When it started, UTC.
    pub(crate) started: String,
    /// Training accuracy of the last step.
    pub(crate) accuracy: Option<f64>,
    /// pass@1 of the last evaluation.
    pub(crate) pass_at_1: Option<f64>,
    /// Why it ended early.
    pub(crate) error: Option<String>,
    /// The settings of its experiment, as labels compare them.
    settings: Vec<(String, String)>,
    /// When its folder was last written to.
    written: Option<SystemTime>,
}

impl PastRun {
    fn traits(&self) -> Traits<'_> {
        Traits { name: &self.name, method: &self.method, settings: &self.settings }
    }
}

/// Where a run of the list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PastState {
    /// As its manifest says.
    Recorded(RecordedState),
    /// It says that it is training, but its process is gone.
    Interrupted,
    /// It says that it is training, nobody knows of its process, and nothing was heard of it for
    /// long.
    Silent,
}

impl PastState {
    /// As shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recorded(RecordedState::Training) => "training",
            Self::Recorded(RecordedState::Finished) => "finished",
            Self::Recorded(RecordedState::Stopped) => "stopped",
            Self::Recorded(RecordedState::Failed) => "failed",
            Self::Interrupted => "interrupted",
            Self::Silent => "silent",
        }
    }

    /// Whether more may come without anybody asking for it.
    fn may_change(self) -> bool {
        matches!(self, Self::Recorded(RecordedState::Training) | Self::Interrupted | Self::Silent)
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

/// The start screen.
pub(crate) struct Start {
    places: Places,
    /// What there is.
    pub(crate) found: Arc<Found>,
    /// The experiment that is being looked at and edited.
    pub(crate) editor: Option<Editor>,
    /// Experiments that were edited before and not saved.
    unsaved: Vec<Editor>,
    /// Run folders that are ticked, to be opened together.
    pub(crate) ticked: Vec<PathBuf>,
    /// Why the last thing failed.
    pub(crate) error: Option<String>,
    answers: (Sender<Found>, Receiver<Found>),
    is_reading: bool,
    /// Whether somebody asked for a look while another went on.
    is_wanted: bool,
    /// When the folders are read again.
    due: Instant,
    began: Instant,
    wake: egui::Context,
}

impl Start {
    /// A start screen on `places` that wakes the window of `wake`.
    pub(crate) fn new(places: Places, wake: egui::Context) -> Self {
        let now = Instant::now();
        let mut start = Self {
            places,
            found: Arc::default(),
            editor: None,
            unsaved: Vec::new(),
            ticked: Vec::new(),
            error: None,
            answers: bounded(1),
            is_reading: false,
            is_wanted: false,
            due: now,
            began: now,
            wake,
        };
        start.read_again();
        start
    }

    /// Reads the folders on a thread of its own and wakes the window with what is there.
    pub(crate) fn read_again(&mut self) {
        if self.is_reading {
            // What is being read may be older than what was asked for.
            self.is_wanted = true;
            return;
        }
        let (places, before) = (self.places.clone(), Arc::clone(&self.found));
        let (answers, wake) = (self.answers.0.clone(), self.wake.clone());
        let read = move || {
            if answers.send(find(&places, &before)).is_ok() {
                wake.request_repaint();
            }
        };
        (self.is_reading, self.began) = (true, Instant::now());
        if std::thread::Builder::new().name("start screen".to_owned()).spawn(read).is_err() {
            self.is_reading = false;
        }
    }

    /// Whether nothing has been read yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.experiments.is_empty() && self.found.runs.is_empty()
    }

    /// Whether the folders are being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Where experiments and runs are.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Says that something failed.
    pub(crate) fn fail(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Takes in what was found.
    pub(crate) fn take_in(&mut self) {
        if let Ok(found) = self.answers.1.try_recv() {
            self.is_reading = false;
            self.due = self.began + READ_EVERY.max(self.began.elapsed() * READ_SHARE);
            self.ticked.retain(|path| found.runs.iter().any(|run| run.path == *path));
            if let Some(editor) = &mut self.editor {
                editor.follow(&found.experiments);
            }
            self.found = Arc::new(found);
            if std::mem::take(&mut self.is_wanted) {
                self.read_again();
            }
        }
    }

    /// Reads the folders again once it is time, while the screen is seen.
    pub(crate) fn keep_reading(&mut self) {
        let now = Instant::now();
        if now >= self.due && !self.is_reading {
            self.read_again();
        }
        self.wake.request_repaint_after(
            self.due.saturating_duration_since(now).max(Duration::from_millis(100)),
        );
    }

    /// Looks at an experiment file, as it was left where it has been edited and not saved.
    pub(crate) fn edit(&mut self, file: &ExperimentFile) {
        self.close_editor();
        let kept = self.unsaved.iter().position(|editor| editor.path == file.path);
        self.editor =
            Some(kept.map_or_else(|| Editor::new(file), |place| self.unsaved.remove(place)));
    }

    /// Closes the experiment that is looked at; what is not saved is kept.
    pub(crate) fn close_editor(&mut self) {
        self.unsaved.extend(self.editor.take().filter(Editor::is_changed));
    }

    /// Whether an experiment file has been edited and not saved.
    pub(crate) fn is_unsaved(&self, path: &Path) -> bool {
        self.editor
            .iter()
            .chain(&self.unsaved)
            .any(|editor| editor.path == path && editor.is_changed())
    }

    /// Writes the quickstart into the folder of experiments, which has none, and looks at it.
    pub(crate) fn write_quickstart(&mut self) {
        let path = self.places.experiments.join("quickstart.ron");
        let written = std::fs::create_dir_all(&self.places.experiments)
            .and_then(|()| std::fs::File::create_new(&path))
            .and_then(|mut file| std::io::Write::write_all(&mut file, QUICKSTART.as_bytes()));
        match written {
            Ok(()) => {
                self.error = None;
                self.edit(&ExperimentFile::read(&path));
                self.read_again();
            }
            Err(error) => self.fail(Error::io("writing the quickstart", &path)(error).to_string()),
        }
    }
}

/// An experiment that is being edited, and what is wrong with it.
pub(crate) struct Editor {
    /// The file that it came from.
    pub(crate) path: PathBuf,
    /// The text as edited.
    pub(crate) text: String,
    /// The text as last saved.
    saved: String,
    /// The file to save it as.
    pub(crate) name: String,
    /// The experiment, or what is wrong.
    pub(crate) parsed: Result<Experiment, String>,
    /// Fields that differ from the defaults, as `--set` takes them.
    pub(crate) differences: Vec<String>,
}

impl Editor {
    /// Looks at an experiment file.
    pub(crate) fn new(file: &ExperimentFile) -> Self {
        let name = file_name(&file.path);
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
    pub(crate) fn is_changed(&self) -> bool {
        self.text != self.saved
    }

    /// Takes the text of the file again, and its name; what was edited here is gone.
    pub(crate) fn revert(&mut self) -> Result<()> {
        let there = files::read_text(&self.path, SETTINGS_BYTES);
        (self.text, self.name) = (
            there.map_err(Error::io("reading the experiment", &self.path))?,
            file_name(&self.path),
        );
        self.saved.clone_from(&self.text);
        self.check();
        Ok(())
    }

    /// Whether there is anything to take back.
    pub(crate) fn can_revert(&self, files: &[ExperimentFile]) -> bool {
        let is_other = files.iter().any(|file| file.path == self.path && file.text != self.saved);
        self.is_changed() || is_other || self.name != file_name(&self.path)
    }

    /// Takes over what another program has made of the file, unless the text has been edited here.
    fn follow(&mut self, files: &[ExperimentFile]) {
        let file = files.iter().find(|file| file.path == self.path);
        if let Some(file) = file.filter(|file| file.text != self.saved && !self.is_changed()) {
            (self.text, self.saved) = (file.text.clone(), file.text.clone());
            self.check();
        }
    }

    /// Parses and validates the text as it is now.
    pub(crate) fn check(&mut self) {
        let parsed = experiment::from_text::<Experiment>(&self.text, &self.name)
            .and_then(|experiment| experiment.validate().map(|()| experiment));
        self.parsed = parsed.map_err(|error| error.to_string());
        if let Ok(experiment) = &self.parsed {
            self.differences = differences(experiment).unwrap_or_default();
        }
    }

    /// Writes the text to the file `name` beside the one that it came from. Another existing file
    /// is not overwritten.
    pub(crate) fn save(&mut self) -> Result<()> {
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
            return Err(Error::input(format!(
                "{} is there already; choose another name",
                path.display()
            )));
        }
        let there = || {
            files::read_text(&path, SETTINGS_BYTES)
                .map_err(Error::io("reading the experiment", &path))
        };
        if path == self.path && path.exists() && there()? != self.saved {
            return Err(Error::input(format!(
                "{} has been changed by another program since it was opened; save the text under \
                 another name",
                path.display()
            )));
        }
        files::write_whole(&path, self.text.as_bytes())
            .map_err(Error::io("saving the experiment", &path))?;
        self.path = path;
        self.saved.clone_from(&self.text);
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The fields in which the experiment differs from one of its model and task with all defaults, as
/// `--set` takes them.
fn differences(experiment: &Experiment) -> Result<Vec<String>> {
    let least = format!(
        "Experiment(name: {:?}, model: {}, task: {})",
        experiment.name,
        experiment::to_text(&experiment.model)?,
        experiment::to_text(&experiment.task)?
    );
    let defaults = experiment::from_text::<Experiment>(&least, "defaults")?;
    let changed = experiment::differences(&defaults, experiment)?
        .into_iter()
        .filter(|of| of.path != "description");
    Ok(changed.map(|of| format!("{}={}", of.path, of.to)).collect())
}

/// What is there now. Runs that have not been written to since `before` need not be read again.
fn find(places: &Places, before: &Found) -> Found {
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
        known.cloned().or_else(|| past_run(path, written))
    };
    let mut runs: Vec<PastRun> = list(&places.runs).iter().filter_map(run).collect();
    runs.sort_by(|a, b| b.started.cmp(&a.started));
    let traits: Vec<Traits<'_>> = runs.iter().map(PastRun::traits).collect();
    let found: Vec<_> = traits.iter().map(|run| label::differences(run, &traits)).collect();
    runs.iter_mut().zip(found).for_each(|(run, differences)| run.differences = differences);
    Found { experiments, runs }
}

fn past_run(path: &Path, written: Option<SystemTime>) -> Option<PastRun> {
    let (run, experiment) = RunDir::open(path).ok()?;
    let Standing { manifest, is_interrupted } = run.standing();
    // One that was killed early has said nothing of itself; one that is about to will.
    let (recorded, step, started) = match manifest {
        Some(manifest) => (manifest.state, manifest.step, manifest.started),
        None if is_interrupted => (RecordedState::Training, 0, begun(path)),
        None => return None,
    };
    let last = run.last_metrics().ok().flatten();
    let evaluation = run.read_evaluations().ok().and_then(|records| records.last().cloned());
    let error = (recorded == RecordedState::Failed)
        .then(|| {
            run.read_events()
                .ok()?
                .into_iter()
                .rev()
                .find(|event: &Event| event.kind == EventKind::Error)
        })
        .flatten();
    let unwritten_s =
        written.and_then(|written| written.elapsed().ok()).map_or(0.0, |age| age.as_secs_f64());
    let is_silent = recorded == RecordedState::Training && unwritten_s > silence_s(last.as_ref());
    let has_ended = recorded != RecordedState::Training || is_interrupted || is_silent;
    let checkpoint = run.checkpoint_steps().ok().and_then(|steps| steps.last().copied());
    let is_finished = recorded == RecordedState::Finished;
    Some(PastRun {
        path: path.to_path_buf(),
        name: experiment.name.clone(),
        method: experiment.method.label().to_owned(),
        seed: experiment.seed,
        state: match recorded {
            _ if is_interrupted => PastState::Interrupted,
            _ if is_silent => PastState::Silent,
            state => PastState::Recorded(state),
        },
        steps: (last.as_ref().map_or(step, |row| row.step), experiment.stop.steps),
        resumption: resumption(has_ended, is_finished, checkpoint, experiment.stop.steps),
        differences: Vec::new(),
        settings: label::settings(&experiment),
        started,
        accuracy: last.and_then(|row| row.get(&metrics::REWARD_ACCURACY)),
        pass_at_1: evaluation.and_then(|record| record.pass(1)).map(|estimate| estimate.value),
        error: error.map(|event| event.text),
        written,
    })
}

/// When a run began that has not said so itself: when its experiment was written.
fn begun(path: &Path) -> String {
    let written =
        std::fs::metadata(path.join("experiment.ron")).and_then(|file| file.modified()).ok();
    let time = written.and_then(|written| jiff::Timestamp::try_from(written).ok());
    time.map_or_else(String::new, |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor(text: &str, folder: &Path) -> Editor {
        Editor::new(&ExperimentFile {
            path: folder.join("a.ron"),
            text: text.to_owned(),
            experiment: Err(String::new()),
        })
    }

    const SMALL: &str = "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
                         stop: (steps: 7), method: Grpo)";

    #[test]
    fn an_experiment_is_validated_as_it_is_typed_and_named_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(SMALL, folder.path());
        assert!(editor.parsed.is_ok());
        assert!(
            editor.differences.iter().any(|line| line == "stop.steps=7"),
            "{:?}",
            editor.differences
        );
        assert!(!editor.differences.iter().any(|line| line.contains("learning_rate")));
        // Each can be written after --set, with the same effect.
        let mut again: Experiment =
            experiment::from_text(&SMALL.replace("steps: 7", "steps: 8"), "again").unwrap();
        for difference in &editor.differences {
            again = experiment::set(&again, difference).unwrap();
        }
        assert_eq!(
            experiment::to_text(&again).unwrap(),
            experiment::to_text(editor.parsed.as_ref().unwrap()).unwrap()
        );
        editor.text = SMALL.replace("steps: 7", "stepz: 7");
        editor.check();
        assert!(editor.parsed.as_ref().unwrap_err().contains("steps"), "{:?}", editor.parsed);
        editor.text = SMALL.replace("steps: 7", "steps: 0");
        editor.check();
        assert!(editor.parsed.as_ref().unwrap_err().contains("stop.steps"), "{:?}", editor.parsed);
    }

    #[test]
    fn edits_are_taken_back_with_the_text_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(SMALL, folder.path());
        assert!(!editor.can_revert(&[]));
        std::fs::write(folder.path().join("a.ron"), SMALL.replace("steps: 7", "steps: 8")).unwrap();
        let file = ExperimentFile::read(&folder.path().join("a.ron"));
        assert!(editor.can_revert(&[file]), "another program has changed it");
        editor.text = "what nobody wants".to_owned();
        editor.check();
        assert!(editor.can_revert(&[]) && editor.parsed.is_err());
        editor.revert().unwrap();
        assert!(
            editor.text.contains("steps: 8") && editor.parsed.is_ok() && !editor.can_revert(&[])
        );
        editor.save().unwrap();
        std::fs::remove_file(folder.path().join("a.ron")).unwrap();
        assert!(editor.revert().unwrap_err().to_string().contains("a.ron"));
        assert!(editor.text.contains("steps: 8"), "nothing is lost");
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
