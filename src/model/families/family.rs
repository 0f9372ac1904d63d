//! What a family of decoders is.

use super::config_fields::{Fixed, Rules};
use crate::error::Result;
use crate::kernels::Activation;
use crate::model::decoder::{DecoderSpec, NormPlacement, QkNorm};
use crate::model::fields::Fields;
use serde_json::Value;

/// A family of decoders.
#[derive(Debug)]
pub struct Family {
    /// The `model_type` of its `config.json`.
    pub(super) name: &'static str,
    /// Its classes in `architectures`; the first is the one that is written.
    pub(super) classes: &'static [&'static str],
    /// What the field with the function of the MLP's gate is called.
    pub(super) gate_field: &'static str,
    /// Whether sliding layers have rotary positions of their own.
    pub(super) has_own_sliding_rope: bool,
    /// What its layers are made of.
    pub(super) network: Network,
    /// What Transformers takes where `config.json` is silent.
    pub(super) silent: Silent,
    /// Which other fields `config.json` may have.
    pub(super) rules: Rules,
    /// Reads what other families do not have, into what all have.
    pub(super) read: fn(&Fields, DecoderSpec) -> Result<DecoderSpec>,
    /// The fields that only this family has.
    pub(super) write: fn(&DecoderSpec) -> Vec<(&'static str, Value)>,
}

/// What the networks of a family have in common; see the fields of [`DecoderSpec`].
#[derive(Debug)]
pub(super) struct Network {
    pub(super) norms: NormPlacement,
    pub(super) norm_offset: f32,
    pub(super) qk_norm: Option<QkNorm>,
    pub(super) qkv_bias: bool,
    pub(super) activation: Activation,
    pub(super) scaled_embeddings: bool,
}

impl Network {
    /// That of Llama, which others add to.
    pub(super) const LLAMA: Self = Self {
        norms: NormPlacement::Before,
        norm_offset: 0.0,
        qk_norm: None,
        qkv_bias: false,
        activation: Activation::Silu,
        scaled_embeddings: false,
    };
}

impl Network {
    /// What `config.json` may say of it.
    pub(super) fn fixed(&self) -> Fixed {
        Fixed {
            activation: self.activation,
            qkv_bias: self.qkv_bias,
            qk_norm: self.qk_norm.is_some(),
        }
    }
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
    /// Whether the head is the embeddings.
    pub(super) tied: bool,
    /// Epsilon of the norms.
    pub(super) eps: f64,
    /// Base of the rotary embedding.
    pub(super) theta: f64,
}

impl Silent {
    /// What several families have.
    pub(super) const USUAL: Self = Self {
        kv_heads: None,
        head_dim: None,
        positions: 2048,
        end: None,
        tied: false,
        eps: 1e-6,
        theta: 10_000.0,
    };
}

impl Family {
    /// The `model_type` of its `config.json`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A spec of this family without sizes. All layers see everything and are rotated.
    pub fn blank(&'static self) -> DecoderSpec {
        let Network { norms, norm_offset, qk_norm, qkv_bias, activation, scaled_embeddings } =
            self.network;
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
            unrotated: Vec::new(),
            sliding: None,
            query_pre_attn_scalar: None,
            norms,
            norm_offset,
            qk_norm,
            qkv_bias,
            activation,
            scaled_embeddings,
            tie_word_embeddings: true,
            eos_token_ids: Vec::new(),
        }
    }

    /// Whether a class is one of its own.
    pub(super) fn has(&self, class: &str) -> bool {
        self.classes.contains(&class)
    }
}
