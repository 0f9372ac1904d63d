//! The start screen's side: which experiments and runs there are, read on a thread of its own, and
//! the runs that it starts.

use crate::dashboard::runs::editor::Editor;
use crate::dashboard::runs::found::{ExperimentFile, Found, Places, find};
use crate::error::Error;
use crate::trainer::Run;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What an empty folder of experiments is offered.
const QUICKSTART: &str = include_str!("../../../experiments/quickstart.ron");

/// Time between two looks at the folders while nobody asks for one; more where a look takes long.
const READ_EVERY: Duration = Duration::from_secs(2);
/// A look may take this share of the time.
const READ_SHARE: u32 = 20;

/// Runs that the window started; whoever opened it waits for their ends.
pub type StartedRuns = Arc<Mutex<Vec<Run>>>;

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
