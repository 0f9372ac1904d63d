//! What can be checked before weights are read: where everything comes from, the task, the suites,
//! the lengths of prompts.

use super::resolve::Resolved;
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::Experiment;
use crate::model::{ModelFiles, open_device};
use crate::tasks::{self, Task};
use crate::trainer::sources::{Source, settle_sources};
use candle_core::Device;
use std::sync::Arc;

/// A run of which everything but the weights is known.
pub(super) struct Checked {
    pub(super) resolved: Resolved,
    pub(super) device: Device,
    pub(super) source: Source,
    pub(super) task: Arc<dyn Task>,
    pub(super) suites: Vec<Suite>,
    /// Tokens of the longest prompt of the task.
    pub(super) longest_prompt: usize,
    /// What there is to warn of about the device.
    pub(super) warnings: Vec<String>,
}

impl Resolved {
    /// Opens the files of model, data and templates, and refuses what does not fit together.
    /// Downloads what is not there.
    pub(super) fn check(mut self) -> Result<Checked> {
        let experiment = &mut self.experiment;
        settle_sources(experiment, self.brought.model.is_some())?;
        let mut warnings = Vec::new();
        let device = open_device(experiment.device, |warning| warnings.push(warning))?;
        let source = match self.brought.model.take() {
            Some(model) => Source::Loaded(Box::new(model)),
            None => Source::Files(Box::new(ModelFiles::open(&experiment.model)?)),
        };
        let (shape, tokenizer) = source.parts();
        let room = tasks::room(experiment.rollout.max_new_tokens, shape.max_position_embeddings)?;
        let task = match self.brought.task.take() {
            Some(task) => task,
            None => tasks::build(&experiment.task, tokenizer, Some(room))?,
        };
        check_curriculum(experiment, task.as_ref())?;
        let longest_prompt = tasks::check_length(task.as_ref(), experiment.seed, tokenizer, room)?;
        let suites = Suite::all(&experiment.evaluations, &task, tokenizer, Some(room))?;
        suites.iter().try_for_each(|suite| suite.check_length(tokenizer, room))?;
        Ok(Checked { resolved: self, device, source, task, suites, longest_prompt, warnings })
    }
}

/// The most levels that a curriculum tells apart. With more, as where a column of levels has a
/// number of its own for every problem, their solve rates would say nothing.
const MOST_LEVELS: usize = 100;

/// Refuses a curriculum over problems that are all of one level, or of very many.
fn check_curriculum(experiment: &Experiment, task: &dyn Task) -> Result<()> {
    let (name, levels) = (task.name(), task.levels());
    let problem = match levels {
        _ if experiment.rollout.curriculum.is_none() => return Ok(()),
        ..=1 => format!(
            "needs levels of difficulty, and the task `{name}` tells only one apart; leave it out"
        ),
        2..=MOST_LEVELS => return Ok(()),
        _ => format!(
            "needs at most {MOST_LEVELS} levels of difficulty, and the task `{name}` has \
             {levels}; put problems of a similar level together, or leave it out"
        ),
    };
    Err(Error::field("rollout.curriculum", problem))
}
