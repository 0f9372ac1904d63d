//! Reads recorded steps from the run folder on a thread of its own, so that no frame waits for the
//! disk.
//!
//! At most one step is being read at a time. Whoever moves through many steps quickly asks again in
//! the next frame for the one that is wanted then; those in between are never read.

use crate::error::{Error, Result};
use crate::run::{RunDir, StepView};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// Steps that are kept after they were shown, at most.
const KEPT: usize = 16;
/// Memory that the tokens of the kept steps may take, bytes; the newest is kept in any case.
const KEPT_BYTES: usize = 256 << 20;

/// What there is of a step beyond its metrics.
#[derive(Clone, Debug)]
pub(crate) enum StepData {
    /// Its rollouts.
    Recorded(Arc<StepView>),
    /// No rollouts.
    Absent(Absence),
}

/// Why there is nothing to show of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It was not recorded; the nearest steps that were.
    NotRecorded {
        /// The last one before it.
        before: Option<u64>,
        /// The first one after it.
        after: Option<u64>,
    },
    /// Its record cannot be read: the error in full.
    Unreadable(String),
}

/// The window's end of the thread, with the steps that it read last.
pub(crate) struct StepLoader {
    requests: Sender<u64>,
    answers: Receiver<(u64, StepData)>,
    is_reading: bool,
    /// The most recently used last.
    kept: VecDeque<Arc<StepView>>,
}

impl StepLoader {
    /// Starts the thread on the run folder `directory`. `wake` is called when a step has been read.
    pub(crate) fn start(directory: &Path, wake: impl Fn() + Send + 'static) -> Result<Self> {
        let (requests, wanted) = bounded(1);
        let (answer, answers) = bounded(1);
        let run = RunDir::at(directory);
        std::thread::Builder::new()
            .name("step loader".to_string())
            .spawn(move || {
                for step in wanted {
                    if answer.send((step, read(&run, step))).is_err() {
                        return;
                    }
                    wake();
                }
            })
            .map_err(|e| Error::failed(format!("cannot start the thread that reads steps: {e}")))?;
        Ok(Self { requests, answers, is_reading: false, kept: VecDeque::new() })
    }

    /// What there is of `step`, if it is at hand. Otherwise it is asked for; ask again when woken.
    pub(crate) fn get(&mut self, step: u64) -> Option<StepData> {
        if let Ok((at, data)) = self.answers.try_recv() {
            self.is_reading = false;
            if let StepData::Recorded(view) = &data {
                self.keep(view);
            }
            if at == step {
                return Some(data);
            }
        }
        if let Some(place) = self.kept.iter().position(|view| view.step == step)
            && let Some(view) = self.kept.remove(place)
        {
            self.kept.push_back(Arc::clone(&view));
            return Some(StepData::Recorded(view));
        }
        if !self.is_reading {
            self.is_reading = self.requests.try_send(step).is_ok();
        }
        None
    }

    /// Forgets the steps that were read.
    pub(crate) fn forget(&mut self) {
        self.kept.clear();
    }

    /// Keeps a step that came from elsewhere, so that it need not be read.
    pub(crate) fn keep(&mut self, view: &Arc<StepView>) {
        if self.kept.back().is_some_and(|newest| Arc::ptr_eq(newest, view)) {
            return;
        }
        self.kept.retain(|kept| kept.step != view.step);
        self.kept.push_back(Arc::clone(view));
        let size = |view: &Arc<StepView>| -> usize {
            view.groups.iter().filter_map(|group| Some(group.tokens.as_ref()?.size())).sum()
        };
        while self.kept.len() > KEPT
            || (self.kept.len() > 1 && self.kept.iter().map(size).sum::<usize>() > KEPT_BYTES)
        {
            self.kept.pop_front();
        }
    }
}

fn read(run: &RunDir, step: u64) -> StepData {
    match run.read_step(step) {
        Ok(Some(view)) => StepData::Recorded(Arc::new(view)),
        Ok(None) => match run.recorded_steps() {
            Ok(steps) => {
                let place = steps.partition_point(|&recorded| recorded < step);
                let before = place.checked_sub(1).and_then(|place| steps.get(place)).copied();
                StepData::Absent(Absence::NotRecorded { before, after: steps.get(place).copied() })
            }
            Err(error) => StepData::Absent(Absence::Unreadable(error.to_string())),
        },
        Err(error) => StepData::Absent(Absence::Unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;
    use std::time::{Duration, Instant};

    fn wait(loader: &mut StepLoader, step: u64) -> StepData {
        let started = Instant::now();
        loop {
            if let Some(data) = loader.get(step) {
                return data;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "step {step} does not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn steps_are_read_once_and_absent_ones_name_their_neighbours() {
        let folder = testing::run_folder(&[2, 5]);
        let mut loader = StepLoader::start(folder.path(), || {}).unwrap();
        let StepData::Recorded(view) = wait(&mut loader, 2) else { panic!("step 2 is recorded") };
        assert_eq!((view.step, view.groups.len()), (2, 2));
        let Some(StepData::Recorded(again)) = loader.get(2) else { panic!("step 2 is kept") };
        assert!(Arc::ptr_eq(&view, &again));
        for (step, before, after) in [(1, None, Some(2)), (3, Some(2), Some(5)), (9, Some(5), None)]
        {
            let StepData::Absent(absence) = wait(&mut loader, step) else {
                panic!("step {step} is not recorded")
            };
            assert_eq!(absence, Absence::NotRecorded { before, after });
        }
    }

    #[test]
    fn a_step_that_cannot_be_read_says_why() {
        let folder = testing::run_folder(&[2]);
        std::fs::write(folder.path().join("rollouts/step_000002.jsonl"), "{").unwrap();
        let mut loader = StepLoader::start(folder.path(), || {}).unwrap();
        let StepData::Absent(Absence::Unreadable(text)) = wait(&mut loader, 2) else {
            panic!("step 2 is damaged")
        };
        assert!(text.contains("rollouts/step_000002.jsonl, line 1"), "{text}");
    }

    #[test]
    fn only_the_last_steps_are_kept() {
        let folder = testing::run_folder(&[]);
        let mut loader = StepLoader::start(folder.path(), || {}).unwrap();
        let view = |step| Arc::new(StepView { step, groups: Vec::new() });
        (1..=KEPT as u64 + 1).for_each(|step| loader.keep(&view(step)));
        assert!(matches!(loader.get(2), Some(StepData::Recorded(_))));
        loader.keep(&view(100));
        assert!(matches!(loader.get(2), Some(StepData::Recorded(_))), "it was used last");
        assert!(loader.get(3).is_none());
    }
}
