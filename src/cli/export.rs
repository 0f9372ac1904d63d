//! `orthant export`: a model as a Hugging Face folder, adapters merged.

use super::arguments::DtypeChoice;
use super::models::{load, model_files};
use super::terminal::say;
use crate::error::Result;
use crate::files::staging::StagedFolder;
use candle_core::{DType, Device};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Example: orthant export --model runs/RUN/checkpoints/step_000100 --out my-model \
                  --dtype bf16"
)]
pub(super) struct ExportArguments {
    /// The model: a Hugging Face folder, a PEFT folder (a checkpoint of a LoRA run), or the name of
    /// a bundled model.
    #[arg(long, value_name = "DIR")]
    model: String,
    /// The base model of an adapter, where it is not the one that the adapter's settings name.
    #[arg(long, value_name = "DIR")]
    base: Option<String>,
    /// The folder to write, which must not exist yet or be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type of the written weights.
    #[arg(long, value_enum, default_value_t = DtypeChoice::Bf16)]
    dtype: DtypeChoice,
    /// Prints a machine-readable line last.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ExportArguments) -> Result<u8> {
    let out = &arguments.out;
    let files = model_files(&arguments.model, arguments.base.as_ref())?;
    let bytes = files.config.parameter_count() * arguments.dtype.dtype().size_in_bytes();
    let staged = StagedFolder::begin(out, &[], bytes as u64)?;
    // Adapters are merged in f32 and rounded once.
    let model = load(files, DType::F32, &Device::Cpu)?;
    let model = model.converted(arguments.dtype.dtype())?;
    model.write(staged.path())?;
    staged.finish()?;
    say!("{} parameters in {}", model.parameter_count(), out.display())?;
    if arguments.json {
        say!(
            "{}",
            serde_json::json!({ "out": out.display().to_string(), "params": model.parameter_count() })
        )?;
    }
    Ok(0)
}
