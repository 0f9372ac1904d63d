//! Qwen3: every query and key is normalised, and nothing has a bias.

use super::config_fields::Rules;
use super::config_json::check_full_attention;
use super::family::{Family, Network, Silent};
use crate::model::decoder::QkNorm;
use serde_json::json;

pub(super) static FAMILY: Family = Family {
    name: "qwen3",
    classes: &["Qwen3ForCausalLM", "Qwen3Model", "FSDPQwen3ForCausalLM"],
    gate_field: "hidden_act",
    has_own_sliding_rope: false,
    network: Network { qk_norm: Some(QkNorm::Head), ..Network::LLAMA },
    silent: Silent { kv_heads: Some(32), head_dim: Some(128), positions: 32_768, ..Silent::USUAL },
    rules: Rules {
        // `sliding_window` is the width of windows, which no layer has where `use_sliding_window`
        // is false.
        read: &["layer_types", "sliding_window"],
        harmless: &[],
    },
    read: |fields, spec| {
        check_full_attention(fields, spec.num_hidden_layers)?;
        Ok(spec)
    },
    write: |spec| {
        vec![
            ("attention_bias", json!(false)),
            ("max_window_layers", json!(spec.num_hidden_layers)),
            ("sliding_window", json!(null)),
            ("use_sliding_window", json!(false)),
        ]
    },
};
