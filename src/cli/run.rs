//! `orthant run EXPERIMENT.ron`: trains, with the dashboard on it or a progress bar.

use super::arguments::{WindowArguments, parse_device, parse_seed};
use super::ends::{Ended, tell_of_ends};
use super::interrupt::{INTERRUPTED, stop_on_interrupt};
use super::start;
use super::terminal::{note, say, status, tell_above};
use crate::dashboard::{self, StartedRuns, WindowEnd};
use crate::error::{Error, Result};
use crate::experiment::{self, DeviceChoice, Experiment};
use crate::run::{EventKind, RunHandle, RunSnapshot};
use crate::stages::metrics;
use crate::trainer::{Run, RunBuilder};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Trains the model of an experiment file and opens the dashboard on it.
#[derive(Args)]
#[command(after_help = "Example: orthant run experiments/quickstart.ron --set stop.steps=20")]
pub(super) struct RunArguments {
    /// The experiment (RON).
    #[arg(required_unless_present = "resume")]
    experiment: Option<PathBuf>,
    /// Continues the run in this folder from its newest checkpoint; `--set stop.steps=N` gives
    /// it more steps.
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["experiment", "seed", "device", "out"])]
    resume: Option<PathBuf>,
    /// With --resume: continues from the checkpoint of this step instead of the newest. Later
    /// checkpoints are set aside.
    #[arg(long, value_name = "N", requires = "resume")]
    from_step: Option<u64>,
    /// With --resume: continues although model, data, templates, seed, task or method are not those
    /// of the run so far, and records what changed.
    #[arg(long, requires = "resume")]
    accept_changes: bool,
    /// No window: a progress bar and a line per evaluation. Taken for granted where there is no
    /// display.
    #[arg(long)]
    headless: bool,
    /// The folder in which the run folder is made.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Overrides the experiment's seed.
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    seed: Option<u64>,
    /// Overrides the experiment's device: auto, cpu or cuda:0.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<DeviceChoice>,
    /// Overrides any field: path=value, repeatable.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    window: WindowArguments,
    /// Prints a machine-readable line last.
    #[arg(long)]
    json: bool,
}

impl RunArguments {
    /// Refuses options of a run that continues where a new one is to begin. The command line's own
    /// check leaves them be, because `--resume` conflicts with an experiment.
    fn check_new(&self) -> Result<()> {
        let option = match (self.from_step, self.accept_changes) {
            (Some(_), _) => "--from-step",
            (None, true) => "--accept-changes",
            (None, false) => return Ok(()),
        };
        Err(Error::input(format!(
            "{option} is for a run that continues; give --resume RUN_DIR in place of the experiment"
        )))
    }

    fn builder(&self) -> Result<RunBuilder> {
        let path = match (&self.resume, &self.experiment) {
            (Some(folder), _) => {
                let builder = RunBuilder::resume(folder, &self.set)?;
                return Ok(builder.from_step(self.from_step).accept_changes(self.accept_changes));
            }
            (None, Some(path)) => path,
            (None, None) => {
                return Err(Error::input("give an experiment file, or --resume and a run folder"));
            }
        };
        self.check_new()?;
        let mut experiment: Experiment = experiment::read(path)?;
        for assignment in &self.set {
            experiment = experiment::set(&experiment, assignment)?;
        }
        if let Some(seed) = self.seed {
            experiment.seed = seed;
        }
        if let Some(device) = self.device {
            experiment.device = device;
        }
        Ok(RunBuilder::new(experiment))
    }
}

/// Time between two looks at a run.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &RunArguments) -> Result<u8> {
    // A resumed run's experiment stands in its folder.
    let file = arguments.resume.as_ref().map(|folder| folder.join("experiment.ron"));
    let file = file.as_ref().or(arguments.experiment.as_ref());
    let display = !arguments.headless && dashboard::display_available();
    arguments.window.check(arguments.headless, display)?;
    let run = arguments.builder()?.start(&arguments.out).map_err(|error| match file {
        Some(file) => experiment::locate(error, file, &arguments.set),
        None => error,
    })?;
    let handle = run.handle.clone();
    let others = StartedRuns::default();
    let (own, more) = (handle.clone(), start::handles(&others));
    let interrupted = stop_on_interrupt(move || [vec![own.clone()], more()].concat())?;

    if !arguments.headless && !display {
        note!("no display found, so no window; following the run here");
    }
    // The terminal follows the run in either case; only the window needs the main thread.
    let is_closed = Arc::new(AtomicBool::new(false));
    let follower = std::thread::Builder::new()
        .name("progress".to_string())
        .spawn({
            let (handle, others, is_closed) =
                (handle.clone(), StartedRuns::clone(&others), Arc::clone(&is_closed));
            move || follow_all(handle, &others, &is_closed)
        })
        .map_err(|e| Error::failed(format!("cannot start the progress thread: {e}")))?;
    let options = arguments.window.options(&interrupted);
    let json = arguments.json;
    let started = Started {
        run,
        follower,
        others: StartedRuns::clone(&others),
        is_closed,
        interrupted,
        json,
    };
    if !display {
        return started.conclude(None);
    }
    Ok(dashboard::open(handle, others, options, move |end| status(started.conclude(Some(end)))))
}

/// A run on its way.
struct Started {
    run: Run,
    follower: JoinHandle<Result<()>>,
    /// Runs that were started in its window.
    others: StartedRuns,
    /// Whether there is no window that could start more.
    is_closed: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    json: bool,
}

