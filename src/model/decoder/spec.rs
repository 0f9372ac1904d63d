//! What a decoder is made of: sizes, and what distinguishes one family from another.
//!
//! Every decoder here is a stack of layers with grouped-query attention over rotary positions and a
//! gated MLP, each after a root-mean-square norm and added to the residual stream. What families
//! add to that is a field, or a part of the layer that is there or not (`super::parts`).

use super::rope::RopeScaling;
use crate::error::{Error, Result};
use crate::model::families::Family;

/// The shape of a decoder. Names of sizes are those of Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// Whose `config.json` it has.
    pub family: &'static Family,
    /// Number of tokens V.
    pub vocab_size: usize,
    /// Width d of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key/value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Epsilon of every `RMSNorm`.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// How its angles are scaled for long sequences.
    pub rope_scaling: Option<RopeScaling>,
    /// Whether each query and key is normalised before it is rotated.
    pub qk_norm: bool,
    /// Whether the projections to queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the head is the embedding matrix itself.
    pub tie_word_embeddings: bool,
    /// Tokens that end a response.
    pub eos_token_ids: Vec<u32>,
}

/// The largest size of each kind that a model may have. Products of them fit into 64 bits, so that
/// no count overflows.
const SIZES: [(&str, usize); 8] = [
    ("vocab_size", 1 << 24),
    ("hidden_size", 1 << 18),
    ("intermediate_size", 1 << 20),
    ("num_hidden_layers", 1 << 12),
    ("num_attention_heads", 1 << 12),
    ("num_key_value_heads", 1 << 12),
    ("head_dim", 1 << 14),
    ("max_position_embeddings", 1 << 24),
];

impl DecoderSpec {
    /// Checks that the sizes fit together.
    pub fn validate(&self) -> Result<()> {
        let values = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            self.num_hidden_layers,
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
            self.max_position_embeddings,
        ];
        for ((name, most), value) in SIZES.into_iter().zip(values) {
            if value == 0 {
                return Err(Error::input(format!(
                    "the model's {name} is 0; it must be at least 1"
                )));
            }
            if value > most {
                return Err(Error::input(format!(
                    "the model's {name} is {value}; it must be at most {most}"
                )));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(Error::input(format!(
                "the model's num_attention_heads ({}) must be a multiple of num_key_value_heads \
                 ({})",
                self.num_attention_heads, self.num_key_value_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::input(format!(
                "the model's head_dim ({}) must be even",
                self.head_dim
            )));
        }
        for (name, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)]
        {
            if value < 0.0 || !(value as f32).is_finite() {
                return Err(Error::input(format!(
                    "the model's {name} is {value:?}; it must not be negative, and be a number of \
                     32 bits"
                )));
            }
        }
        Ok(())
    }
}
