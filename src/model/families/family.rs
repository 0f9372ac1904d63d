//! What a family of decoders is.

use super::config_fields::Rules;
use crate::error::Result;
use crate::model::decoder::DecoderSpec;
use crate::model::fields::Fields;
use serde_json::Value;

/// A family of decoders.
#[derive(Debug)]
pub struct Family {
    /// The `model_type` of its `config.json`.
    pub(super) name: &'static str,
    /// Its classes in `architectures`; the first is the one that is written.
    pub(super) classes: &'static [&'static str],
    /// Whether each query and key is normalised.
    pub(super) qk_norm: bool,
    /// Whether the projections to queries, keys and values have biases.
    pub(super) qkv_bias: bool,
    /// What Transformers takes where `config.json` is silent.
    pub(super) silent: Silent,
    /// Which other fields `config.json` may have.
    pub(super) rules: Rules,
    /// Reads what other families do not have, into what all have.
    pub(super) read: fn(&Fields, DecoderSpec) -> Result<DecoderSpec>,
    /// The fields that only this family has.
    pub(super) write: fn(&DecoderSpec) -> Vec<(&'static str, Value)>,
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What Transformers takes for a family where `config.json` is silent.
#[derive(Debug)]
pub(super) struct Silent {
    /// Key/value heads; as many as query heads where this is absent, or the field is null.
    pub(super) kv_heads: Option<usize>,
    /// Elements of a head; the width divided by the query heads where this is absent.
    pub(super) head_dim: Option<usize>,
    pub(super) positions: usize,
    /// The token that ends a response.
    pub(super) end: Option<u32>,
}

impl Family {
    /// The `model_type` of its `config.json`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A spec of this family without sizes.
    pub fn blank(&'static self) -> DecoderSpec {
        DecoderSpec {
            family: self,
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            num_key_value_heads: 0,
            head_dim: 0,
            max_position_embeddings: 0,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            rope_scaling: None,
            qk_norm: self.qk_norm,
            qkv_bias: self.qkv_bias,
            tie_word_embeddings: true,
            eos_token_ids: Vec::new(),
        }
    }

    /// Whether a class is one of its own.
    pub(super) fn has(&self, class: &str) -> bool {
        self.classes.contains(&class)
    }
}