impl Started {
    /// Waits for the end and tells of it; `window` is how the window ended, if there was one.
    fn conclude(self, window: Option<WindowEnd>) -> Result<u8> {
        let mut picture = Ok(());
        match window {
            Some(WindowEnd::Lost(error)) => {
                let continues = start::tell_run_of_loss(&error, &self.run.handle);
                if !start::tell_of_loss(&error, &self.others) && !continues {
                    note!("{error}");
                }
            }
            Some(WindowEnd::NoPicture(error)) => picture = Err(error),
            Some(WindowEnd::Closed) | None => {}
        }
        self.is_closed.store(true, Ordering::SeqCst);
        let snapshots = self.run.handle.snapshots.clone();
        let end = self.run.join();
        let followed = self
            .follower
            .join()
            .unwrap_or_else(|_| Err(Error::failed("the progress display failed")));
        let own = Ended { snapshot: snapshots.load(), end };
        let was_stopped = tell_of_ends(Some(own), start::wait(&self.others), self.json)?;
        followed.and(picture)?;
        Ok(if was_stopped && self.interrupted.load(Ordering::SeqCst) { INTERRUPTED } else { 0 })
    }
}

/// Shows the progress of the run, and of those that its window starts one after the other, until
/// all are over and the window is closed.
fn follow_all(own: RunHandle, others: &StartedRuns, is_closed: &AtomicBool) -> Result<()> {
    let mut told = follow(&own);
    for place in 0.. {
        let next = loop {
            // Asked in this order: what is started before the window closes is followed.
            let was_closed = is_closed.load(Ordering::SeqCst);
            match start::handle(others, place) {
                Some(run) => break Some(run),
                None if was_closed => break None,
                None => std::thread::sleep(LOOK),
            }
        };
        let Some(run) = next else { break };
        told = told.and(follow(&run));
    }
    told
}

/// Shows progress on the terminal until the run is over. A terminal that fails does not end the
/// run; its error comes at the end.
fn follow(handle: &RunHandle) -> Result<()> {
    let first = handle.snapshots.load();
    let info = &first.info;
    let named = say!(
        "{}, seed {}: {} trains {} ({})",
        info.name(),
        info.seed(),
        info.method(),
        info.model,
        info.device
    );
    let mut told = named.and_then(|()| say!("run folder {}", info.directory.display()));
    // What a run that begins is warned of; where one continues, what that has changed.
    let began =
        first.events.iter().rposition(|event| event.kind == EventKind::Resumed).unwrap_or(0);
    for event in first.events[began..].iter().filter(|event| !event.text.is_empty()) {
        note!("{}: {}", event.kind.name(), event.text);
    }
    let bar = ProgressBar::new(info.last_step());
    if let Ok(style) = ProgressStyle::with_template("{bar:24} step {pos}/{len}  {msg}") {
        bar.set_style(style);
    }
    let (mut shown, mut known) = (first.evaluations.len(), first.events.len());
    loop {
        let snapshot = handle.snapshots.load();
        for event in
            snapshot.events[known..].iter().filter(|event| event.kind == EventKind::Warning)
        {
            tell_above(&bar, &format!("warning: {}", event.text));
        }
        known = snapshot.events.len();
        for record in &snapshot.evaluations[shown..] {
            told = told.and_then(|()| bar.suspend(|| say!("{record}")));
        }
        shown = snapshot.evaluations.len();
        bar.set_position(snapshot.step);
        bar.set_message(describe(&snapshot));
        if snapshot.state.is_over() {
            break;
        }
        std::thread::sleep(LOOK);
    }
    bar.finish_and_clear();
    told
}

fn describe(snapshot: &RunSnapshot) -> String {
    let stage = snapshot.progress.stage.map_or("", |stage| stage.name());
    let Some(row) = snapshot.history.last() else { return stage.to_string() };
    let value = |metric| row.get(metric).unwrap_or(f64::NAN);
    let eta = snapshot
        .eta_s
        .map_or(String::new(), |eta| format!("  {}:{:02} left", eta as u64 / 60, eta as u64 % 60));
    format!(
        "accuracy {:.3}  entropy {:.3}  {:.0} tokens/s{eta}  {stage}",
        value(&metrics::REWARD_ACCURACY),
        value(&metrics::POLICY_ENTROPY),
        value(&metrics::THROUGHPUT_TOKENS_PER_S),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunInfo;

    #[test]
    fn the_terminal_follows_what_is_started_after_the_first_run_until_the_window_is_closed() {
        let (own, _commands) = RunHandle::new(RunSnapshot::starting(RunInfo::small()));
        own.snapshots.update(|snapshot| snapshot.state = crate::run::RunState::Finished);
        let (others, is_closed) = (StartedRuns::default(), Arc::new(AtomicBool::new(false)));
        let follower = {
            let (others, is_closed) = (StartedRuns::clone(&others), Arc::clone(&is_closed));
            let follow = move || follow_all(own, &others, &is_closed);
            std::thread::Builder::new().spawn(follow).unwrap()
        };
        std::thread::sleep(5 * LOOK);
        assert!(!follower.is_finished(), "the window may start more");
        is_closed.store(true, Ordering::SeqCst);
        follower.join().unwrap().unwrap();
    }
}
