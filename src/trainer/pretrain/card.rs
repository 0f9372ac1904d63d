//! The model card, with what was measured.

use super::progress::Progress;
use crate::error::{Error, Result};
use crate::experiment::Pretrain;
use crate::model::LanguageModel;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The model card, with what was measured.
pub(super) fn write_card(
    config: &Pretrain,
    model: &LanguageModel,
    progress: &Progress,
    folder: &Path,
) -> Result<()> {
    let path: &Path = &folder.join("README.md");
    let Progress { tokens, loss, records, .. } = progress;
    let loss = loss.unwrap_or(f64::NAN);
    let mut rows = String::new();
    for (record, evaluation) in
        records.iter().filter(|r| r.step == config.steps).zip(&config.evaluations)
    {
        for (k, e) in &record.pass_at {
            let _ignored = writeln!(
                rows,
                "| {}, {} samples, temperature {} | pass@{k} | {:.1} % | {:.1} to {:.1} % |",
                record.suite,
                record.samples,
                evaluation.temperature,
                100.0 * e.value,
                100.0 * e.low,
                100.0 * e.high
            );
        }
    }
    let card = format!(
        "# {name}\n\nA {family} base model of {parameters} parameters ({layers} layers, width \
         {width}), trained from nothing on worked solutions of the procedural task in its \
         experiment file. It was made to be improved by reinforcement learning, not to be \
         used.\n\n* Training: {steps} steps of {batch} worked solutions, {tokens} tokens in all, \
         seed {seed}; mean loss at the end {loss:.4} nats per token.\n* Tokenizer: bytes and a few \
         words; every digit is a token of its own.\n* Weights: SHA-256 {hash} (over names, shapes \
         and values).\n\n| Held-out problems | Metric | Value | 95 % interval \
         |\n|---|---|---|---|\n{rows}\nReproduce: `orthant pretrain` with the experiment \
         of the model `{name}`. Results agree to the last digit on processors with the \
         same\nvector instructions only: matrix products round differently elsewhere.\n",
        name = config.name,
        family = model.config.family.name(),
        parameters = model.parameter_count(),
        layers = config.model.layers,
        width = config.model.hidden_size,
        steps = config.steps,
        batch = config.batch,
        seed = config.seed,
        hash = model.weights.hash()?,
    );
    fs::write(path, card).map_err(Error::io("writing the model card", path))
}
