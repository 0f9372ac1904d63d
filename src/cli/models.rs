//! The models that commands name.

use super::terminal::note;
use crate::error::Result;
use crate::experiment::ModelSource;
use crate::model::{LanguageModel, ModelFiles, bundled_models};
use candle_core::{DType, Device};

/// The model that `--model` names: a bundled model by its name, anything else is a folder.
fn model_source(text: &str) -> ModelSource {
    if bundled_models().any(|name| name == text) {
        ModelSource::Bundled(text.to_string())
    } else {
        ModelSource::Local(text.into())
    }
}

/// Finds the model that `--model` and `--base` name.
pub(super) fn model_files(model: &str, base: Option<&String>) -> Result<ModelFiles> {
    let base = base.map(|base| model_source(base));
    ModelFiles::open_on(&model_source(model), base.as_ref())
}

/// Loads a model as one without an adapter, and says on standard error what about it is worth a
/// warning.
pub(super) fn load(files: ModelFiles, dtype: DType, device: &Device) -> Result<LanguageModel> {
    let model = files.load(dtype, device)?;
    model.notes().iter().for_each(|note| note!("warning: {note}"));
    model.merged()
}
