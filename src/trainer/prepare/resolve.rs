//! The settings that hold, of a new run or of one that continues.

use crate::error::{Error, Result};
use crate::experiment::{Experiment, MethodKind, TaskConfig};
use crate::run::RecordedState;
use crate::stages::metrics;
use crate::tasks::{self, Task};
use crate::trainer::resume::{Resumed, continues};
use crate::trainer::run::{Brought, RunBuilder};

/// The settings that hold. Nothing has been loaded.
pub(super) struct Resolved {
    pub(super) experiment: Experiment,
    /// The run that continues, after a look at its checkpoint.
    pub(super) resumed: Option<Resumed>,
    pub(super) brought: Brought,
}

impl Resolved {
    /// The step after which the run continues; 0 for a new one.
    pub(super) fn step(&self) -> u64 {
        self.resumed.as_ref().map_or(0, |resumed| resumed.state.step)
    }
}

pub(super) fn resolve(builder: RunBuilder) -> Result<Resolved> {
    let RunBuilder { experiment, resumed, brought } = builder;
    let (resumed, mut experiment) = match resumed {
        None => (None, experiment),
        Some(resumption) => {
            let (resumed, experiment) = resumption.look(experiment)?;
            (Some(resumed), experiment)
        }
    };
    experiment.validate()?;
    check_end(resumed.as_ref(), experiment.stop.steps)?;
    check_method(&experiment)?;
    check_task(&experiment, brought.task.as_deref())?;
    experiment.objective.ratio.get_or_insert(experiment.objective.loss.ratio());
    Ok(Resolved { experiment, resumed, brought })
}

/// Refuses a method that nobody has registered.
fn check_method(experiment: &Experiment) -> Result<()> {
    if let Some(name) = MethodKind::registered_twice() {
        return Err(Error::input(format!(
            "two methods of this program are called `{name}`; give one of them another name"
        )));
    }
    let Some(name) = experiment.method.foreign() else { return Ok(()) };
    if MethodKind::is_built_in(name) {
        return Err(Error::input(format!(
            "`{name}` is a method of this program; write it without Custom(..)"
        )));
    }
    let hint = MethodKind::hint(name);
    let joint = if hint.is_empty() { ";" } else { "" };
    Err(Error::input(format!(
        "the method `{name}` is not part of this program{hint}{joint} method: Custom(..) is for \
         programs that register their own; one whose method is in another crate names that crate \
         once, as in `use my_methods as _;`"
    )))
}

/// Refuses a task that this program does not have, or has and is not asked for.
fn check_task(experiment: &Experiment, provided: Option<&dyn Task>) -> Result<()> {
    let asked = match &experiment.task {
        TaskConfig::Custom(name) => Some(name.as_str()),
        _ => None,
    };
    match (asked, provided) {
        (Some(name), None) => Err(tasks::foreign(name)),
        (Some(name), Some(task)) if task.name() != name => Err(Error::input(format!(
            "the experiment asks for the task `{name}`, but this program provides `{}`",
            task.name()
        ))),
        (None, Some(task)) => Err(Error::input(format!(
            "this program provides the task `{0}`, and the experiment asks for another one; write \
             task: Custom(\"{0}\"), or do not provide it",
            task.name()
        ))),
        (_, provided) => provided.map_or(Ok(()), check_reward_parts),
    }
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

/// Refuses to resume a run that has nothing more to do.
fn check_end(resumed: Option<&Resumed>, last: u64) -> Result<()> {
    let Some(resumed) = resumed else { return Ok(()) };
    let step = resumed.state.step;
    let is_finished =
        resumed.manifest.as_ref().is_some_and(|manifest| manifest.state == RecordedState::Finished);
    if continues(step, last, is_finished) {
        return Ok(());
    }
    Err(Error::input(format!(
        "the run is already at step {step} of {last}; give it more with --set stop.steps=N"
    )))
}
