//! What systems of several stages read, and methods and plugins with them.

use crate::error::{Error, Result};
use crate::experiment::{Experiment, Method};
use crate::model::LanguageModel;
use crate::optim::AdamW;
use crate::run::{Event, RunDir, SnapshotCell, Stage, StageProgress};
use crate::tasks::Task;
use bevy_ecs::prelude::{Res, Resource};
use bevy_ecs::system::SystemParam;
use std::marker::PhantomData;
use std::sync::Arc;

/// The experiment that is run.
#[derive(Resource, Clone)]
pub struct ActiveExperiment(pub Experiment);

/// A method's settings as they are now, for its systems: what is changed while the run continues
/// holds from the next step on.
#[derive(SystemParam)]
pub struct Settings<'w, M: Method> {
    experiment: Res<'w, ActiveExperiment>,
    method: PhantomData<M>,
}

impl<M: Method> Settings<'_, M> {
    /// The settings. Fails where the experiment has another method.
    pub fn get(&self) -> Result<&M> {
        let method = &self.experiment.0.method;
        method.get().ok_or_else(|| {
            let (own, other) = (M::LABEL, method.label());
            Error::failed(format!("a system of {own} runs in an experiment with {other}"))
        })
    }
}

/// The task that is trained on.
#[derive(Resource, Clone)]
pub struct ActiveTask(pub Arc<dyn Task>);

/// The policy.
#[derive(Resource)]
pub struct Policy(pub LanguageModel);

/// The policy's optimizer.
#[derive(Resource)]
pub struct PolicyOptimizer(pub AdamW);

/// The step that is running, from 1; between steps, the last one finished.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepCounter(pub u64);

/// Where the stages tell the outside how far they are.
#[derive(Resource, Clone)]
pub struct Monitor(pub SnapshotCell);

impl Monitor {
    /// Reports the share of the running stage that is done, at most every hundredth.
    pub fn report(&self, stage: Stage, last: &mut f32, done: f32) {
        if done - *last >= 0.01 {
            *last = done;
            self.0.progress(StageProgress { stage: Some(stage), done: Some(done) });
        }
    }
}

/// The run folder, into which the run is recorded.
#[derive(Resource)]
pub struct RunRecorder(pub RunDir);

/// Records something that a person should know about, and shows it.
pub(super) fn warn(
    recorder: &RunRecorder,
    monitor: &Monitor,
    step: u64,
    text: String,
) -> Result<()> {
    let event = Event::warning(step, text);
    recorder.0.append_event(&event)?;
    monitor.0.update(|snapshot| snapshot.take_in(event));
    Ok(())
}
