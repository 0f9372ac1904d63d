//! `config.json` of a Qwen3 folder, as older and newer Transformers write it.

use crate::error::{Error, Result};
use candle_core::DType;
use serde::{Deserialize, Serialize};
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
    /// Whether the head is the embedding matrix itself.
    pub tie_word_embeddings: bool,
    /// Tokens that end a response.
    pub eos_token_ids: Vec<u32>,
}

/// What a `config.json` may hold, before defaults.
#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    use_sliding_window: Option<bool>,
    hidden_act: Option<String>,
    eos_token_id: Option<OneOrMany>,
}

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        }
    }
}

impl Qwen3Config {
    /// Reads `config.json`, and the end-of-sequence tokens of `generation_config.json` where there is one, from a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::input(format!("cannot read the model's config.json: {e} ({})", path.display())))?;
        let mut config = Self::parse(&text).map_err(|e| Error::input(format!("{e} ({})", path.display())))?;
        let generation = folder.join("generation_config.json");
        if let Ok(text) = std::fs::read_to_string(&generation) {
            #[derive(Deserialize)]
            struct Generation {
                eos_token_id: Option<OneOrMany>,
            }
            let parsed: Generation = serde_json::from_str(&text).map_err(|e| {
                Error::input(format!("generation_config.json is not valid: {e} ({})", generation.display()))
            })?;
            for id in parsed.eos_token_id.map(OneOrMany::into_vec).unwrap_or_default() {
                if !config.eos_token_ids.contains(&id) {
                    config.eos_token_ids.push(id);
                }
            }
        }
        Ok(config)
    }

    /// Parses the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Self> {
        let raw: Raw = serde_json::from_str(text)
            .map_err(|e| Error::input(format!("config.json is not a model configuration: {e}")))?;
        let qwen3 = raw.model_type.as_deref() == Some("qwen3")
            || raw.architectures.iter().flatten().any(|name| name == "Qwen3ForCausalLM");
        if !qwen3 {
            return Err(Error::input(format!(
                "config.json describes a model of type `{}`, but only `qwen3` is supported",
                raw.model_type.as_deref().unwrap_or("unknown")
            )));
        }
        let unsupported = [
            (raw.attention_bias == Some(true), "attention_bias: true"),
            (raw.use_sliding_window == Some(true), "use_sliding_window: true"),
            (raw.hidden_act.as_deref().is_some_and(|act| act != "silu"), "an activation other than silu"),
            (
                [&raw.rope_parameters, &raw.rope_scaling].iter().any(|rope| {
                    rope.as_ref().and_then(|r| r.rope_type.as_deref()).is_some_and(|kind| kind != "default")
                }),
                "rotary scaling",
            ),
        ];
        if let Some((_, what)) = unsupported.iter().find(|(found, _)| *found) {
            return Err(Error::input(format!("config.json asks for {what}, which is not supported")));
        }
        let config = Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_dim: raw.head_dim.unwrap_or(128),
            max_position_embeddings: raw.max_position_embeddings.unwrap_or(32_768),
            rms_norm_eps: raw.rms_norm_eps.unwrap_or(1e-6),
            rope_theta: raw.rope_theta.or(raw.rope_parameters.and_then(|r| r.rope_theta)).unwrap_or(10_000.0),
            tie_word_embeddings: raw.tie_word_embeddings.unwrap_or(false),
            eos_token_ids: raw.eos_token_id.map(OneOrMany::into_vec).unwrap_or_default(),
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks that the sizes fit together.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::input(format!("the model's {name} is 0; it must be at least 1")));
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
            "rope_scaling": null,
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
    fn other_architectures_and_unsupported_options_are_refused_by_name() {
        for (json, word) in [
            (r#""model_type": "llama""#, "llama"),
            (r#""model_type": "qwen3", "attention_bias": true"#, "attention_bias"),
            (r#""model_type": "qwen3", "rope_scaling": {"type": "yarn"}"#, "rotary scaling"),
        ] {
            let message = parse(json).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn written_configurations_read_back_equal() {
        let config = parse(r#""model_type": "qwen3", "eos_token_id": [3]"#).unwrap();
        assert_eq!(Qwen3Config::parse(&config.to_json(DType::F32).to_string()).unwrap(), config);
    }
}
