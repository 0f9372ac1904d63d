//! `orthant sweep SWEEP.ron`: a grid of runs, several at a time.

use super::arguments::{parse_device, whole};
use super::interrupt::INTERRUPTED;
use super::terminal::{note, say, tell_above};
use crate::error::{Error, Result};
use crate::experiment::{self, DeviceChoice};
use crate::model::open_device;
use crate::sweep::{Progress, RunState, Runner, Sweep};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs an experiment with several methods, seeds and values of any field.
#[derive(Args)]
#[command(
    after_help = "Started again, it goes on where it was: finished runs stay as they are, and \
                  others continue from their newest checkpoint.\n\nExample: orthant sweep \
                  experiments/study/methods.ron --jobs 2"
)]
pub(super) struct SweepArguments {
    /// The sweep (RON).
    sweep: PathBuf,
    /// The folder in which the sweep's own folder is made.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Runs at a time. Left out, one for each core, or as many as fit into the memory; one on a GPU.
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1, 4096))]
    jobs: Option<u64>,
    /// Overrides the device of all runs: auto, cpu or cuda:0.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<DeviceChoice>,
    /// Prints the commands of the runs, one a line, and runs none.
    #[arg(long)]
    list: bool,
    /// Prints a machine-readable line last.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &SweepArguments) -> Result<u8> {
    let mut sweep = Sweep::read(&arguments.sweep)?;
    if let Some(device) = arguments.device {
        sweep.set.push(format!("device={}", experiment::to_text(&device)?));
    }
    if arguments.list {
        return list(&sweep, arguments);
    }
    let mut runner = Runner::new(&sweep, &arguments.sweep, &arguments.out)?;
    plan(&mut runner, arguments)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(interrupted.clone())?;
    let bar = ProgressBar::new(runner.record().runs.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} runs  {wide_msg}") {
        bar.set_style(style);
    }
    let was_interrupted = runner.run(&interrupted, |progress| show(&bar, progress))?;
    bar.finish_and_clear();
    conclude(&runner, arguments, was_interrupted)
}

/// A text as one word of a shell's command.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn list(sweep: &Sweep, arguments: &SweepArguments) -> Result<u8> {
    let file = sweep.experiment_file(&arguments.sweep);
    for run in sweep.runs(&arguments.sweep)? {
        let out = arguments.out.join(&sweep.name).join(&run.key);
        let mut words = ["orthant", "run", &file.to_string_lossy(), "--headless", "--seed"]
            .map(ToString::to_string)
            .to_vec();
        words.extend([run.seed.to_string(), "--out".to_string(), out.display().to_string()]);
        words.extend(run.set.iter().flat_map(|set| ["--set".to_string(), set.clone()]));
        say!("{}", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))?;
    }
    Ok(0)
}

/// What `orthant doctor` says of so many runs of a variant at a time.
enum Advice {
    /// They fit with these settings.
    Fits(Vec<String>),
    /// They do not, or something is not there.
    Refused(String),
}

/// Settings that decide memory, as `doctor --json` and `--set` call them.
const MEMORY: [(&str, &str); 5] = [
    ("groups_at_a_time", "rollout.groups_at_a_time"),
    ("micro_batch_tokens", "objective.micro_batch_tokens"),
    ("recompute_layers", "objective.recompute_layers"),
    ("offload_reference", "objective.offload_reference"),
    ("traced_groups", "objective.traced_groups"),
];

