//! Follows a run through its folder: one that is over, or one that another process is writing.
//!
//! A thread looks at the folder twice a second and reads what has been added to its logs, so that
//! the same snapshots arise as from a trainer of this process. Rollouts are not read here; the
//! dashboard reads the steps that it shows.

use super::{
    EvaluationRecord, Event, EventKind, FidelityRecord, RecordedState, RunDir, RunInfo,
    RunSnapshot, RunState, SnapshotCell, Standing, Tail,
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
    /// Reads what is in the run folder `folder`, then keeps reading what is added to it. A folder
    /// that is not a run's is bad input.
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
            .map_err(|e| {
                Error::failed(format!("cannot start the thread that reads the run folder: {e}"))
            })?;
        Ok(watched)
    }
}

impl Drop for WatchedRun {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// A log that grows.
struct Log {
    name: &'static str,
    tail: Tail,
    /// How many of its lines have been read.
    count: usize,
    /// Those of them that have not been taken in.
    lines: Lines,
}

/// Lines of a log with their numbers, from 1.
type Lines = Vec<(usize, String)>;

impl Log {
    fn new(name: &'static str, tail: Tail) -> Self {
        Self { name, tail, count: 0, lines: Lines::new() }
    }

    /// Reads on; says whether the log is still the one that was read before.
    fn read(&mut self) -> Result<bool> {
        let Some(lines) = self.tail.lines()? else { return Ok(false) };
        let first = self.count + 1;
        self.count += lines.len();
        self.lines.extend((first..).zip(lines));
        Ok(true)
    }

    /// What has been read since this was called last.
    fn take(&mut self) -> Lines {
        std::mem::take(&mut self.lines)
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
    /// Whether the experiment may have changed since it was read.
    is_outdated: bool,
    /// Whether what the rows measure is known.
    is_declared: bool,
    error: Option<String>,
    snapshot: RunSnapshot,
}

impl Reader {
    fn open(folder: &Path) -> Result<Self> {
        let (run, experiment) = RunDir::open(folder)?;
        run.check_kinds(Path::metadata)?;
        let snapshot = RunSnapshot::starting(info(&run, &experiment)?);
        let mut reader = Self {
            metrics: Log::new("metrics.jsonl", run.tail_metrics()),
            evaluations: Log::new("evals.jsonl", run.tail_evaluations()),
            events: Log::new("events.jsonl", run.tail_events()),
            fidelity: Log::new("fidelity.jsonl", run.tail_fidelity()),
            is_paused: false,
            is_outdated: false,
            is_declared: false,
            error: None,
            snapshot,
            run,
        };
        reader.adopt_metrics();
        Ok(reader)
    }

    /// Reads what is new; says whether anything is.
    fn look(&mut self) -> bool {
        self.read().unwrap_or_else(|error| self.warn_once(error.to_string()))
    }

    /// Warns of something that may last; says whether that is new.
    fn warn_once(&mut self, text: String) -> bool {
        let is_new = self.snapshot.warnings.iter().all(|(_, told)| *told != text);
        if is_new {
            Arc::make_mut(&mut self.snapshot.warnings).push((self.snapshot.step, text));
        }
        is_new
    }

    /// What can fail comes first: nothing that was read is lost then.
    fn read(&mut self) -> Result<bool> {
        let mut are_same = true;
        for log in [&mut self.metrics, &mut self.evaluations, &mut self.events, &mut self.fidelity]
        {
            are_same &= log.read()?;
        }
        if !are_same {
            // The run was taken back to a checkpoint, perhaps with another experiment.
            let generation = self.snapshot.generation + 1;
            *self = Self::open(self.run.path())?;
            self.snapshot.generation = generation;
            self.read()?;
            return Ok(true);
        }
        let checkpoints = self.run.checkpoint_steps()?;
        let mut changed = self.take_in_lines();
        if *self.snapshot.checkpoints != checkpoints {
            self.snapshot.checkpoints = Arc::new(checkpoints);
            changed = true;
        }
        if self.is_outdated {
            changed |= match self.read_info() {
                Ok(info) => {
                    (self.snapshot.info, self.is_outdated) = (Arc::new(info), false);
                    true
                }
                Err(error) => self.warn_once(error.to_string()),
            };
        }
        let (state, written) = (self.state(), self.run.last_written());
        let snapshot = &mut self.snapshot;
        changed |= (&state, &written) != (&snapshot.state, &snapshot.last_written);
        snapshot.state = state;
        snapshot.last_written = written;
        let remaining = snapshot.info.last_step().saturating_sub(snapshot.step) as f64;
        snapshot.eta_s =
            snapshot.history.last().and_then(|row| Some(row.value("time/step_s")? * remaining));
        Ok(changed)
    }

