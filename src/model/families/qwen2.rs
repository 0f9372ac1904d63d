//! Qwen2 and Qwen2.5: the projections to queries, keys and values have biases.

use super::config_fields::Rules;
use super::config_json::check_full_attention;
use super::family::{Family, Network, Silent};
use serde_json::json;

pub(super) static FAMILY: Family = Family {
    name: "qwen2",
    classes: &["Qwen2ForCausalLM", "Qwen2Model", "FSDPQwen2ForCausalLM"],
    gate_field: "hidden_act",
    has_own_sliding_rope: false,
    network: Network { qkv_bias: true, ..Network::LLAMA },
    silent: Silent { kv_heads: Some(32), positions: 32_768, ..Silent::USUAL },
    rules: Rules {
        // `sliding_window` is the width of windows, which no layer has where `use_sliding_window`
        // is false.
        read: &["layer_types", "sliding_window"],
        // Queries, keys and values have biases, whatever it says.
        harmless: &["attention_bias"],
    },
    read: |fields, spec| {
        check_full_attention(fields, spec.num_hidden_layers)?;
        Ok(spec)
    },
    write: |spec| {
        vec![
            ("max_window_layers", json!(spec.num_hidden_layers)),
            ("sliding_window", json!(null)),
            ("use_sliding_window", json!(false)),
        ]
    },
};
