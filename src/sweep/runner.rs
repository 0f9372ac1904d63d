//! The runs of a sweep as processes of this program, several at a time.

use super::record::{RunState, SweepRecord, SweepRun};
use super::{PlannedRun, Sweep};
use crate::error::{Error, Result};
use crate::experiment::{self, Experiment, differences};
use crate::files;
use crate::files::lock::{self, Holder};
use crate::run::{RecordedState, RunDir};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a run was begun with, in its folder of the sweep.
const BEGUN: &str = "experiment.ron";

/// What its processes have said.
const OUTPUT: &str = "output.txt";

/// Time between two looks at the processes.
const LOOK: Duration = Duration::from_millis(200);

/// Runs a sweep.
pub struct Runner {
    /// This program.
    program: PathBuf,
    /// The folder of `sweep.json`.
    folder: PathBuf,
    planned: Vec<PlannedRun>,
    record: SweepRecord,
    /// Assignments that decide memory, by variant.
    memory: BTreeMap<String, Vec<String>>,
    /// Runs at a time.
    jobs: usize,
    /// Threads of each.
    threads: usize,
}

/// Where a sweep stands.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Runs that are finished.
    pub finished: usize,
    /// Runs that failed.
    pub failed: usize,
    /// All runs.
    pub all: usize,
    /// Keys of those at work, with the steps done and those to do.
    pub running: Vec<(String, u64, u64)>,
    /// Keys of those that have just ended, with why they failed if they did.
    pub ended: Vec<(String, Option<String>)>,
}

/// A run at work.
struct Job {
    place: usize,
    /// None where the process is somebody else's.
    child: Option<Child>,
}

impl Runner {
    /// Looks at what there is of the sweep in the file at `path`, whose runs go to `out`. Refuses
    /// runs that were begun with other settings.
    pub fn new(sweep: &Sweep, path: &Path, out: &Path) -> Result<Self> {
        let planned = sweep.runs(path)?;
        let folder = out.join(&sweep.name);
        let program = std::env::current_exe()
            .map_err(|e| Error::failed(format!("cannot find this program: {e}")))?;
        let runs = planned.iter().map(SweepRun::waiting).collect();
        let record = SweepRecord {
            name: sweep.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            runs,
        };
        let mut runner = Self {
            program,
            folder,
            planned,
            record,
            memory: BTreeMap::new(),
            jobs: 1,
            threads: rayon::current_num_threads(),
        };
        for place in 0..runner.planned.len() {
            runner.check_begun(place)?;
            runner.look(place)?;
        }
        Ok(runner)
    }

    /// The record as it is.
    pub fn record(&self) -> &SweepRecord {
        &self.record
    }

    /// The folder of `sweep.json`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Of each variant that is not done the first such run.
    pub fn open_variants(&self) -> Vec<PlannedRun> {
        let mut found: Vec<PlannedRun> = Vec::new();
        for (run, planned) in self.record.runs.iter().zip(&self.planned) {
            let is_known = found.iter().any(|other| other.variant == planned.variant);
            if run.state != RunState::Finished && !is_known {
                found.push(planned.clone());
            }
        }
        found
    }

    /// So many at a time, each on so many threads.
    pub fn set_jobs(&mut self, jobs: usize, threads: usize) {
        (self.jobs, self.threads) = (jobs.max(1), threads.max(1));
    }

    /// What decides the memory of a variant's runs, as `--set` takes it.
    pub fn set_memory(&mut self, variant: &str, assignments: Vec<String>) {
        self.memory.insert(variant.to_string(), assignments);
    }

    /// Runs of this variant fail before they begin.
    pub fn refuse(&mut self, variant: &str, reason: &str) {
        for run in self.record.runs.iter_mut().filter(|run| run.variant == variant) {
            if run.state != RunState::Finished {
                (run.state, run.reason) = (RunState::Failed, Some(reason.to_string()));
            }
        }
    }

    /// The folder of a run within the sweep.
    fn place_of(&self, place: usize) -> PathBuf {
        self.folder.join(&self.planned[place].key)
    }

    /// Refuses a run that was begun with other settings. More steps are none.
    fn check_begun(&self, place: usize) -> Result<()> {
        let file = self.place_of(place).join(BEGUN);
        if !file.is_file() {
            return Ok(());
        }
        let begun: Experiment = experiment::read(&file)?;
        let changes = differences(&begun, &self.planned[place].experiment)?;
        let others: Vec<String> = changes
            .iter()
            .filter(|change| change.path != "stop.steps")
            .map(ToString::to_string)
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        Err(Error::input(format!(
            "the run `{}` was begun with other settings: {}; give the sweep another name or \
             another --out, or move the folder away ({})",
            self.planned[place].key,
            others.join("; "),
            self.place_of(place).display()
        )))
    }

