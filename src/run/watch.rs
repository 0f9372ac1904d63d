//! Follows a run through its folder: one that is over, or one that another process is writing.
//!
//! A thread looks at the folder twice a second and reads what has been added to its logs, so that the same snapshots arise as
//! from a trainer of this process. Rollouts are not read here; the dashboard reads the steps that it shows.

use super::{
    EvaluationRecord, Event, EventKind, FidelityRecord, RecordedState, RunDir, RunInfo, RunSnapshot, RunState,
    SnapshotCell, Tail,
};
use crate::error::{Error, Result};
use crate::escape::shown;
use crate::experiment::{Experiment, TaskConfig, to_text};
use crate::metrics::{Declaration, MetricRow};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Damaged lines that are named one by one, at a time.
const NAMED: usize = 5;

/// Time between two looks at the folder.
const INTERVAL: Duration = Duration::from_millis(500);

/// A run that is read from its folder. Dropping this ends the reading.
pub struct WatchedRun {
    /// Its snapshots.
    pub snapshots: SnapshotCell,
    is_over: Arc<AtomicBool>,
}

impl WatchedRun {
    /// Reads what is in the run folder `folder`, then goes on reading what is added to it. A folder that is not a run's is bad
    /// input.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut reader = Reader::open(folder)?;
        reader.read()?;
        let snapshots = SnapshotCell::new(reader.snapshot.clone());
        let is_over = Arc::new(AtomicBool::new(false));
        let watched = Self { snapshots: snapshots.clone(), is_over: Arc::clone(&is_over) };
        std::thread::Builder::new()
            .name("run watcher".to_string())
            .spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    std::thread::sleep(INTERVAL);
                    if reader.look() {
                        snapshots.update(|snapshot| *snapshot = reader.snapshot.clone());
                    }
                }
            })
            .map_err(|e| Error::failed(format!("cannot start the thread that reads the run folder: {e}")))?;
        Ok(watched)
    }
}

impl Drop for WatchedRun {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// A log that grows, and how many of its lines have been read.
struct Log {
    name: &'static str,
    tail: Tail,
    read: usize,
}

/// Lines of a log with their numbers, from 1.
type Lines = Vec<(usize, String)>;

impl Log {
    fn new(name: &'static str, tail: Tail) -> Self {
        Self { name, tail, read: 0 }
    }

    /// See [`Tail::lines`].
    fn lines(&mut self) -> Result<Option<Lines>> {
        let Some(lines) = self.tail.lines()? else { return Ok(None) };
        let first = self.read + 1;
        self.read += lines.len();
        Ok(Some((first..).zip(lines).collect()))
    }
}

/// What has been read so far.
struct Reader {
    run: RunDir,
    metrics: Log,
    evaluations: Log,
    events: Log,
    fidelity: Log,
    is_paused: bool,
    error: Option<String>,
    snapshot: RunSnapshot,
}

impl Reader {
    fn open(folder: &Path) -> Result<Self> {
        let (run, experiment) = RunDir::open(folder)?;
        run.check_kinds(Path::metadata)?;
        run.read_declarations().iter().for_each(Declaration::adopt);
        Ok(Self {
            metrics: Log::new("metrics.jsonl", run.tail_metrics()),
            evaluations: Log::new("evals.jsonl", run.tail_evaluations()),
            events: Log::new("events.jsonl", run.tail_events()),
            fidelity: Log::new("fidelity.jsonl", run.tail_fidelity()),
            is_paused: false,
            error: None,
            snapshot: RunSnapshot::starting(info(&run, &experiment)?),
            run,
        })
    }

    /// Reads what is new; says whether anything is.
    fn look(&mut self) -> bool {
        match self.read() {
            Ok(changed) => changed,
            Err(error) => {
                let warning = (self.snapshot.step, error.to_string());
                let is_new = self.snapshot.warnings.last() != Some(&warning);
                if is_new {
                    Arc::make_mut(&mut self.snapshot.warnings).push(warning);
                }
                is_new
            }
        }
    }

