//! How often each problem was solved over the run, read from the recorded rollouts on a thread of
//! its own.

use crate::error::{Error, Result};
use crate::run::RunDir;
use crate::verify::Verdict;
use crossbeam_channel::{Sender, bounded};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Steps that are read before what is known so far is shown.
const BATCH: usize = 64;

/// A group of one problem in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt {
    /// The step.
    pub(crate) step: u64,
    /// The group's place in the step.
    pub(crate) group: u32,
    /// Correct completions.
    pub(crate) correct: u32,
    /// Completions.
    pub(crate) count: u32,
}

impl Attempt {
    /// Share of correct completions.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.correct) / f64::from(self.count.max(1))
    }
}

/// A problem and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProblemHistory {
    /// Its stable name.
    pub(crate) id: String,
    /// The first line of its prompt.
    pub(crate) prompt: String,
    /// By step.
    pub(crate) attempts: Vec<Attempt>,
}

impl ProblemHistory {
    /// Share of correct completions over all attempts.
    pub(crate) fn rate(&self) -> f64 {
        let sum = |of: fn(&Attempt) -> u32| self.attempts.iter().map(of).sum::<u32>();
        f64::from(sum(|attempt| attempt.correct)) / f64::from(sum(|attempt| attempt.count).max(1))
    }

    /// The last solve rate less the first.
    pub(crate) fn gain(&self) -> f64 {
        match (self.attempts.first(), self.attempts.last()) {
            (Some(first), Some(last)) => last.rate() - first.rate(),
            _ => f64::NAN,
        }
    }
}

/// All problems of the recorded steps, those that were met most often first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProblemTable {
    /// The problems.
    pub(crate) problems: Vec<ProblemHistory>,
    /// Recorded steps that have been read.
    pub(crate) steps: usize,
    /// Whether there is more to read.
    pub(crate) is_reading: bool,
    /// Why a step could not be read.
    pub(crate) error: Option<String>,
}

/// The window's end of the thread.
pub(crate) struct ProblemReader {
    requests: Sender<()>,
    table: Arc<Mutex<Arc<ProblemTable>>>,
    /// The newest step when it was asked last.
    asked: Option<u64>,
}

impl ProblemReader {
    /// Starts the thread on the run folder `directory`. `wake` is called when more has been read.
    pub(crate) fn start(directory: &Path, wake: impl Fn() + Send + 'static) -> Result<Self> {
        let (requests, wanted) = bounded::<()>(1);
        let table = Arc::new(Mutex::new(Arc::<ProblemTable>::default()));
        let shared = Arc::clone(&table);
        let run = RunDir::at(directory);
        std::thread::Builder::new()
            .name("problem reader".to_owned())
            .spawn(move || {
                let mut reading = Reading::default();
                for () in wanted {
                    reading.go_on(&run, |table| {
                        *shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
                        wake();
                    });
                }
            })
            .map_err(|e| {
                Error::failed(format!("cannot start the thread that reads problems: {e}"))
            })?;
        Ok(Self { requests, table, asked: None })
    }

