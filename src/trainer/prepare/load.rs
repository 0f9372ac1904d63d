//! Weights, and what is made of them.

use super::check::Checked;
use super::plan::Planned;
use super::resolve::Resolved;
use crate::error::Result;
use crate::evaluation::Suite;
use crate::experiment::Experiment;
use crate::model::{LanguageModel, ModelFiles, data_type};
use crate::optim::AdamW;
use crate::run::{ReplacedInput, TrainerState};
use crate::tasks::Task;
use crate::trainer::inputs::Inputs;
use crate::trainer::policy::{FrozenBase, state_of};
use crate::trainer::resume::{Resumed, Settled};
use crate::trainer::run::Brought;
use crate::trainer::sources::Source;
use candle_core::Device;
use std::sync::Arc;

/// A run with everything that it trains and reads, before there is a folder of it.
pub(super) struct Loaded {
    pub(super) experiment: Experiment,
    pub(super) brought: Brought,
    pub(super) device: Device,
    pub(super) task: Arc<dyn Task>,
    pub(super) suites: Vec<Suite>,
    /// Policy, optimizer and the rest of the state.
    pub(super) model: LanguageModel,
    pub(super) optimizer: AdamW,
    pub(super) state: TrainerState,
    pub(super) frozen: FrozenBase,
    pub(super) inputs: Inputs,
    /// The run that continues, with what becomes of its settings.
    pub(super) resumed: Option<(Resumed, Settled)>,
    /// Inputs that are not what they were, in a run that continues.
    pub(super) replaced: Vec<ReplacedInput>,
    /// Inputs that the settings ask for otherwise, in a run that continues.
    pub(super) reread: Vec<ReplacedInput>,
    /// What there is to warn of.
    pub(super) warnings: Vec<String>,
    pub(super) checkpoint_bytes: u64,
}

impl Planned {
    /// Reads the weights, and compares what is read with what the run had before.
    pub(super) fn load(self) -> Result<Loaded> {
        let Self { checked, settled, checkpoint_bytes, warnings: of_plan } = self;
        let step = checked.resolved.step();
        let Checked { resolved, device, source, task, suites, mut warnings, .. } = checked;
        let Resolved { experiment, resumed, brought } = resolved;
        let dtype = data_type(experiment.precision);

        let model_before = hash_before(&experiment, resumed.as_ref(), &source, &device)?;
        let base = source.load(dtype, &device, experiment.quantize_base)?;
        warnings.extend(notes(base.notes(), &suites, task.as_ref()));

        let held = resumed.as_ref().map(|resumed| &resumed.held);
        let inputs = Inputs::new(&experiment, &base, task.as_ref(), &suites, held)?
            .with_model_before(model_before);
        let replaced = resumed.as_ref().map_or(Ok(Vec::new()), |resumed| inputs.check(resumed))?;
        let earlier = resumed.as_ref().and_then(|resumed| resumed.manifest.as_ref());
        let reread =
            earlier.map_or(Vec::new(), |manifest| inputs.reread(manifest, step, &replaced));
        warnings.extend(earlier.and_then(|manifest| inputs.unknown(manifest)));
        warnings.extend(of_plan);

        let frozen = FrozenBase::new(&experiment, &base, resumed.is_none(), &device)?;
        let (model, optimizer, state) =
            state_of(&experiment, base, resumed.as_ref(), dtype, &device)?;
        Ok(Loaded {
            experiment,
            brought,
            device,
            task,
            suites,
            model,
            optimizer,
            state,
            frozen,
            inputs,
            resumed: resumed.zip(settled),
            replaced,
            reread,
            warnings,
            checkpoint_bytes,
        })
    }
}

/// The hash of the base model's weights in the precision and the number of bits that held until
/// now, where the run is to continue in others: weights are rounded when they are read.
fn hash_before(
    experiment: &Experiment,
    resumed: Option<&Resumed>,
    source: &Source,
    device: &Device,
) -> Result<Option<String>> {
    match (resumed, source) {
        (Some(Resumed { held, .. }), Source::Files(_))
            if (held.precision, held.quantize_base)
                != (experiment.precision, experiment.quantize_base) =>
        {
            let files = Source::Files(Box::new(ModelFiles::open(&experiment.model)?));
            let base = files.load(data_type(held.precision), device, held.quantize_base)?;
            base.weights.hash().map(Some)
        }
        _ => Ok(None),
    }
}

/// What there is to warn of before a run begins or continues: what is odd about the model, problems
/// that had to be left out, and suites whose problems are trained on too.
fn notes(of_model: &[String], suites: &[Suite], task: &dyn Task) -> Vec<String> {
    let notes = of_model
        .iter()
        .chain(task.notes())
        .chain(suites.iter().flat_map(|suite| &suite.notes))
        .cloned();
    notes.chain(suites.iter().filter_map(|suite| suite.overlap(task))).collect()
}