    /// Says whether there were any.
    fn take_in_lines(&mut self) -> bool {
        let (metrics, evaluations) = (self.metrics.take(), self.evaluations.take());
        let (events, fidelity) = (self.events.take(), self.fidelity.take());
        // Whoever starts or continues a run declares what it measures before its first row.
        self.is_declared &= !events.iter().any(|(_, line)| starts_a_run(line));
        if !metrics.is_empty() && !self.is_declared {
            self.adopt_metrics();
            self.is_declared = true;
        }
        let snapshot = &mut self.snapshot;
        let rows: Vec<Option<MetricRow>> =
            metrics.par_iter().map(|(_, line)| MetricRow::from_json(line)).collect();
        let mut damaged = Vec::new();
        for ((number, line), row) in metrics.iter().zip(rows) {
            match row {
                Some(row) => snapshot.history.push(row),
                // It stands where the line of the next step would.
                None => damaged.push((
                    snapshot.history.last().map_or(0, |row| row.step) + 1,
                    *number,
                    line.as_str(),
                )),
            }
        }
        snapshot.step = snapshot.history.last().map_or(0, |row| row.step);
        warn_of_damage(snapshot, self.metrics.name, &damaged);
        let evaluated: Vec<EvaluationRecord> = read(snapshot, self.evaluations.name, &evaluations);
        let compared: Vec<FidelityRecord> = read(snapshot, self.fidelity.name, &fidelity);
        let happened: Vec<Event> = read(snapshot, self.events.name, &events);
        if !evaluated.is_empty() {
            Arc::make_mut(&mut snapshot.evaluations).extend(evaluated);
        }
        if !compared.is_empty() {
            Arc::make_mut(&mut snapshot.fidelity).extend(compared);
        }
        for event in happened {
            match event.kind {
                EventKind::Paused => self.is_paused = true,
                EventKind::Started | EventKind::Resumed => {
                    (self.is_paused, self.error) = (false, None);
                    // Perhaps with other settings, such as more steps.
                    self.is_outdated = true;
                }
                EventKind::Error => self.error = Some(event.text.clone()),
                _ => {}
            }
            snapshot.take_in(event);
        }
        [metrics, evaluations, events, fidelity].iter().any(|lines| !lines.is_empty())
    }

    /// Makes known what the run measures; says once what of that cannot be read.
    fn adopt_metrics(&mut self) {
        let (declarations, fault) = self.run.read_declarations();
        declarations.iter().for_each(Declaration::adopt);
        if let Some(fault) = fault {
            self.warn_once(fault);
        }
    }

    fn read_info(&self) -> Result<RunInfo> {
        let (run, experiment) = RunDir::open(self.run.path())?;
        info(&run, &experiment)
    }