fn ask_doctor(file: &Path, set: &[String], jobs: u64) -> Result<Advice> {
    let program = std::env::current_exe()
        .map_err(|e| Error::failed(format!("cannot find this program: {e}")))?;
    let output = Command::new(program)
        .arg("doctor")
        .arg(file)
        .args(["--json", "--jobs", &jobs.to_string()])
        .args(set.iter().flat_map(|assignment| ["--set", assignment]))
        .output()
        .map_err(|e| Error::failed(format!("cannot ask `orthant doctor`: {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Value =
        text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    if output.status.success() {
        let assignment = |(name, path): &(&str, &str)| match &found[*name] {
            Value::Null => None,
            value => Some(format!("{path}={value}")),
        };
        return Ok(Advice::Fits(MEMORY.iter().filter_map(assignment).collect()));
    }
    let problem = found["problems"][0].as_str().map(str::to_string);
    let told = String::from_utf8_lossy(&output.stderr);
    let last = || told.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let problem = problem.or_else(|| last().map(str::to_string));
    Ok(Advice::Refused(problem.unwrap_or_else(|| "`orthant doctor` refuses it".to_string())))
}

/// Settles how many runs there are at a time, and their memory. Variants that cannot run alone fail
/// at once.
fn plan(runner: &mut Runner, arguments: &SweepArguments) -> Result<()> {
    let mut open = runner.open_variants();
    let file = {
        let sweep = Sweep::read(&arguments.sweep)?;
        sweep.experiment_file(&arguments.sweep)
    };
    let mut alone = Vec::new();
    for run in std::mem::take(&mut open) {
        match ask_doctor(&file, &run.set, 1)? {
            Advice::Fits(settings) => {
                alone.push((run.variant.clone(), settings));
                open.push(run);
            }
            Advice::Refused(reason) => runner.refuse(&run.variant, &reason),
        }
    }
    let Some(first) = open.first() else { return Ok(()) };
    let cores = rayon::current_num_threads();
    let on_cpu =
        open_device(first.experiment.device, |warning| note!("warning: {warning}"))?.is_cpu();
    let runs = runner.record().runs.iter().filter(|run| run.state == RunState::Waiting).count();
    let most = if on_cpu { cores.min(runs).max(1) as u64 } else { 1 };
    let mut jobs = arguments.jobs.unwrap_or(most);
    loop {
        let mut settled = Vec::new();
        let mut refused = None;
        for run in &open {
            if jobs == 1 {
                settled.clone_from(&alone);
                break;
            }
            match ask_doctor(&file, &run.set, jobs)? {
                Advice::Fits(settings) => settled.push((run.variant.clone(), settings)),
                Advice::Refused(reason) => {
                    refused = Some((run.variant.clone(), reason));
                    break;
                }
            }
        }
        match refused {
            None => {
                for (variant, settings) in settled {
                    runner.set_memory(&variant, settings);
                }
                runner.set_jobs(jobs as usize, cores / jobs as usize);
                return Ok(());
            }
            Some((variant, reason)) if arguments.jobs.is_some() => {
                return Err(Error::input(format!(
                    "--jobs {jobs}: so many runs of the variant `{variant}` do not fit beside each \
                     other: {reason}; give fewer"
                )));
            }
            Some(_) => jobs -= 1,
        }
    }
}

/// The first Ctrl-C ends the runs after their steps, the second this program.
fn watch_for_interrupt(interrupted: Arc<AtomicBool>) -> Result<()> {
    let handler = move || {
        if interrupted.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        note!(
            "\ninterrupted: the runs finish their steps and save checkpoints; press Ctrl-C again to \
             leave them to themselves"
        );
    };
    ctrlc::set_handler(handler).map_err(|e| Error::failed(format!("cannot watch for Ctrl-C: {e}")))
}

fn show(bar: &ProgressBar, progress: &Progress) {
    for (key, reason) in &progress.ended {
        match reason {
            None => tell_above(bar, &format!("{key}: over")),
            Some(reason) => tell_above(bar, &format!("{key}: failed: {reason}")),
        }
    }
    bar.set_position((progress.finished + progress.failed) as u64);
    let running = progress.running.iter();
    let running: Vec<String> =
        running.map(|(key, step, steps)| format!("{key} {step}/{steps}")).collect();
    bar.set_message(running.join("  "));
}

/// Tells how it ended; returns the exit status.
fn conclude(runner: &Runner, arguments: &SweepArguments, was_interrupted: bool) -> Result<u8> {
    let record = runner.record();
    let count = |state: RunState| record.runs.iter().filter(|run| run.state == state).count();
    let (finished, failed) = (count(RunState::Finished), count(RunState::Failed));
    let all = record.runs.len();
    say!("{finished} of {all} runs are finished ({})", runner.folder().display())?;
    for run in record.runs.iter().filter(|run| run.state == RunState::Failed) {
        note!("{}: failed: {}", run.key, run.reason.as_deref().unwrap_or("for no known reason"));
    }
    if arguments.json {
        let line = json!({
            "sweep": runner.folder().display().to_string(),
            "runs": all,
            "finished": finished,
            "failed": failed,
        });
        say!("{line}")?;
    }
    Ok(match (was_interrupted, failed) {
        (true, _) => INTERRUPTED,
        (false, 0) => 0,
        (false, _) => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("stop.steps=7"), "stop.steps=7");
        assert_eq!(quoted("method=G2rl(lambda: 0.7)"), "'method=G2rl(lambda: 0.7)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
