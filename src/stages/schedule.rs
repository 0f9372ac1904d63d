//! The schedules of a training step, and its parts.

use crate::run::Stage;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::ScheduleLabel;

/// The stages as system sets of [`TrainStep`], chained in pipeline order.
pub use crate::run::Stage as StageSystems;

/// The schedule of one training step.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrainStep;

/// The stages Sample and Verify once more within a step, for the further groups of dynamic sampling
/// (`rollout.dynamic`). Systems that change what is sampled or how it is judged belong here as well
/// as in [`TrainStep`].
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleRound;

/// What is done with a step's numbers after they have been recorded: plugins that send them
/// elsewhere add their systems here and read [`StepMetrics`](super::StepMetrics).
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SinkSystems;

/// The moments between stages, where the clock is read.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Boundary {
    Before(Stage),
    AfterLast,
}
