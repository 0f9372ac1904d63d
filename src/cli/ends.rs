//! How runs ended, as it is told on the terminal.

use super::terminal::{note, say};
use crate::error::{Error, Result};
use crate::run::{EvaluationRecord, RunSnapshot};
use crate::trainer::RunEnd;

/// A run that a window started, and how it ended.
pub(super) struct Ended {
    /// What it showed last.
    pub(super) snapshot: RunSnapshot,
    /// How it ended.
    pub(super) end: Result<RunEnd>,
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
    for line in progress(&snapshot.evaluations) {
        say!("{line}")?;
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

/// What became of each suite that was evaluated more than once, a line for each k.
fn progress(evaluations: &[EvaluationRecord]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, first) in evaluations.iter().enumerate() {
        if evaluations[..index].iter().any(|before| before.suite == first.suite) {
            continue;
        }
        let last = evaluations.iter().rfind(|record| record.suite == first.suite);
        let Some(last) = last.filter(|last| last.step > first.step) else { continue };
        for &(k, before) in &first.pass_at {
            if let Some(after) = last.pass(k) {
                let [before, after] = [before, after].map(|estimate| 100.0 * estimate.value);
                lines.push(format!("{}: pass@{k} {before:.1} % -> {after:.1} %", first.suite));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Estimate, RunInfo};

    #[test]
    fn each_suite_is_compared_with_its_own_beginning() {
        let record = |suite: &str, step, values: &[(usize, f64)]| {
            let estimate = |value| Estimate { value, low: 0.0, high: 1.0 };
            EvaluationRecord {
                step,
                suite: suite.to_owned(),
                problems: 4,
                samples: 4,
                pass_at: values.iter().map(|&(k, value)| (k, estimate(value))).collect(),
                maj_at: Vec::new(),
                length_mean: 1.0,
                truncated_ratio: 0.0,
                no_answer_ratio: 0.0,
                seconds: 1.0,
            }
        };
        let records = [
            record("easy", 0, &[(1, 0.25), (4, 0.5)]),
            record("hard", 0, &[(1, 0.0)]),
            record("once", 0, &[(1, 0.5)]),
            record("easy", 20, &[(1, 0.5), (4, 0.75)]),
            record("easy", 40, &[(1, 0.75)]),
            record("hard", 40, &[(1, 0.125), (2, 0.2)]),
        ];
        assert_eq!(
            progress(&records),
            ["easy: pass@1 25.0 % -> 75.0 %", "hard: pass@1 0.0 % -> 12.5 %"]
        );
    }

    #[test]
    fn a_run_that_was_continued_in_the_window_ended_as_it_did_then() {
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
}
