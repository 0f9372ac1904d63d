//! The model, what computes it, and its adapter.

use super::defaults;
use super::range::{count, within};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The first CUDA device if the program is built for CUDA and one is there, the CPU otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of that number.
    Cuda(usize),
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// One that comes with the program, such as `countdown`.
    Bundled(String),
    /// A Hugging Face folder.
    Local(PathBuf),
    /// A repository of the Hugging Face hub, downloaded where it is not in the hub's cache yet.
    Hub(HubRepository),
}

/// A repository of the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubRepository {
    /// `owner/name`, such as `Qwen/Qwen3-1.7B-Base`.
    pub repo: String,
    /// Branch, tag or commit; the commit that it stood for is written into the run folder.
    #[serde(default = "defaults::revision")]
    pub revision: String,
}

impl std::fmt::Display for HubRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.repo, self.revision)
    }
}

/// Type of weights and compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16, with `f32` master weights and moments.
    Bf16,
}

/// Which parameters are trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Adapter {
    /// All of them.
    #[default]
    Full,
    /// Low-rank additions to linear layers (arXiv 2106.09685), such as
    /// `Lora(rank: 16, alpha: 32.0)`. The base model stays as it is and serves as the reference
    /// too; checkpoints are PEFT folders.
    Lora(LoraConfig),
}

/// A type of few bits for weights that are not trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantisation {
    /// Four bits an element and a scale for every 64 of them: the type of `QLoRA` (arXiv 2305.14314).
    Nf4,
}

/// Settings of [`Adapter::Lora`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank r of the additions.
    pub rank: usize,
    /// The additions are multiplied by `alpha` / r.
    pub alpha: f64,
    /// The linear layers that get one: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`,
    /// `up_proj`, `down_proj`.
    pub targets: Vec<LoraTarget>,
}

impl LoraConfig {
    /// What the additions are multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    pub(super) fn validate(&self) -> Result<()> {
        count("adapter.rank", self.rank, 1, 4096)?;
        within("adapter.alpha", self.alpha, f64::MIN_POSITIVE, 1e6)?;
        if self.targets.is_empty() {
            return Err(Error::field(
                "adapter.targets",
                "is empty; name at least one linear layer, such as q_proj",
            ));
        }
        for (place, target) in self.targets.iter().enumerate() {
            if self.targets[..place].contains(target) {
                return Err(Error::field(
                    "adapter.targets",
                    format!("names {} twice", target.name()),
                ));
            }
        }
        Ok(())
    }
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: LoraTarget::ALL.to_vec() }
    }
}

/// A linear layer of a decoder layer, by its name in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LoraTarget {
    #[serde(rename = "q_proj")]
    Q,
    #[serde(rename = "k_proj")]
    K,
    #[serde(rename = "v_proj")]
    V,
    #[serde(rename = "o_proj")]
    O,
    #[serde(rename = "gate_proj")]
    Gate,
    #[serde(rename = "up_proj")]
    Up,
    #[serde(rename = "down_proj")]
    Down,
}

impl LoraTarget {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Its place within a decoder layer, such as `self_attn.q_proj`.
    pub fn module(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Its name, such as `q_proj`.
    pub fn name(self) -> &'static str {
        self.module().rsplit('.').next().unwrap_or_default()
    }
}

/// Shape of a network to be trained from nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Longest sequence.
    pub positions: usize,
}
