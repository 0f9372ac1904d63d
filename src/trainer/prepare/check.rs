//! What can be checked before weights are read: where everything comes from, the task, the suites,
//! the lengths of prompts.

use super::resolve::Resolved;
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::{Experiment, TaskConfig};
use crate::model::{ModelFiles, TextTokenizer, open_device};
use crate::stages::metrics;
use crate::tasks::{self, Room, Task};
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
}

impl Resolved {
    /// Opens the files of model, data and templates, and refuses what does not fit together.
    /// Downloads what is not there.
    pub(super) fn check(mut self) -> Result<Checked> {
        let experiment = &mut self.experiment;
        settle_sources(experiment)?;
        let device = open_device(experiment.device)?;
        let source = match self.brought.model.take() {
            Some(model) => Source::Loaded(Box::new(model)),
            None => Source::Files(Box::new(ModelFiles::open(&experiment.model)?)),
        };
        let (shape, tokenizer) = source.parts();
        let room = tasks::room(experiment.rollout.max_new_tokens, shape.max_position_embeddings)?;
        let task = task_of(experiment, self.brought.task.take(), tokenizer, room)?;
        check_curriculum(experiment, task.as_ref())?;
        check_reward_parts(task.as_ref())?;
        let longest_prompt = tasks::check_length(task.as_ref(), experiment.seed, tokenizer, room)?;
        let suites = suites_of(experiment, &task, tokenizer, room)?;
        Ok(Checked { resolved: self, device, source, task, suites, longest_prompt })
    }
}

/// Refuses a curriculum over problems that are all of one level.
fn check_curriculum(experiment: &Experiment, task: &dyn Task) -> Result<()> {
    if experiment.rollout.curriculum.is_none() || task.levels() > 1 {
        return Ok(());
    }
    let problem = format!(
        "needs levels of difficulty, and the task `{}` has none; leave it out",
        task.name()
    );
    Err(Error::field("rollout.curriculum", problem))
}

/// Refuses names of the parts of a reward that are not names of metrics, or of other ones.
fn check_reward_parts(task: &dyn Task) -> Result<()> {
    let parts = task.reward_parts();
    let is_plain = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for (place, part) in parts.iter().enumerate() {
        let is_taken = metrics::built_in().any(|metric| metric.name == part.metric());
        let problem = if !is_plain(part.name) {
            "has other characters than letters, digits and `_`"
        } else if is_taken {
            "would be a metric that the program has already"
        } else if parts[..place].iter().any(|earlier| earlier.name == part.name) {
            "is there twice"
        } else {
            continue;
        };
        let (task, name) = (task.name(), part.name);
        let problem = format!("the part {name:?} of the reward of the task `{task}` {problem}");
        return Err(Error::input(format!("{problem}; give it another name in `reward_parts`")));
    }
    Ok(())
}

/// The task that the experiment names: the program's own or the one that was `provided`.
fn task_of(
    experiment: &Experiment,
    provided: Option<Arc<dyn Task>>,
    tokenizer: &TextTokenizer,
    room: Room,
) -> Result<Arc<dyn Task>> {
    match (&experiment.task, provided) {
        (TaskConfig::Custom(name), Some(task)) if task.name() == name => Ok(task),
        (TaskConfig::Custom(name), Some(task)) => Err(Error::input(format!(
            "the experiment asks for the task `{name}`, but this program provides `{}`",
            task.name()
        ))),
        (config, _) => tasks::build(config, tokenizer, Some(room)),
    }
}

/// The suites of the experiment's evaluations, in order. Refuses those whose prompts leave too
/// little room.
fn suites_of(
    experiment: &Experiment,
    task: &Arc<dyn Task>,
    tokenizer: &TextTokenizer,
    room: Room,
) -> Result<Vec<Suite>> {
    let suites = experiment.evaluations.iter().map(|evaluation| {
        let suite = Suite::new(&evaluation.suite, task, tokenizer, Some(room))?;
        suite.check_length(tokenizer, room)?;
        Ok(suite)
    });
    let mut suites = suites.collect::<Result<Vec<_>>>()?;
    Suite::tell_apart(&mut suites);
    Ok(suites)
}