    /// The newest run folder of a run.
    fn run_folder(&self, place: usize) -> Option<PathBuf> {
        let entries = fs::read_dir(self.place_of(place)).ok()?;
        let folders = entries.flatten().map(|entry| entry.path());
        folders.filter(|path| path.join("manifest.json").is_file()).max()
    }

    /// Records where a run stands by its folder.
    fn look(&mut self, place: usize) -> Result<()> {
        let Some(folder) = self.run_folder(place) else { return Ok(()) };
        let directory = RunDir::at(&folder);
        let manifest = directory.read_manifest();
        let step = directory.last_metrics()?.map_or(0, |row| row.step);
        let steps = self.planned[place].experiment.stop.steps;
        let run = &mut self.record.runs[place];
        run.folder = folder.strip_prefix(&self.folder).ok().map(Path::to_path_buf);
        run.step = step;
        let has_ended = manifest.is_some_and(|found| found.state == RecordedState::Finished);
        if has_ended && step >= steps {
            (run.state, run.reason) = (RunState::Finished, None);
        } else if matches!(lock::holder(&folder), Holder::Process(_)) {
            run.state = RunState::Running;
        }
        Ok(())
    }

    /// The command that begins a run or continues it.
    fn command(&self, place: usize) -> Result<Command> {
        let (planned, parent) = (&self.planned[place], self.place_of(place));
        fs::create_dir_all(&parent).map_err(Error::io("making the folder of a run", &parent))?;
        let begun = parent.join(BEGUN);
        let text = experiment::to_text(&planned.experiment)?;
        files::write_whole(&begun, text.as_bytes())
            .map_err(Error::io("writing an experiment", &begun))?;
        let mut command = Command::new(&self.program);
        command.args(["run", "--headless"]);
        let continued =
            self.run_folder(place).filter(|at| RunDir::at(at).newest_checkpoint().is_ok());
        if let Some(folder) = continued {
            let steps = planned.experiment.stop.steps;
            command.arg("--resume").arg(folder).args(["--set", &format!("stop.steps={steps}")]);
        } else {
            command.arg(&begun).arg("--out").arg(&parent);
            let memory = self.memory.get(&planned.variant).into_iter().flatten();
            command.args(memory.flat_map(|assignment| ["--set", assignment]));
        }
        let output = parent.join(OUTPUT);
        let file = fs::File::create(&output).map_err(Error::io("making a file", &output))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        command.env("RAYON_NUM_THREADS", self.threads.to_string());
        // Ctrl-C is for this process alone, which tells the others.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }

    /// Runs all that is not finished, until it is or `interrupted` holds, and tells `progress` of
    /// it. Returns whether it was interrupted.
    pub fn run(
        &mut self,
        interrupted: &AtomicBool,
        mut progress: impl FnMut(&Progress),
    ) -> Result<bool> {
        fs::create_dir_all(&self.folder)
            .map_err(Error::io("making the folder of the sweep", &self.folder))?;
        // What another process is at already.
        let mut jobs: Vec<Job> = (0..self.record.runs.len())
            .filter(|&place| self.record.runs[place].state == RunState::Running)
            .map(|place| Job { place, child: None })
            .collect();
        // All variants with the first seed, then with the next: what there is can be compared early.
        let mut waiting: Vec<usize> = (0..self.record.runs.len())
            .filter(|&place| self.record.runs[place].state == RunState::Waiting)
            .collect();
        let mut seeds: BTreeMap<&str, usize> = BTreeMap::new();
        let numbers: Vec<usize> = self
            .planned
            .iter()
            .map(|run| {
                let next = seeds.entry(&run.variant).or_default();
                *next += 1;
                *next
            })
            .collect();
        waiting.sort_by_key(|&place| std::cmp::Reverse((numbers[place], place)));
        self.record.write(&self.folder)?;
        let mut told = false;
        loop {
            let stops = interrupted.load(Ordering::SeqCst);
            if stops && !told {
                jobs.iter().filter_map(|job| job.child.as_ref()).for_each(interrupt);
                told = true;
            }
            while !stops && jobs.len() < self.jobs {
                let Some(place) = waiting.pop() else { break };
                match self.command(place)?.spawn() {
                    Ok(child) => {
                        let run = &mut self.record.runs[place];
                        (run.state, run.reason) = (RunState::Running, None);
                        jobs.push(Job { place, child: Some(child) });
                    }
                    Err(error) => {
                        let reason = format!("cannot start its process: {error}");
                        let run = &mut self.record.runs[place];
                        (run.state, run.reason) = (RunState::Failed, Some(reason));
                    }
                }
                self.record.write(&self.folder)?;
            }
            let mut ended = Vec::new();
            let mut at_work = Vec::new();
            for mut job in jobs {
                if self.has_ended(&mut job)? {
                    let run = &self.record.runs[job.place];
                    ended.push((run.key.clone(), run.reason.clone()));
                } else {
                    at_work.push(job);
                }
            }
            jobs = at_work;
            if !ended.is_empty() {
                self.record.write(&self.folder)?;
            }
            progress(&self.progress(&jobs, ended));
            let is_own = |job: &Job| job.child.is_some();
            if jobs.is_empty() && (waiting.is_empty() || stops) || stops && !jobs.iter().any(is_own)
            {
                return Ok(stops);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Whether a job has ended; records how.
    fn has_ended(&mut self, job: &mut Job) -> Result<bool> {
        let place = job.place;
        let status = if let Some(child) = &mut job.child {
            let looked = child.try_wait();
            let Some(status) =
                looked.map_err(|e| Error::failed(format!("cannot watch a process: {e}")))?
            else {
                return self.look_at_work(place);
            };
            Some(status)
        } else {
            let folder = self.run_folder(place);
            if folder.is_some_and(|at| matches!(lock::holder(&at), Holder::Process(_))) {
                return self.look_at_work(place);
            }
            None
        };
        self.record.runs[place].state = RunState::Waiting;
        self.look(place)?;
        if self.record.runs[place].state == RunState::Finished {
            return Ok(true);
        }
        let was_interrupted = status.is_none_or(|status| status.code() == Some(130));
        if !was_interrupted {
            let text = fs::read(self.place_of(place).join(OUTPUT)).unwrap_or_default();
            let told = reason(&String::from_utf8_lossy(&text));
            let status = status.map_or(String::new(), |status| status.to_string());
            let run = &mut self.record.runs[place];
            run.state = RunState::Failed;
            run.reason = Some(told.unwrap_or(status));
        }
        Ok(true)
    }

    /// Records the step of a run at work; it has not ended.
    fn look_at_work(&mut self, place: usize) -> Result<bool> {
        if let Some(folder) = self.run_folder(place) {
            let step = RunDir::at(&folder).last_metrics()?.map_or(0, |row| row.step);
            let run = &mut self.record.runs[place];
            run.step = step;
            run.folder = folder.strip_prefix(&self.folder).ok().map(Path::to_path_buf);
        }
        Ok(false)
    }

    fn progress(&self, jobs: &[Job], ended: Vec<(String, Option<String>)>) -> Progress {
        let count = |state: RunState| self.record.runs.iter().filter(|r| r.state == state).count();
        let of_job = |job: &Job| {
            let steps = self.planned[job.place].experiment.stop.steps;
            let run = &self.record.runs[job.place];
            (run.key.clone(), run.step, steps)
        };
        Progress {
            finished: count(RunState::Finished),
            failed: count(RunState::Failed),
            all: self.record.runs.len(),
            running: jobs.iter().map(of_job).collect(),
            ended,
        }
    }
}

/// Why a process ended, by what it said: its last error, or its last line.
fn reason(output: &str) -> Option<String> {
    let lines = || output.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find_map(|line| line.strip_prefix("error: "));
    error.or_else(|| lines().next()).map(str::to_string)
}

/// Tells a process of Ctrl-C.
#[cfg(unix)]
fn interrupt(child: &Child) {
    if let Ok(id) = i32::try_from(child.id())
        && let Some(id) = rustix::process::Pid::from_raw(id)
    {
        // One that has just ended cannot be told.
        let _gone = rustix::process::kill_process(id, rustix::process::Signal::INT);
    }
}

/// Elsewhere Ctrl-C reaches all processes of the console.
#[cfg(not(unix))]
fn interrupt(_: &Child) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error_that_was_told() {
        let told = "warning: a\nerror: first\n\nerror: the disk is full (runs)\n  \n";
        assert_eq!(reason(told).unwrap(), "the disk is full (runs)");
        assert_eq!(reason("killed\n").unwrap(), "killed");
        assert_eq!(reason(" \n"), None);
    }
}
