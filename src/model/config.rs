//! `config.json` of a Qwen3 folder, as older and newer Transformers write it.

use super::config_fields;
use super::fields::Fields;
use super::rope::{Rope, RopeScaling};
use super::settings::ModelSettings;
use crate::error::{Error, Result};
use candle_core::DType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The shape of a Qwen3 model. Field names are those of Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Qwen3Config {
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
    /// Whether the head is the embedding matrix itself.
    pub tie_word_embeddings: bool,
    /// Tokens that end a response.
    pub eos_token_ids: Vec<u32>,
}

/// Names of attention without a window; the second is that of before.
const FULL: [&str; 2] = ["full_attention", "attention"];

/// The largest size of each kind that a model may have. Products of them fit into 64 bits, so that no count overflows.
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

impl Qwen3Config {
    /// Reads `config.json`, and the end-of-sequence tokens of `generation_config.json` where there is one, from a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        ModelSettings::read(folder).map(|(config, _)| config)
    }

    /// Parses the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of_fields(&Fields::parse("config.json", text)?)
    }

    /// Takes what is known from a `config.json` and refuses what would change the network.
    pub(super) fn of_fields(fields: &Fields) -> Result<Self> {
        config_fields::check(fields)?;
        let count = |name: &str| fields.count(name)?.ok_or_else(|| fields.missing(name));
        let num_hidden_layers = count("num_hidden_layers")?;
        let layer_types =
            fields.list("layer_types", |kind| kind.as_str().map(str::to_string), "it must be a list of names")?;
        if layer_types.is_some_and(|kinds| {
            kinds.len() != num_hidden_layers || kinds.iter().any(|kind| !FULL.contains(&kind.as_str()))
        }) {
            let right = format!("only \"full_attention\" in each of the {num_hidden_layers} layers is supported");
            return Err(fields.wrong("layer_types", &right));
        }
        let num_attention_heads = count("num_attention_heads")?;
        let num_key_value_heads = match fields.count("num_key_value_heads")? {
            Some(heads) => heads,
            // As in Transformers, where a field that is left out is not one that is null.
            None if fields.has("num_key_value_heads") => num_attention_heads,
            None => 32,
        };
        let vocab_size = count("vocab_size")?;
        let mut config = Self {
            vocab_size,
            hidden_size: count("hidden_size")?,
            intermediate_size: count("intermediate_size")?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim: fields.count("head_dim")?.unwrap_or(128),
            max_position_embeddings: fields.count("max_position_embeddings")?.unwrap_or(32_768),
            rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: 10_000.0,
            rope_scaling: None,
            tie_word_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(false),
            eos_token_ids: token_ids(fields, "eos_token_id", vocab_size)?,
        };
        let Rope { theta, scaling } = Rope::read(fields, config.max_position_embeddings)?;
        config.rope_theta = theta;
        let positions = scaling.as_ref().and_then(RopeScaling::positions).unwrap_or(0);
        config.max_position_embeddings = config.max_position_embeddings.max(positions);
        config.rope_scaling = scaling;
        config.validate()?;
        Ok(config)
    }

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
                return Err(Error::input(format!("the model's {name} is 0; it must be at least 1")));
            }
            if value > most {
                return Err(Error::input(format!("the model's {name} is {value}; it must be at most {most}")));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(Error::input(format!(
                "the model's num_attention_heads ({}) must be a multiple of num_key_value_heads ({})",
                self.num_attention_heads, self.num_key_value_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::input(format!("the model's head_dim ({}) must be even", self.head_dim)));
        }
        for (name, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)] {
            if value < 0.0 || !(value as f32).is_finite() {
                return Err(Error::input(format!(
                    "the model's {name} is {value:?}; it must not be negative, and be a number of 32 bits"
                )));
            }
        }
        Ok(())
    }

    /// Names and shapes of all parameters, in the order of the forward pass.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (d, hd) = (self.hidden_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * hd, self.num_key_value_heads * hd);
        let mut all = vec![("model.embed_tokens.weight".to_string(), vec![self.vocab_size, d])];
        for layer in 0..self.num_hidden_layers {
            for (name, shape) in [
                ("input_layernorm.weight", vec![d]),
                ("self_attn.q_proj.weight", vec![q, d]),
                ("self_attn.k_proj.weight", vec![kv, d]),
                ("self_attn.v_proj.weight", vec![kv, d]),
                ("self_attn.q_norm.weight", vec![hd]),
                ("self_attn.k_norm.weight", vec![hd]),
                ("self_attn.o_proj.weight", vec![d, q]),
                ("post_attention_layernorm.weight", vec![d]),
                ("mlp.gate_proj.weight", vec![self.intermediate_size, d]),
                ("mlp.up_proj.weight", vec![self.intermediate_size, d]),
                ("mlp.down_proj.weight", vec![d, self.intermediate_size]),
            ] {
                all.push((format!("model.layers.{layer}.{name}"), shape));
            }
        }
        all.push(("model.norm.weight".to_string(), vec![d]));
        if !self.tie_word_embeddings {
            all.push(("lm_head.weight".to_string(), vec![self.vocab_size, d]));
        }
        all
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// The text of a `config.json` that both older and newer Transformers read, for weights of `dtype`.
    pub fn to_json(&self, dtype: DType) -> serde_json::Value {
        let dtype = match dtype {
            DType::BF16 => "bfloat16",
            DType::F16 => "float16",
            _ => "float32",
        };
        serde_json::json!({
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "attention_bias": false,
            "attention_dropout": 0.0,
            "eos_token_id": self.eos_token_ids.first(),
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "max_window_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_scaling": RopeScaling::to_json(self.rope_scaling.as_ref()),
            "rope_theta": self.rope_theta,
            "sliding_window": null,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": dtype,
            "use_cache": true,
            "use_sliding_window": false,
            "vocab_size": self.vocab_size,
        })
    }
}

