//! What a decoder is made of: sizes, and what distinguishes one family from another.
//!
//! Every decoder here is a stack of layers with grouped-query attention and a gated MLP, whose
//! results are added to the residual stream, with root-mean-square norms before or after them. What
//! families differ in is a field, or a part of the layer that is there or not (`super::parts`).

use super::rope::RopeScaling;
use crate::error::{Error, Result};
use crate::kernels::Activation;
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
    /// Layers whose queries and keys are not rotated, by number: they know no positions.
    pub unrotated: Vec<usize>,
    /// Layers that see the last tokens only.
    pub sliding: Option<Sliding>,
    /// Scores are divided by the square root of this number; of `head_dim` where it is absent.
    pub query_pre_attn_scalar: Option<f64>,
    /// Where the norms of attention and MLP stand.
    pub norms: NormPlacement,
    /// What is added to the weights of norms: 1 where they are kept less one.
    pub norm_offset: f32,
    /// How queries and keys are normalised before they are rotated, where they are.
    pub qk_norm: Option<QkNorm>,
    /// The function of the MLP's gate.
    pub activation: Activation,
    /// Whether the embeddings are multiplied by the square root of `hidden_size` on their way in.
    pub scaled_embeddings: bool,
    /// Whether the projections to queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the head is the embedding matrix itself.
    pub tie_word_embeddings: bool,
    /// Tokens that end a response.
    pub eos_token_ids: Vec<u32>,
}

/// Where the norms of a layer's attention and MLP stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlacement {
    /// Before each.
    Before,
    /// After each, before its result is added to the residual stream.
    After,
    /// Before and after each.
    Both,
}

impl NormPlacement {
    pub(crate) fn has_before(self) -> bool {
        self != Self::After
    }

    pub(crate) fn has_after(self) -> bool {
        self != Self::Before
    }
}

/// What is normalised together of a token's queries, and of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// Each head.
    Head,
    /// All heads.
    Whole,
}

/// Layers that see the last tokens only.
#[derive(Clone, Debug, PartialEq)]
pub struct Sliding {
    /// How many tokens a token sees, itself among them.
    pub window: usize,
    /// The layers, by number.
    pub layers: Vec<usize>,
    /// The base of their rotary embedding, which is not scaled, where it is not the other layers'.
    pub rope_theta: Option<f64>,
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
        let of_sliding = self.sliding.as_ref().and_then(|sliding| sliding.rope_theta);
        for (name, value) in [
            ("rms_norm_eps", self.rms_norm_eps),
            ("rope_theta", self.rope_theta),
            ("rope_theta of sliding layers", of_sliding.unwrap_or(1.0)),
        ] {
            if value < 0.0 || !(value as f32).is_finite() {
                return Err(Error::input(format!(
                    "the model's {name} is {value:?}; it must not be negative, and be a number of \
                     32 bits"
                )));
            }
        }
        let scalar = self.query_pre_attn_scalar.unwrap_or(1.0);
        if scalar <= 0.0 || !(scalar as f32).is_normal() {
            return Err(Error::input(format!(
                "the model's query_pre_attn_scalar is {scalar:?}; it must be positive, and be a \
                 number of 32 bits"
            )));
        }
        if self.sliding.as_ref().is_some_and(|sliding| sliding.window == 0) {
            return Err(Error::input(
                "the model's sliding_window is 0; it must be at least 1, for the token itself",
            ));
        }
        Ok(())
    }

    /// What embeddings are multiplied by on their way in.
    pub(super) fn embedding_scale(&self) -> Option<f32> {
        self.scaled_embeddings.then(|| (self.hidden_size as f64).sqrt() as f32)
    }
}
