//! Follows a run through its folder: one that is over, or one that another process is writing.
//!
//! A thread looks at the folder twice a second and reads what has been added to its logs, so that the same snapshots arise as
//! from a trainer of this process. Rollouts are not read here; the dashboard reads the steps that it shows.

use super::snapshot::{RunInfo, RunSnapshot, RunState, SnapshotCell};
use crate::error::{Error, Result};
use crate::evaluation::EvaluationRecord;
use crate::experiment::{Event, Experiment, FidelityRecord, RunDir, Tail, TaskConfig, to_text};
use crate::files::lines::numbered;
use crate::metrics::{self, MetricRow};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// What has been read so far.
struct Reader {
    run: RunDir,
    metrics: Tail,
    evaluations: Tail,
    events: Tail,
    fidelity: Tail,
    is_paused: bool,
    error: Option<String>,
    snapshot: RunSnapshot,
}

impl Reader {
    fn open(folder: &Path) -> Result<Self> {
        let (run, experiment) = RunDir::open(folder)?;
        run.check_kinds(Path::metadata)?;
        Ok(Self {
            metrics: run.tail_metrics(),
            evaluations: run.tail_evaluations(),
            events: run.tail_events(),
            fidelity: run.tail_fidelity(),
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

        let rows = read("metrics.jsonl", &metrics, &self.metrics, snapshot, MetricRow::from_json);
        rows.into_iter().for_each(|row| snapshot.history.push(row));
        let evaluations: Vec<EvaluationRecord> =
            read("evals.jsonl", &evaluations, &self.evaluations, snapshot, |line| serde_json::from_str(line).ok());
        let fidelity: Vec<FidelityRecord> =
            read("fidelity.jsonl", &fidelity, &self.fidelity, snapshot, |line| serde_json::from_str(line).ok());
        let events: Vec<Event> =
            read("events.jsonl", &events, &self.events, snapshot, |line| serde_json::from_str(line).ok());
        snapshot.step = snapshot.history.last().map_or(0, |row| row.step);
        if !evaluations.is_empty() {
            Arc::make_mut(&mut snapshot.evaluations).extend(evaluations);
        }
        if !fidelity.is_empty() {
            Arc::make_mut(&mut snapshot.fidelity).extend(fidelity);
        }
        for event in events {
            match event.kind.as_ref() {
                "paused" => self.is_paused = true,
                "started" => self.is_paused = false,
                "resumed" => {
                    self.is_paused = false;
                    // Perhaps with other settings, such as more steps.
                    let (_, experiment) = RunDir::open(self.run.path())?;
                    snapshot.info = Arc::new(info(&self.run, &experiment)?);
                }
                "warning" => Arc::make_mut(&mut snapshot.warnings).push((event.step, event.text.clone())),
                "error" => self.error = Some(event.text.clone()),
                _ => {}
            }
            Arc::make_mut(&mut snapshot.events).push(event);
        }
        let checkpoints = self.run.checkpoint_steps()?;
        if *snapshot.checkpoints != checkpoints {
            snapshot.checkpoints = Arc::new(checkpoints);
            changed = true;
        }
        let manifest = self.run.read_manifest();
        let state = match manifest.as_ref().map(|manifest| manifest.state.as_str()) {
            Some("finished") => RunState::Finished,
            Some("stopped") => RunState::Stopped,
            Some("failed") => RunState::Failed {
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
        let remaining = snapshot.info.stop_step.saturating_sub(snapshot.step) as f64;
        snapshot.eta_s = snapshot.history.last().and_then(|row| Some(row.get(&metrics::TIME_STEP_S)? * remaining));
        Ok(changed)
    }
}

/// What the newest `lines` of a log say; those that say nothing are a warning.
fn read<T: Send>(
    name: &str,
    lines: &[String],
    log: &Tail,
    snapshot: &mut RunSnapshot,
    parse: impl Fn(&str) -> Option<T> + Sync,
) -> Vec<T> {
    let read: Vec<Option<T>> = lines.par_iter().map(|line| parse(line)).collect();
    let first = log.seen() + 1 - lines.len();
    let damaged: Vec<usize> =
        read.iter().enumerate().filter(|(_, line)| line.is_none()).map(|(place, _)| first + place).collect();
    if !damaged.is_empty() {
        let cannot =
            if damaged.len() == 1 { "is damaged and cannot be shown" } else { "are damaged and cannot be shown" };
        let text = format!("{name}: {} {cannot}", numbered("line", &damaged));
        Arc::make_mut(&mut snapshot.warnings).push((snapshot.step, text));
    }
    read.into_iter().flatten().collect()
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
        name: experiment.name.clone(),
        seed: experiment.seed,
        method: experiment.method.label().to_string(),
        task,
        model: manifest.as_ref().map(|manifest| manifest.model.clone()).unwrap_or_default(),
        device: manifest.map(|manifest| manifest.device).unwrap_or_default(),
        temperature: experiment.rollout.temperature,
        stop_step: experiment.stop.steps,
        directory: run.path().to_path_buf(),
        experiment_ron: to_text(experiment)?,
    })
}
