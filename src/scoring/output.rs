//! Scores and the files that they are written to.

use super::{Measured, ScoreInput};
use crate::data::Label;
use crate::error::{Error, Result};
use crate::geometry::CosineMatrix;
use candle_core::{Device, Tensor};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;

/// A line of `scores.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseScore {
    /// The response's group.
    pub group: Label,
    /// Its base reward.
    pub reward: f32,
    /// Its tokens.
    pub length: usize,
    /// log p of the response at temperature 1, nats.
    pub logprob: f64,
    /// Mean entropy per token at temperature 1, nats; `None` without tokens.
    pub entropy: Option<f64>,
    /// nu, in [0, 1].
    pub novelty: f32,
    /// nu normalised within the group, in [0, 1].
    pub novelty_normalized: f32,
    /// The shaped reward.
    pub shaped_reward: f32,
    /// The advantage within the group.
    pub advantage: f32,
}

impl ResponseScore {
    /// What is known of a response before its group is looked at.
    pub(super) fn new(input: &ScoreInput, measured: &Measured) -> Self {
        Self {
            group: input.group.clone(),
            reward: input.reward,
            length: input.response.len(),
            logprob: measured.logprobs.iter().copied().map(f64::from).sum(),
            entropy: measured.entropy,
            novelty: 0.0,
            novelty_normalized: 0.0,
            shaped_reward: input.reward,
            advantage: 0.0,
        }
    }
}

/// The geometry of one group.
#[derive(Clone, Debug)]
pub struct GroupScores {
    /// The group as named in the input.
    pub name: Label,
    /// Places of its responses in the input.
    pub members: Vec<usize>,
    /// Cosines between features (m, m).
    pub cosines: CosineMatrix,
    /// Cosines between gradients over all parameters (m, m), where asked for.
    pub gradient_cosines: Option<CosineMatrix>,
}

/// Everything that scoring found out.
#[derive(Clone, Debug)]
pub struct Scores {
    /// One per response, in the order of the input.
    pub responses: Vec<ResponseScore>,
    /// In the order of their first members.
    pub groups: Vec<GroupScores>,
    /// Sequence features (N, d), row-major.
    pub features: Vec<f32>,
    /// d.
    pub feature_size: usize,
    /// log p of every token at temperature 1, nats, by response.
    pub logprobs: Vec<Vec<f32>>,
}

impl Scores {
    /// Writes `scores.jsonl` and `scores.safetensors` into `folder`, which is made where it is missing; files of that name are replaced.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("making the folder for the scores", folder))?;
        let path = folder.join("scores.jsonl");
        let mut lines = String::new();
        for score in &self.responses {
            lines += &serde_json::to_string(score)
                .map_err(|e| Error::failed(format!("cannot write a score: {e} ({})", path.display())))?;
            lines.push('\n');
        }
        std::fs::write(&path, lines).map_err(Error::io("writing the scores", &path))?;

        let path = folder.join("scores.safetensors");
        let mut tensors = HashMap::new();
        let cpu = &Device::Cpu;
        let shape = (self.responses.len(), self.feature_size);
        tensors.insert("features".to_string(), Tensor::from_slice(&self.features, shape, cpu)?);
        let logprobs = self.logprobs.concat();
        tensors.insert("logprobs".to_string(), Tensor::from_slice(&logprobs, logprobs.len(), cpu)?);
        let mut offsets = vec![0i64];
        for response in &self.logprobs {
            offsets.push(offsets[offsets.len() - 1] + response.len() as i64);
        }
        tensors.insert("offsets".to_string(), Tensor::from_slice(&offsets, offsets.len(), cpu)?);
        for (index, group) in self.groups.iter().enumerate() {
            let matrices = [("cosine", Some(&group.cosines)), ("gradient_cosine", group.gradient_cosines.as_ref())];
            for (name, matrix) in matrices {
                if let Some(matrix) = matrix {
                    let size = (matrix.size(), matrix.size());
                    tensors.insert(format!("{name}.{index}"), Tensor::from_slice(matrix.values(), size, cpu)?);
                }
            }
        }
        candle_core::safetensors::save(&tensors, &path)
            .map_err(|e| Error::failed(format!("the scores cannot be written: {e} ({})", path.display())))
    }
}