    fn state(&self) -> RunState {
        let Standing { manifest, is_interrupted } = self.run.standing();
        match manifest.map(|manifest| manifest.state) {
            _ if is_interrupted => RunState::Interrupted,
            Some(RecordedState::Finished) => RunState::Finished,
            Some(RecordedState::Stopped) => RunState::Stopped,
            Some(RecordedState::Failed) => RunState::Failed {
                message: self
                    .error
                    .clone()
                    .unwrap_or_else(|| "events.jsonl does not say why".to_string()),
            },
            _ if self.is_paused => RunState::Paused,
            _ => RunState::Training,
        }
    }
}

/// Whether a line of `events.jsonl` says that a run was started or continued.
fn starts_a_run(line: &str) -> bool {
    let event: Option<Event> = serde_json::from_str(line).ok();
    event.is_some_and(|event| matches!(event.kind, EventKind::Started | EventKind::Resumed))
}

/// What the newest `lines` of a log say; warns of those that cannot be read.
fn read<T: DeserializeOwned>(
    snapshot: &mut RunSnapshot,
    name: &str,
    lines: &[(usize, String)],
) -> Vec<T> {
    let (mut read, mut damaged) = (Vec::new(), Vec::new());
    for (number, line) in lines {
        match serde_json::from_str(line) {
            Ok(record) => read.push(record),
            Err(_) => damaged.push((snapshot.step, *number, line.as_str())),
        }
    }
    warn_of_damage(snapshot, name, &damaged);
    read
}

/// Warns of damaged lines: the step that each belongs to, its number and what it says.
fn warn_of_damage(snapshot: &mut RunSnapshot, name: &str, damaged: &[(u64, usize, &str)]) {
    let named = damaged.iter().take(NAMED).map(|(step, number, line)| {
        (
            *step,
            format!("{name}, line {number} cannot be read and is left out: `{}`", shown(line, 60)),
        )
    });
    let rest = damaged.get(NAMED).map(|(step, number, _)| {
        let count = damaged.len() - NAMED;
        (
            *step,
            format!(
                "{name}: {count} more lines from line {number} on cannot be read and are left out"
            ),
        )
    });
    let warnings: Vec<(u64, String)> = named.chain(rest).collect();
    if !warnings.is_empty() {
        Arc::make_mut(&mut snapshot.warnings).extend(warnings);
    }
}

/// What a task is called whose run has not said it: that of a Dataset had the name of its data.
fn task_of_older_version(task: &TaskConfig) -> Result<String> {
    Ok(match task {
        TaskConfig::Custom(name) => name.clone(),
        task => to_text(task)?.split('(').next().unwrap_or_default().to_lowercase(),
    })
}

fn info(run: &RunDir, experiment: &Experiment) -> Result<RunInfo> {
    let (manifest, events) = (run.read_manifest(), run.read_events()?);
    let task = manifest.as_ref().and_then(|manifest| manifest.task.clone());
    Ok(RunInfo {
        experiment: Arc::new(RunInfo::in_force(experiment, events.iter().filter_map(Event::edit))),
        began: Arc::new(experiment.clone()),
        task: task.map_or_else(|| task_of_older_version(&experiment.task), Ok)?,
        model: manifest.as_ref().map(|manifest| manifest.model.clone()).unwrap_or_default(),
        device: manifest.map(|manifest| manifest.device).unwrap_or_default(),
        directory: run.path().to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;

    const SMALL: &str = r#"Experiment(name: "t", model: Bundled("countdown"), task: Countdown())"#;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("experiment.ron"), SMALL).unwrap();
        folder
    }

    fn append(folder: &Path, name: &str, text: &str) {
        let mut file = File::options().create(true).append(true).open(folder.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rows(steps: std::ops::RangeInclusive<u64>, value: f64) -> String {
        steps
            .map(|step| format!("{{\"step\":{step},\"reward/mean\":{value}}}\n"))
            .collect::<Vec<_>>()
            .concat()
    }

    fn event(kind: &str, text: &str) -> String {
        format!("{{\"step\":1,\"time\":\"\",\"kind\":\"{kind}\",\"text\":\"{text}\"}}\n")
    }

    fn manifest(folder: &Path, state: &str) {
        let text = r#"{"version": "", "commit": "", "device": "", "model": "", "model_hash": "", "data_hash": "", "started": "",
            "state": "STATE", "step": 1}"#;
        fs::write(folder.join("manifest.json"), text.replace("STATE", state)).unwrap();
    }

    #[test]
    fn a_task_has_the_name_that_the_manifest_tells_and_else_that_of_its_choice() {
        let folder = folder();
        let task = || Reader::open(folder.path()).unwrap().snapshot.info.task.clone();
        assert_eq!(task(), "countdown", "a run that has no manifest");
        manifest(folder.path(), "finished");
        assert_eq!(task(), "countdown", "a run of an older version");
        let dataset = SMALL.replace("Countdown()", "Dataset(source: Local(\"problems.jsonl\"))");
        fs::write(folder.path().join("experiment.ron"), dataset).unwrap();
        assert_eq!(task(), "dataset");
        let path = folder.path().join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let named = text.replacen('{', r#"{"task": "problems", "#, 1);
        fs::write(&path, named).unwrap();
        assert_eq!(task(), "problems");
    }

    #[test]
    fn what_was_read_before_another_log_failed_is_taken_in_later() {
        let folder = folder();
        append(folder.path(), "metrics.jsonl", &rows(1..=1, 0.0));
        let mut reader = Reader::open(folder.path()).unwrap();
        reader.read().unwrap();
        append(folder.path(), "metrics.jsonl", &rows(2..=2, 0.0));
        fs::create_dir(folder.path().join("evals.jsonl")).unwrap();
        assert!(reader.look() && !reader.look(), "it is told once");
        assert!(
            reader.snapshot.warnings[0].1.contains("evals.jsonl"),
            "{:?}",
            reader.snapshot.warnings
        );
        fs::remove_dir(folder.path().join("evals.jsonl")).unwrap();
        append(folder.path(), "metrics.jsonl", &rows(3..=3, 0.0));
        assert!(reader.look());
        assert_eq!(
            reader.snapshot.history.iter().map(|row| row.step).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn an_experiment_that_cannot_be_read_when_a_run_continues_hides_no_event() {
        let folder = folder();
        let mut reader = Reader::open(folder.path()).unwrap();
        reader.read().unwrap();
        fs::write(folder.path().join("experiment.ron"), "Experiment(").unwrap();
        append(folder.path(), "events.jsonl", &(event("resumed", "") + &event("warning", "odd")));
        assert!(reader.look() && !reader.look());
        assert_eq!(reader.snapshot.events.len(), 2);
        let warned =
            |text: &str| reader.snapshot.warnings.iter().any(|(_, warning)| warning.contains(text));
        assert!(warned("odd") && warned("experiment.ron"), "{:?}", reader.snapshot.warnings);
        let longer = SMALL.replace("task", "stop: (steps: 77), task");
        fs::write(folder.path().join("experiment.ron"), longer).unwrap();
        assert!(reader.look());
        assert_eq!(reader.snapshot.info.last_step(), 77);
    }

    #[test]
    fn an_error_is_that_of_the_run_as_it_was_continued() {
        let folder = folder();
        append(folder.path(), "events.jsonl", &event("error", "disk full"));
        manifest(folder.path(), "failed");
        let mut reader = Reader::open(folder.path()).unwrap();
        reader.read().unwrap();
        assert_eq!(reader.snapshot.state, RunState::Failed { message: "disk full".to_string() });
        append(folder.path(), "events.jsonl", &event("resumed", ""));
        reader.read().unwrap();
        let RunState::Failed { message } = &reader.snapshot.state else {
            panic!("{:?}", reader.snapshot.state)
        };
        assert!(!message.contains("disk full"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_run_that_was_taken_back_and_has_come_as_far_again_is_read_anew() {
        let folder = folder();
        append(folder.path(), "metrics.jsonl", &rows(1..=3, 0.25));
        let mut reader = Reader::open(folder.path()).unwrap();
        reader.read().unwrap();
        assert_eq!(reader.snapshot.generation, 0);
        // As it is taken back: a new file in place of the old one.
        fs::write(folder.path().join("new"), rows(1..=2, 0.25)).unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("metrics.jsonl")).unwrap();
        append(folder.path(), "metrics.jsonl", &rows(3..=4, 0.75));
        assert!(reader.look());
        let values: Vec<_> =
            reader.snapshot.history.iter().map(|row| row.value("reward/mean").unwrap()).collect();
        assert_eq!(values, [0.25, 0.25, 0.75, 0.75]);
        assert_eq!(reader.snapshot.generation, 1);
    }

    #[test]
    fn what_a_run_declares_when_it_is_continued_is_known_before_its_rows_are_read() {
        let folder = folder();
        let mut reader = Reader::open(folder.path()).unwrap();
        reader.read().unwrap();
        let declared = r#"[{"name": "later/declared", "unit": "s", "better": "lower", "title": "Declared later", "help": "A test's own."}]"#;
        fs::write(folder.path().join("metrics.json"), declared).unwrap();
        append(folder.path(), "metrics.jsonl", "{\"step\":1,\"later/declared\":1.0}\n");
        reader.read().unwrap();
        assert_eq!(crate::metrics::find("later/declared").unwrap().unit, "s");
    }
}
