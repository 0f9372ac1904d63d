//! The settings that hold, of a new run or of one that continues.

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::run::RecordedState;
use crate::trainer::resume::{Resumed, goes_on};
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
    experiment.objective.ratio.get_or_insert(experiment.objective.loss.ratio());
    Ok(Resolved { experiment, resumed, brought })
}

/// Refuses a method that nobody has registered.
fn check_method(experiment: &Experiment) -> Result<()> {
    let Some(name) = experiment.method.foreign() else { return Ok(()) };
    Err(Error::input(format!(
        "the method `{name}` is not part of this program; method: Custom(..) is for programs that \
         register their own"
    )))
}

/// Refuses to resume a run that has nothing more to do.
fn check_end(resumed: Option<&Resumed>, last: u64) -> Result<()> {
    let Some(resumed) = resumed else { return Ok(()) };
    let step = resumed.state.step;
    let is_finished =
        resumed.manifest.as_ref().is_some_and(|manifest| manifest.state == RecordedState::Finished);
    if goes_on(step, last, is_finished) {
        return Ok(());
    }
    Err(Error::input(format!(
        "the run is already at step {step} of {last}; give it more with --set stop.steps=N"
    )))
}