    /// What has been read so far. Where the run has come to a newer step than before, the rest is
    /// asked for.
    pub(crate) fn get(&mut self, newest: u64) -> Arc<ProblemTable> {
        if self.asked != Some(newest) && self.requests.try_send(()).is_ok() {
            self.asked = Some(newest);
        }
        Arc::clone(&self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What of a line of rollouts matters here.
#[derive(Deserialize)]
struct Line<'a> {
    group: u32,
    #[serde(borrow)]
    problem: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    prompt: std::borrow::Cow<'a, str>,
    verdict: Verdict,
}

#[derive(Default)]
struct Reading {
    done: BTreeSet<u64>,
    places: HashMap<String, usize>,
    problems: Vec<ProblemHistory>,
    error: Option<String>,
}

impl Reading {
    /// Reads the recorded steps that have not been read, the newest first.
    fn go_on(&mut self, run: &RunDir, mut show: impl FnMut(ProblemTable)) {
        let steps = match run.recorded_steps() {
            Ok(steps) => steps,
            Err(error) => {
                self.error = Some(error.to_string());
                return show(self.table(false));
            }
        };
        let rest: Vec<u64> =
            steps.into_iter().rev().filter(|step| !self.done.contains(step)).collect();
        let batches = rest.len().div_ceil(BATCH);
        for (number, batch) in rest.chunks(BATCH).enumerate() {
            for &step in batch {
                match run.read_rollout_lines(step) {
                    Ok(text) => self.take(step, &text),
                    Err(error) => self.error = Some(error.to_string()),
                }
                self.done.insert(step);
            }
            show(self.table(number + 1 < batches));
        }
    }

    fn take(&mut self, step: u64, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line: Line<'_> = match serde_json::from_str(line) {
                Ok(line) => line,
                Err(error) => {
                    self.error = Some(format!("step {step}, line {}: {error}", number + 1));
                    return;
                }
            };
            let known = self.places.get(line.problem.as_ref()).copied();
            let place = known.unwrap_or_else(|| {
                self.places.insert(line.problem.to_string(), self.problems.len());
                self.problems.push(ProblemHistory {
                    id: line.problem.to_string(),
                    prompt: crate::dashboard::kit::format::one_line(&line.prompt, 160),
                    attempts: Vec::new(),
                });
                self.problems.len() - 1
            });
            let attempts = &mut self.problems[place].attempts;
            let at = attempts
                .partition_point(|attempt| (attempt.step, attempt.group) < (step, line.group));
            if attempts
                .get(at)
                .is_none_or(|attempt| (attempt.step, attempt.group) != (step, line.group))
            {
                attempts.insert(at, Attempt { step, group: line.group, correct: 0, count: 0 });
            }
            attempts[at].count += 1;
            attempts[at].correct += u32::from(line.verdict.is_correct());
        }
    }

    fn table(&self, is_reading: bool) -> ProblemTable {
        let mut problems = self.problems.clone();
        problems
            .sort_by(|a, b| b.attempts.len().cmp(&a.attempts.len()).then_with(|| a.id.cmp(&b.id)));
        ProblemTable { problems, steps: self.done.len(), is_reading, error: self.error.clone() }
    }
}

/// The table as CSV: a line per problem and attempt.
pub(crate) fn csv(table: &ProblemTable) -> String {
    let mut text = String::from("problem,step,group,correct,completions\n");
    for problem in &table.problems {
        let name = crate::dashboard::kit::export::field(&problem.id);
        for Attempt { step, group, correct, count } in &problem.attempts {
            let line = format!("{name},{step},{group},{correct},{count}\n");
            text.push_str(&line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;
    use std::time::{Duration, Instant};

    #[test]
    fn solve_rates_are_those_of_the_recorded_groups_and_new_steps_are_added() {
        let folder = testing::run_folder(&[2, 5]);
        let mut reader = ProblemReader::start(folder.path(), || {}).unwrap();
        let mut wait = |newest: u64, steps: usize| {
            let started = Instant::now();
            loop {
                let table = reader.get(newest);
                if table.steps == steps && !table.is_reading {
                    return table;
                }
                assert!(started.elapsed() < Duration::from_secs(20), "{table:?}");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let table = wait(5, 2);
        assert_eq!(table.problems.iter().map(|problem| problem.attempts.len()).sum::<usize>(), 4);
        let group = testing::group(1, 4, 5);
        let found = table.problems.iter().find(|problem| problem.id == group.problem_id).unwrap();
        let expected = Attempt { step: 5, group: 1, correct: group.correct() as u32, count: 4 };
        assert!(found.attempts.contains(&expected), "{found:?}");
        assert!((found.rate() - group.correct() as f64 / 4.0).abs() < 1e-12);
        testing::record_step(folder.path(), 7);
        assert_eq!(
            wait(7, 3).problems.iter().map(|problem| problem.attempts.len()).sum::<usize>(),
            6
        );
        assert_eq!(csv(&wait(7, 3)).lines().count(), 7);
    }

    #[test]
    fn a_damaged_record_is_named_and_the_others_are_read() {
        let folder = testing::run_folder(&[2, 5]);
        std::fs::write(folder.path().join("rollouts/step_000002.jsonl"), "{\n").unwrap();
        let mut reading = Reading::default();
        let mut last = ProblemTable::default();
        reading.go_on(&RunDir::at(folder.path()), |table| last = table);
        assert!(last.error.as_ref().unwrap().contains("step 2, line 1"), "{last:?}");
        assert_eq!(last.problems.len(), 2);
    }
}
