//! Whether memory and disk suffice, and how memory is used.

use super::check::Checked;
use super::resolve::Resolved;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::files::space;
use crate::machine;
use crate::memory::Plan;
use crate::trainer::resume::Settled;
use std::path::Path;

/// A run for which there is room. Its experiment is complete.
pub(super) struct Planned {
    pub(super) checked: Checked,
    /// What becomes of changed settings, where the run continues.
    pub(super) settled: Option<Settled>,
    pub(super) checkpoint_bytes: u64,
    /// What there is no room for, and what has no effect.
    pub(super) warnings: Vec<String>,
}

impl Checked {
    /// Settles what the experiment leaves to the plan, and refuses what there is no room for.
    pub(super) fn plan(mut self, runs: &Path) -> Result<Planned> {
        let (shape, _) = self.source.parts();
        let is_cpu = self.device.is_cpu();
        // Weights that are there already are part of what the run needs, and not free any more.
        let held = self.source.bytes_on(&self.device);
        let available = machine::available(&self.device).map(|free| free + held);
        let experiment = &mut self.resolved.experiment;
        let plan = Plan::new(experiment, shape, self.longest_prompt, is_cpu, available);
        plan.check(experiment, &machine::device_name(&self.device))?;
        plan.settle(experiment);
        let checkpoint_bytes = plan.workload.checkpoint_bytes();

        let Resolved { experiment, resumed, .. } = &self.resolved;
        let settled = resumed.as_ref().map(|resumed| resumed.settle(experiment)).transpose()?;
        let place = resumed.as_ref().map_or(runs, |resumed| resumed.directory.path());
        let no_room = check_room(experiment, checkpoint_bytes, self.resolved.step(), place)?;
        let warnings = no_room.into_iter().chain(no_effect(experiment, &plan)).collect();
        Ok(Planned { checked: self, settled, checkpoint_bytes, warnings })
    }
}

/// Says why no forward pass is kept where the experiment asks for it.
fn no_effect(experiment: &Experiment, plan: &Plan) -> Option<String> {
    let asked = experiment.objective.traced_groups.filter(|&groups| groups > 0)?;
    (plan.workload.traced_groups == 0).then(|| {
        format!(
            "objective.traced_groups={asked} has no effect: forward passes of sampling are kept on \
             the CPU in F32 only, and where a step has one optimizer step"
        )
    })
}

/// Refuses a run whose disk has no room for a checkpoint; says where it has none for all of them.
fn check_room(
    experiment: &Experiment,
    checkpoint: u64,
    step: u64,
    place: &Path,
) -> Result<Option<String>> {
    space::require(place, checkpoint, "a checkpoint", "give another folder with --out")?;
    let checkpoints = experiment.checkpoints_after(step);
    let all = space::check(place, checkpoint.saturating_mul(checkpoints)).err();
    Ok(all.map(|error| {
        format!(
            "there is no room for all {checkpoints} checkpoints: {error}, or raise \
             record.checkpoint_every"
        )
    }))
}
