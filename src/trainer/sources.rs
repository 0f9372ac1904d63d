//! Where a run's model, encoders, data and templates come from.

use crate::data::{named, settled_template};
use crate::error::{Error, Result};
use crate::experiment::{
    DataSource, EncoderSource, Experiment, HeldOutSource, ModelSource, Quantisation, SuiteConfig,
    TaskConfig,
};
use crate::model::{DecoderSpec, LanguageModel, ModelFiles, TextTokenizer, hub};
use candle_core::{DType, Device};
use std::path::PathBuf;

/// The model to start from: one that a program provides, or files.
pub(super) enum Source {
    Loaded(Box<LanguageModel>),
    Files(Box<ModelFiles>),
}

impl Source {
    pub(super) fn parts(&self) -> (&DecoderSpec, &TextTokenizer) {
        match self {
            Self::Loaded(model) => (&model.config, &model.tokenizer),
            Self::Files(files) => (&files.config, &files.tokenizer),
        }
    }

    /// Bytes of its weights that are on a device already.
    pub(super) fn bytes_on(&self, device: &Device) -> u64 {
        match self {
            Self::Loaded(model) => model.bytes_on(device),
            Self::Files(_) => 0,
        }
    }

    /// Loads it as a model without an adapter, with its linear layers in few bits where these are
    /// asked for.
    pub(super) fn load(
        self,
        dtype: DType,
        device: &Device,
        quantised: Option<Quantisation>,
    ) -> Result<LanguageModel> {
        match self {
            Self::Loaded(model) => model.merged()?.quantised(quantised),
            Self::Files(files) if files.is_whole() => {
                files.quantised(quantised).load(dtype, device)
            }
            Self::Files(files) => files.load(dtype, device)?.merged()?.quantised(quantised),
        }
    }
}

/// Settles where model, encoders, data and templates come from, so that the resolved experiment
/// runs again from any folder and with the same weights: folders become absolute, branches of the
/// hub become commits. Downloads what is not there.
pub(super) fn settle_sources(experiment: &mut Experiment, model_is_here: bool) -> Result<()> {
    let absolute = |folder: &mut PathBuf| {
        if let Ok(found) = folder.canonicalize() {
            *folder = found;
        }
        if folder.to_str().is_some() {
            return Ok(());
        }
        let path = folder.display();
        Err(Error::input(format!(
            "the name of {path} is not Unicode, which the run folder holds names as; rename it"
        )))
    };
    match &mut experiment.model {
        ModelSource::Bundled(_) => {}
        ModelSource::Local(folder) => absolute(folder)?,
        ModelSource::Hub(_) if model_is_here => {}
        ModelSource::Hub(source) => source.revision = hub::commit_of(&hub::fetch_model(source)?),
    }
    let settle = |source: &mut DataSource| match source {
        DataSource::Local(file) => absolute(file),
        DataSource::Hub(source) => {
            source.revision = hub::commit_of(&hub::fetch_dataset(source)?);
            Ok::<_, Error>(())
        }
    };
    let settle_template = |template: &mut Option<String>| {
        if let Some(name) = template {
            *name = settled_template(name);
        }
    };
    if let TaskConfig::Dataset(data) = &mut experiment.task {
        settle_template(&mut data.template);
        settle(&mut data.source)?;
        if let HeldOutSource::Other(other) = &mut data.held_out {
            settle(other)?;
        }
    }
    for evaluation in &mut experiment.evaluations {
        match &mut evaluation.suite {
            SuiteConfig::HeldOut(_) => {}
            SuiteConfig::File(suite) => {
                absolute(&mut suite.path)?;
                settle_template(&mut suite.template);
            }
            SuiteConfig::Named(suite) => {
                settle_template(&mut suite.template);
                let source = named(&suite.name)?.source(suite.revision.as_deref());
                suite.revision = Some(hub::commit_of(&hub::fetch_dataset(&source)?));
            }
        }
    }
    if experiment.method.needs_encoder() {
        experiment.record.encoder.get_or_insert_default();
    }
    for encoder in experiment.encoders_mut() {
        match encoder {
            EncoderSource::Policy => {}
            EncoderSource::Local(folder) => absolute(folder)?,
            EncoderSource::Hub(source) => {
                let folder = hub::fetch_encoder(source)?;
                source.revision = hub::commit_of(&folder);
            }
        }
    }
    Ok(())
}