    fn read(&mut self) -> Result<bool> {
        let (Some(metrics), Some(evaluations), Some(events), Some(fidelity)) =
            (self.metrics.lines()?, self.evaluations.lines()?, self.events.lines()?, self.fidelity.lines()?)
        else {
            // The run was taken back to a checkpoint, perhaps with another experiment.
            *self = Self::open(self.run.path())?;
            self.read()?;
            return Ok(true);
        };
        let snapshot = &mut self.snapshot;
        let mut changed = [&metrics, &evaluations, &events, &fidelity].iter().any(|lines| !lines.is_empty());

        let rows: Vec<Option<MetricRow>> = metrics.par_iter().map(|(_, line)| MetricRow::from_json(line)).collect();
        let mut damaged = Vec::new();
        for ((number, line), row) in metrics.iter().zip(rows) {
            match row {
                Some(row) => snapshot.history.push(row),
                // It stands where the line of the next step would.
                None => damaged.push((snapshot.history.last().map_or(0, |row| row.step) + 1, *number, line.as_str())),
            }
        }
        snapshot.step = snapshot.history.last().map_or(0, |row| row.step);
        let mut lines = Damaged { snapshot };
        lines.warn(self.metrics.name, &damaged);
        let evaluations: Vec<EvaluationRecord> = lines.read(self.evaluations.name, &evaluations);
        let fidelity: Vec<FidelityRecord> = lines.read(self.fidelity.name, &fidelity);
        let events: Vec<Event> = lines.read(self.events.name, &events);
        if !evaluations.is_empty() {
            Arc::make_mut(&mut snapshot.evaluations).extend(evaluations);
        }
        if !fidelity.is_empty() {
            Arc::make_mut(&mut snapshot.fidelity).extend(fidelity);
        }
        for event in events {
            match event.kind {
                EventKind::Paused => self.is_paused = true,
                EventKind::Started => self.is_paused = false,
                EventKind::Resumed => {
                    self.is_paused = false;
                    // Perhaps with other settings, such as more steps.
                    let (_, experiment) = RunDir::open(self.run.path())?;
                    snapshot.info = Arc::new(info(&self.run, &experiment)?);
                }
                EventKind::Error => self.error = Some(event.text.clone()),
                _ => {}
            }
            snapshot.take_in(event);
        }
        let checkpoints = self.run.checkpoint_steps()?;
        if *snapshot.checkpoints != checkpoints {
            snapshot.checkpoints = Arc::new(checkpoints);
            changed = true;
        }
        let manifest = self.run.read_manifest();
        let state = match manifest.as_ref().map(|manifest| manifest.state) {
            Some(RecordedState::Finished) => RunState::Finished,
            Some(RecordedState::Stopped) => RunState::Stopped,
            Some(RecordedState::Failed) => RunState::Failed {
                message: self.error.clone().unwrap_or_else(|| "events.jsonl does not say why".to_string()),
            },
            Some(_) if manifest.as_ref().is_some_and(|manifest| self.run.is_interrupted(manifest)) => {
                RunState::Interrupted
            }
            _ if self.is_paused => RunState::Paused,
            _ => RunState::Training,
        };
        let written = self.run.last_written();
        changed |= (&state, &written) != (&snapshot.state, &snapshot.last_written);
        snapshot.state = state;
        snapshot.last_written = written;
        let remaining = snapshot.info.last_step().saturating_sub(snapshot.step) as f64;
        snapshot.eta_s = snapshot.history.last().and_then(|row| Some(row.value("time/step_s")? * remaining));
        Ok(changed)
    }
}

/// Says which lines of a log could not be read.
struct Damaged<'a> {
    snapshot: &'a mut RunSnapshot,
}

impl Damaged<'_> {
    fn read<T: DeserializeOwned>(&mut self, name: &str, lines: &[(usize, String)]) -> Vec<T> {
        let (mut read, mut damaged) = (Vec::new(), Vec::new());
        for (number, line) in lines {
            match serde_json::from_str(line) {
                Ok(record) => read.push(record),
                Err(_) => damaged.push((self.snapshot.step, *number, line.as_str())),
            }
        }
        self.warn(name, &damaged);
        read
    }

    /// Warns of damaged lines: the step that each belongs to, its number and what it says.
    fn warn(&mut self, name: &str, damaged: &[(u64, usize, &str)]) {
        let named = damaged.iter().take(NAMED).map(|(step, number, line)| {
            (*step, format!("{name}, line {number} cannot be read and is left out: `{}`", shown(line, 60)))
        });
        let rest = damaged.get(NAMED).map(|(step, number, _)| {
            let count = damaged.len() - NAMED;
            (*step, format!("{name}: {count} more lines from line {number} on cannot be read and are left out"))
        });
        let warnings: Vec<(u64, String)> = named.chain(rest).collect();
        if !warnings.is_empty() {
            Arc::make_mut(&mut self.snapshot.warnings).extend(warnings);
        }
    }
}

fn info(run: &RunDir, experiment: &Experiment) -> Result<RunInfo> {
    let manifest = run.read_manifest();
    let task = match &experiment.task {
        TaskConfig::Custom(name) => name.clone(),
        task => {
            let text = to_text(task)?;
            text.split('(').next().unwrap_or_default().to_lowercase()
        }
    };
    Ok(RunInfo {
        experiment: Arc::new(experiment.clone()),
        method: experiment.method.label().to_string(),
        task,
        model: manifest.as_ref().map(|manifest| manifest.model.clone()).unwrap_or_default(),
        device: manifest.map(|manifest| manifest.device).unwrap_or_default(),
        directory: run.path().to_path_buf(),
    })
}
