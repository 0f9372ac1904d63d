//! `orthant run EXPERIMENT.ron`: trains, with the dashboard on it or a progress bar.

use super::WindowArguments;
use super::start::{self, Ended};
use super::terminal::{note, say, tell_above};
use crate::dashboard::{self, StartedRuns, WindowEnd};
use crate::error::{Error, Result};
use crate::experiment::{self, DeviceChoice, Experiment};
use crate::run::{EventKind, RunHandle, RunSnapshot, TrainerCommand};
use crate::stages::metrics;
use crate::trainer::{Run, RunBuilder, RunEnd};
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
    #[arg(long, value_name = "N", value_parser = super::parse_seed)]
    seed: Option<u64>,
    /// Overrides the experiment's device: auto, cpu or cuda:0.
    #[arg(long, value_name = "DEVICE", value_parser = super::parse_device)]
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

/// Exit status after an interrupt that was saved.
pub(super) const INTERRUPTED: u8 = 130;

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
    Ok(dashboard::open(handle, others, options, move |end| {
        super::status(started.conclude(Some(end)))
    }))
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

/// Tells how the program's `own` run ended, where it has one, and the `others` that were started in
/// its window. A run that was continued there ended as it did then. Says whether any was stopped;
/// what the last of those failed of that did is the error.
pub(super) fn tell_of_ends(own: Option<Ended>, others: Vec<Ended>, json: bool) -> Result<bool> {
    let folder = own.as_ref().map(|own| own.snapshot.info.directory.clone());
    let is_own = |snapshot: &RunSnapshot| folder.as_ref() == Some(&snapshot.info.directory);
    let mut last: Vec<Ended> = Vec::new();
    for ended in own.into_iter().chain(others) {
        last.retain(|before| before.snapshot.info.directory != ended.snapshot.info.directory);
        last.push(ended);
    }
    // The program's own comes last, for its machine-readable line does.
    last.sort_by_key(|ended| is_own(&ended.snapshot));
    let (mut was_stopped, mut errors) = (false, Vec::new());
    for Ended { snapshot, end } in last {
        let told = end.map_err(|error| with_way_on(error, &snapshot)).and_then(|end| {
            was_stopped |= end == RunEnd::Stopped;
            summarize(&snapshot, end, json && is_own(&snapshot))
        });
        errors.extend(told.err());
    }
    one_of(errors, |error| note!("error: {error}")).map_or(Ok(was_stopped), Err)
}

/// The last of several errors, for the program to end with, after the others have been told.
fn one_of(mut errors: Vec<Error>, tell: impl FnMut(Error)) -> Option<Error> {
    let last = errors.pop();
    errors.into_iter().for_each(tell);
    last
}

/// Adds how to continue to what a run failed of.
fn with_way_on(error: Error, snapshot: &RunSnapshot) -> Error {
    match snapshot.checkpoints.last() {
        Some(step) => Error::failed(format!(
            "{error}; continue from the checkpoint of step {step} with `orthant run --resume {}`",
            snapshot.info.directory.display()
        )),
        None => Error::failed(format!(
            "{error}; there is no checkpoint yet: start it again with `orthant run {}`",
            snapshot.info.directory.join("experiment.ron").display()
        )),
    }
}

/// The first Ctrl-C ends the `runs` after their current steps; the second ends the program at once.
pub(super) fn stop_on_interrupt(
    runs: impl Fn() -> Vec<RunHandle> + Send + 'static,
) -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let handler = {
        let interrupted = interrupted.clone();
        move || {
            if interrupted.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED));
            }
            let runs: Vec<RunHandle> = runs().into_iter().filter(|run| !is_over(run)).collect();
            if runs.is_empty() || !tell_to_stop(runs) {
                std::process::exit(i32::from(INTERRUPTED));
            }
            note!(
                "\ninterrupted: finishing the step and saving a checkpoint; press Ctrl-C again to \
                 leave at once"
            );
        }
    };
    ctrlc::set_handler(handler)
        .map_err(|e| Error::failed(format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(interrupted)
}

fn is_over(run: &RunHandle) -> bool {
    run.snapshots.load().state.is_over()
}

/// Tells runs to stop, on a thread of its own: a trainer takes commands between steps only, and a
/// second interrupt may come earlier.
fn tell_to_stop(runs: Vec<RunHandle>) -> bool {
    let tell = move || {
        for run in runs {
            while !run.send(TrainerCommand::Stop) && !is_over(&run) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    std::thread::Builder::new().name("stop".to_string()).spawn(tell).is_ok()
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
        "{}, seed {}: {} on {} ({})",
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

fn summarize(snapshot: &RunSnapshot, end: RunEnd, json: bool) -> Result<()> {
    let how = match end {
        RunEnd::Finished => "finished",
        RunEnd::Stopped => "stopped",
    };
    say!(
        "{how} after step {}; everything is in {}",
        snapshot.step,
        snapshot.info.directory.display()
    )?;
    if let Some(step) = snapshot.checkpoints.last() {
        say!(
            "last checkpoint: {}",
            snapshot.info.directory.join(format!("checkpoints/step_{step:06}")).display()
        )?;
    }
    if let (Some(first), Some(last)) = (snapshot.evaluations.first(), snapshot.evaluations.last())
        && last.step > first.step
    {
        for ((k, before), (_, after)) in first.pass_at.iter().zip(&last.pass_at) {
            say!(
                "{}: pass@{k} {:.1} % -> {:.1} %",
                last.suite,
                100.0 * before.value,
                100.0 * after.value
            )?;
        }
    }
    if json {
        let line = serde_json::json!({
            "state": how,
            "step": snapshot.step,
            "run": snapshot.info.directory.display().to_string(),
            "evaluation": snapshot.evaluations.last(),
        });
        say!("{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunInfo;

    #[test]
    fn a_run_that_was_gone_on_with_in_the_window_ended_as_it_did_then() {
        let ended = |folder: &str, end: Result<RunEnd>| Ended {
            snapshot: RunSnapshot::starting(RunInfo {
                directory: folder.into(),
                ..RunInfo::small()
            }),
            end,
        };
        let failed = || Err(Error::failed("disk full"));
        let (finished, stopped) = (|| Ok(RunEnd::Finished), || Ok(RunEnd::Stopped));
        assert!(
            !tell_of_ends(Some(ended("a", failed())), vec![ended("a", finished())], false).unwrap()
        );
        assert!(
            !tell_of_ends(Some(ended("a", stopped())), vec![ended("a", finished())], true).unwrap()
        );
        assert!(
            tell_of_ends(Some(ended("a", finished())), vec![ended("a", stopped())], true).unwrap()
        );
        let other = tell_of_ends(Some(ended("a", failed())), vec![ended("b", finished())], false);
        assert!(other.unwrap_err().to_string().contains("disk full"), "another run mends nothing");
        // A window without a run of its own ends by the same rules.
        assert!(
            !tell_of_ends(None, vec![ended("a", failed()), ended("a", finished())], false).unwrap()
        );
        let error = tell_of_ends(None, vec![ended("a", failed()), ended("b", stopped())], false)
            .unwrap_err();
        assert!(error.to_string().contains("start it again with `orthant run a"), "{error}");
    }

    #[test]
    fn of_several_errors_each_is_told() {
        let mut told = Vec::new();
        let errors = Vec::from(["first", "second", "third"].map(Error::failed));
        let last = one_of(errors, |error| told.push(error.to_string()));
        assert_eq!(
            (told, last.unwrap().to_string()),
            (vec!["first".to_owned(), "second".to_owned()], "third".to_owned())
        );
    }

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