/// The numbers of tokens that a field holds, one or a list of them, each once.
pub(super) fn token_ids(fields: &Fields, name: &str, vocabulary: usize) -> Result<Vec<u32>> {
    let id = |value: &Value| value.as_u64().filter(|id| *id < vocabulary as u64).map(|id| id as u32);
    let right = format!("each must be the number of a token, from 0 to {}", vocabulary.saturating_sub(1));
    let mut seen = BTreeSet::new();
    let ids = fields.list(name, id, &right)?.unwrap_or_default();
    Ok(ids.into_iter().filter(|id| seen.insert(*id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &str = r#""vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16"#;

    fn parse(rest: &str) -> Result<Qwen3Config> {
        Qwen3Config::parse(&format!("{{{SHAPE}, {rest}}}"))
    }

    #[test]
    fn the_rotary_base_is_read_where_older_and_newer_transformers_write_it() {
        let old = parse(r#""model_type": "qwen3", "rope_theta": 50000.0"#).unwrap();
        let new = parse(r#""model_type": "qwen3", "rope_parameters": {"rope_theta": 50000.0, "rope_type": "default"}"#)
            .unwrap();
        assert_eq!(old, new);
        assert!((old.rope_theta - 50000.0).abs() < 1e-9);
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        for (json, words) in [
            (
                r#""model_type": "qwen3", "layer_types": ["full_attention", "sliding_attention"]"#,
                ["layer_types", "sliding"],
            ),
            (r#""model_type": "qwen3", "layer_types": ["full_attention"]"#, ["layer_types", "2 layers"]),
            (r#""model_type": "qwen3", "eos_token_id": -1"#, ["eos_token_id is -1", "0 to 63"]),
            (r#""model_type": "qwen3", "eos_token_id": [3, 64]"#, ["eos_token_id is [3,64]", "0 to 63"]),
            (r#""model_type": "qwen3", "rope_theta": "big""#, ["rope_theta", "big"]),
            (r#""model_type": "qwen3", "rope_theta": 1e300"#, ["rope_theta is 1e300", "32 bits"]),
            (r#""model_type": "qwen3", "rms_norm_eps": 1e300"#, ["rms_norm_eps is 1e300", "32 bits"]),
            (r#""model_type": "qwen3", "rms_norm_eps": -1"#, ["rms_norm_eps is -1", "negative"]),
            (r#""model_type": "qwen3", "num_hidden_layers": 2147483648"#, ["num_hidden_layers", "2147483648"]),
            (
                r#""model_type": "qwen3", "max_position_embeddings": 9223372036854775807"#,
                ["max_position_embeddings", "at most"],
            ),
            (r#""model_type": "qwen3", "hidden_size": 1.5"#, ["hidden_size is 1.5", "whole number"]),
        ] {
            let message = parse(json).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        let harmless = r#""model_type": "qwen3", "sliding_window": 4096, "layer_types": ["full_attention", "attention"], "new_trick": false"#;
        assert_eq!(parse(harmless).unwrap(), parse(r#""model_type": "qwen3""#).unwrap());
    }

    #[test]
    fn yarn_reaches_as_far_as_its_factor_says() {
        let yarn = r#"{"rope_type": "yarn", "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}"#;
        let config =
            parse(&format!(r#""model_type": "qwen3", "max_position_embeddings": 40960, "rope_scaling": {yarn}"#))
                .unwrap();
        assert_eq!(config.max_position_embeddings, 131_072);
        assert_eq!(Qwen3Config::parse(&config.to_json(DType::F32).to_string()).unwrap(), config);
    }

    #[test]
    fn written_configurations_read_back_equal() {
        let config = parse(r#""model_type": "qwen3", "eos_token_id": [3]"#).unwrap();
        assert_eq!(Qwen3Config::parse(&config.to_json(DType::F32).to_string()).unwrap(), config);
    }
}
